"""Which stories CI tells in the time that it has, and what it says of the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci import __main__ as verb
from ci import stories
from ci.stories import STORIES, chosen, needed_s
from cluster.debian import Unfit

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


def test_what_fits_is_the_beginning() -> None:
    everything = needed_s(STORIES)
    assert chosen(everything) == list(STORIES)
    assert chosen(everything - 1) == list(STORIES[:-1])
    assert chosen(STORIES[0].fits_in_s) == [STORIES[0]]
    assert chosen(STORIES[0].fits_in_s - 1) == []
    assert chosen(-1) == []


def test_the_one_that_needs_no_cluster_is_the_last() -> None:
    assert [story.needs_none_up for story in STORIES[:-1]] == [False] * (len(STORIES) - 1)
    assert STORIES[-1].needs_none_up


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


def test_a_story_that_fails_is_named_and_the_others_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(verb.debian, "require_root", lambda: None)
    monkeypatch.setattr(verb.standing, "find", lambda: None)
    monkeypatch.setattr(verb, "_unprepared", lambda end: "")

    @contextmanager
    def made(nodes: int) -> Iterator[None]:
        calls.append("up")
        yield
        calls.append("down")

    monkeypatch.setattr(verb.owned, "made", made)

    def passes(story: stories.Story) -> bool:
        calls.append(story.tests)
        return story.tests != "test_keys.py"

    monkeypatch.setattr(verb, "_passes", passes)
    with pytest.raises(SystemExit, match="failed: keys"):
        verb.main(seconds=100_000)
    told = [story.tests for story in STORIES]
    assert calls == ["up", *told[:-1], "down", told[-1]]
    assert capsys.readouterr().out == "end-to-end stories: all were run\n"
