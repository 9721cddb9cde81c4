"""Which stories CI tells in the time that it has, and what it says of the others."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci import __main__ as verb
from ci import stories
from ci.stories import STORIES
from cluster.debian import Unfit
from support.process import until

E2E = Path(__file__).parents[2] / "e2e"


def test_the_first_story_is_the_one_that_a_user_would_tell_first() -> None:
    assert STORIES[0].tests.endswith(stories.FIRST)
    module = STORIES[0].tests.partition("::")[0]
    assert f"def {stories.FIRST}(" in (E2E / module).read_text()


def test_every_story_is_known_here() -> None:
    marked = {path.name for path in E2E.glob("test_*.py") if "pytest.mark.e2e\n" in text(path)}
    marked |= {path.name for path in E2E.glob("test_*.py") if "pytest.mark.e2e," in text(path)}
    assert marked == {story.tests.partition("::")[0] for story in STORIES}


def text(path: Path) -> str:
    return path.read_text()


def test_those_that_need_no_cluster_are_the_last() -> None:
    alone = [story.needs_none_up for story in STORIES]
    assert any(alone)
    assert alone == sorted(alone)


def test_a_machine_without_root_leaves_all_out_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_root() -> None:
        raise Unfit("be root")

    monkeypatch.setattr(verb.debian, "require_root", not_root)
    verb.main(seconds=10_000)
    assert capsys.readouterr().out == "end-to-end stories left out: all; be root\n"


def test_a_cluster_of_somebodys_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb.debian, "require_root", lambda: None)
    monkeypatch.setattr(verb.owned, "clear", lambda: None)
    monkeypatch.setattr(verb.standing, "find", object)
    verb.main(seconds=100_000)
    assert "left out: all; a cluster is up" in capsys.readouterr().out


def test_what_is_not_made_in_time_leaves_all_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb.debian, "require_root", lambda: None)
    monkeypatch.setattr(verb.standing, "find", lambda: None)
    verb.main(seconds=10)
    assert capsys.readouterr().out == (
        "end-to-end stories left out: all; what they need was not made within 0 minutes\n"
    )


def test_a_machine_without_room_for_the_nodes_leaves_all_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(nodes: int, *, passing: bool) -> None:
        raise Unfit("no room")

    monkeypatch.setattr(verb.debian, "require_root", lambda: None)
    monkeypatch.setattr(verb.standing, "find", lambda: None)
    monkeypatch.setattr(verb, "_unprepared", lambda end: "")
    monkeypatch.setattr(verb.standing, "up", no_room)
    verb.main(seconds=100_000)
    assert capsys.readouterr().out == "end-to-end stories left out: all; no room\n"


class Clock:
    """Time that passes only while stories are told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done: a cluster goes up and down, stories are told in the time that they may take."""
    done, clock = list[str](), Clock()
    monkeypatch.setattr(verb, "time", clock)
    monkeypatch.setattr(verb.debian, "require_root", lambda: None)
    monkeypatch.setattr(verb.standing, "find", lambda: None)
    monkeypatch.setattr(verb, "_unprepared", lambda end: "")

    @contextmanager
    def made(nodes: int) -> Iterator[None]:
        done.append("up")
        clock.now += verb.UP_S
        yield
        done.append("down")
        clock.now += verb.DOWN_S

    def passes(story: stories.Story, end: float) -> bool:
        done.append(story.tests)
        clock.now += story.fits_in_s
        return story.tests != "test_keys.py"

    monkeypatch.setattr(verb.owned, "made", made)
    monkeypatch.setattr(verb, "_passes", passes)
    return done


TOLD = [story.tests for story in STORIES]
WITH_ONE = [story.tests for story in STORIES if not story.needs_none_up]
ALL_S = sum(story.fits_in_s for story in STORIES) + verb.UP_S + verb.DOWN_S


def test_a_story_that_fails_is_named_and_the_others_are_told(
    calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="failed: keys"):
        verb.main(seconds=ALL_S)
    assert calls == ["up", *WITH_ONE, "down", *TOLD[len(WITH_ONE) :]]
    assert capsys.readouterr().out == "end-to-end stories: all were run\n"


def test_what_does_not_fit_any_more_is_named(
    calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="failed: keys"):
        verb.main(seconds=ALL_S - 1)
    assert calls == ["up", *WITH_ONE, "down", *TOLD[len(WITH_ONE) : -1]]
    assert capsys.readouterr().out == (
        "end-to-end stories left out: demo; no time is left for them\n"
    )


def test_nothing_comes_after_what_does_not_fit(
    calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    verb.main(seconds=verb.UP_S + verb.DOWN_S + STORIES[0].fits_in_s)
    assert calls == ["up", TOLD[0], "down"]
    assert "left out: change, wrong, canary, " in capsys.readouterr().out


def test_no_cluster_is_made_for_no_story(
    calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    verb.main(seconds=verb.UP_S + verb.DOWN_S)
    assert not calls
    assert "left out: all; no time is left for them" in capsys.readouterr().out


@pytest.mark.parametrize(("code", "passed"), [("", True), ("raise SystemExit(1)", False)])
def test_a_story_passes_as_its_process_does(
    code: str, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "_command", lambda story: [sys.executable, "-c", code])
    assert verb._passes(STORIES[0], time.monotonic() + 60) is passed


def test_a_story_without_end_is_ended_and_may_put_things_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, away = tmp_path / "begun", tmp_path / "away"

    class WhenBegun:
        @staticmethod
        def monotonic() -> float:
            until(begun.exists, "the story has begun", 60.0)
            return 0.0

    code = f"""if True:
        import time
        from pathlib import Path
        try:
            Path({str(begun)!r}).touch()
            time.sleep(600)
        finally:
            Path({str(away)!r}).touch()
    """
    monkeypatch.setattr(verb, "_command", lambda story: [sys.executable, "-c", code])
    monkeypatch.setattr(verb, "DOWN_S", 60.0)
    monkeypatch.setattr(verb, "time", WhenBegun)
    assert not verb._passes(STORIES[0], 0.0)
    assert away.exists()
