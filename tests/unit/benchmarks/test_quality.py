"""The published small model keeps its quality by rule: the CI grid, with floors."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quality
from benchmarks.quality import COUNTS, Run, arguments, open_partner, suites_of
from benchmarks.quality_checkpoint import checkpoint_of
from benchmarks.quality_partners import Answer
from benchmarks.quality_rules import Rule, rules_of
from benchmarks.quality_suites import Question, Suite
from dfastllm.errors import InvalidRequest


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    options = arguments(["--grid", "ci", "--threads", "1"])
    run = Run(open_partner(options), suites_of(options))
    return {rule.name: run.of_rule(rule) for rule in rules_of("ci")}


def test_one_token_a_step_is_right_on_both_kinds_of_tasks(results: dict[str, Any]) -> None:
    row = results["fixed 1"]
    assert row["one"]["score"] >= 90
    assert row["many"]["score"] >= 75
    assert row["one"]["tokens_per_forward"] == pytest.approx(1, abs=0.02)


def test_a_confident_model_writes_many_tokens_a_forward_at_no_loss(results: dict[str, Any]) -> None:
    row = results["threshold 0.9"]
    assert row["one"]["score"] >= results["fixed 1"]["one"]["score"] - 5
    assert row["one"]["tokens_per_forward"] >= 8
    assert row["many"]["score"] >= 70


def test_drafts_that_the_verifier_read_are_long_and_lose_nothing(results: dict[str, Any]) -> None:
    row, plain = results["apd 0.5"], results["fixed 1"]
    assert row["one"]["score"] >= plain["one"]["score"] - 5
    assert row["many"]["score"] >= plain["many"]["score"]
    assert row["one"]["tokens_per_forward"] >= 12
    assert row["many"]["tokens_per_forward"] >= 2.5


def test_four_tokens_a_step_ruin_choices_that_must_agree(results: dict[str, Any]) -> None:
    row = results["fixed 4"]
    assert row["one"]["score"] >= 90
    assert row["many"]["score"] <= 40, "the suite must show what parallel decoding costs"


def test_answers_end_by_themselves(results: dict[str, Any]) -> None:
    for row in (results["fixed 1"], results["threshold 0.9"]):
        assert row["one"]["ended"] >= 95
        assert row["many"]["ended"] >= 95


class Echo:
    """Answers every question by its rule's name, and knows no caches."""

    resolves = False

    def answer(self, questions: list[Question], rule: Rule, max_tokens: int) -> list[Answer]:
        if rule.cache in ("prefix", "dual"):
            raise InvalidRequest("no caches here")
        return [Answer(rule.name, 2, 1, ended=True)] * len(questions)

    def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
        return {"max_tokens": max_tokens}


def test_a_run_that_was_stopped_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "open_partner", lambda options: Echo())
    flags = ["quality", "--grid", "cache", "--count", "3", "--name", "x", "--resume"]
    flags += ["--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*flags, "--minutes", "-1"])
    quality.main()
    assert json.loads((tmp_path / "x.json").read_text())["results"] == {}
    monkeypatch.setattr("sys.argv", [*flags, "--suites", "one"])
    quality.main()
    part = json.loads((tmp_path / "x.json").read_text())["results"]
    assert "many" not in part["fixed 1 no cache"]
    monkeypatch.setattr("sys.argv", flags)
    quality.main()
    first = json.loads((tmp_path / "x.json").read_text())
    kept = first["results"]["fixed 1 no cache"]["one"]["answers"]
    assert [row["answer"] for row in kept] == ["fixed 1 no cache"] * 3
    assert first["results"]["fixed 1 no cache"]["one"] == part["fixed 1 no cache"]["one"]
    assert first["results"]["fixed 1 dual cache"] == {"refused": "no caches here"}
    monkeypatch.setattr(Echo, "answer", None)  # nothing is asked again
    quality.main()
    assert "fixed 1 dual cache: no caches here" in capsys.readouterr().out
    assert "**many** (3 questions)" in (tmp_path / "x.md").read_text()


def test_a_rule_that_comes_to_the_same_as_another_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Resolving(Echo):
        resolves = True

        def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
            return {"steps": max_tokens if rule.name == "fixed 4" else 1}

    monkeypatch.setattr(quality, "open_partner", lambda options: Resolving())
    flags = ["quality", "--name", "x", "--out", str(tmp_path), "--count", "3", "--suites", "one"]
    monkeypatch.setattr("sys.argv", [*flags, "--rules", "fixed 1", "fixed 4", "default", "fixed 2"])
    quality.main()
    found = json.loads((tmp_path / "x.json").read_text())["results"]
    answered = {name: row["one"]["answers"][0]["answer"] for name, row in found.items()}
    assert answered == {
        "fixed 1": "fixed 1", "fixed 4": "fixed 4", "default": "fixed 1", "fixed 2": "fixed 1",
    }  # fmt: skip
    assert found["fixed 2"]["one"]["same_as"] == "fixed 1"
    assert "same_as" not in found["fixed 4"]["one"]


def test_answers_of_another_run_are_not_mixed_with_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "open_partner", lambda options: Echo())
    flags = ["quality", "--name", "x", "--resume", "--out", str(tmp_path), "--count"]
    monkeypatch.setattr("sys.argv", [*flags, "3"])
    quality.main()
    monkeypatch.setattr("sys.argv", [*flags, "4"])
    with pytest.raises(SystemExit, match="another count"):
        quality.main()


def test_a_result_names_its_model_without_the_path_and_knows_another_behind_a_link(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "open_partner", lambda options: Echo())
    link = tmp_path / "link"
    flags = ["quality", "--name", "x", "--resume", "--out", str(tmp_path), "--count", "3"]
    monkeypatch.setattr("sys.argv", [*flags, "--suites", "one", "--model", str(link)])
    for name in ("preview-1", "preview-2"):
        (tmp_path / name).mkdir()
    link.symlink_to(tmp_path / "preview-1")
    quality.main()
    assert json.loads((tmp_path / "x.json").read_text())["parameters"]["model"] == "preview-1"
    link.unlink()
    link.symlink_to(tmp_path / "preview-2")
    with pytest.raises(SystemExit, match="another model"):
        quality.main()


def test_a_built_in_is_known_by_what_it_is_made_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "open_partner", lambda options: Echo())
    made = ["smol-1", "smol-1", "smol-2"]
    monkeypatch.setattr(quality, "checkpoint_of", lambda model: made.pop(0))
    flags = ["quality", "--name", "x", "--resume", "--out", str(tmp_path), "--count", "3"]
    monkeypatch.setattr("sys.argv", [*flags, "--suites", "one", "--model", "builtin:smol"])
    quality.main()
    quality.main()
    assert json.loads((tmp_path / "x.json").read_text())["parameters"]["checkpoint"] == "smol-1"
    with pytest.raises(SystemExit, match="another checkpoint"):
        quality.main()


def test_a_rule_that_has_become_another_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quality, "open_partner", lambda options: Echo())
    flags = ["quality", "--name", "x", "--resume", "--out", str(tmp_path), "--count", "3"]
    monkeypatch.setattr("sys.argv", [*flags, "--suites", "one", "--rules", "fixed 4"])
    quality.main()
    found = json.loads((tmp_path / "x.json").read_text())["results"]
    assert found["fixed 4"]["one"]["decoding"] == {"max_tokens": 96}
    monkeypatch.setattr(Echo, "decoding", lambda *_: {"lookahead": 8})
    with pytest.raises(SystemExit, match="fixed 4 was something else before"):
        quality.main()


def test_checkpoints_have_the_names_of_their_directories(tmp_path: Path) -> None:
    (tmp_path / "preview-1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "preview-1")
    assert checkpoint_of(str(tmp_path / "link")) == "preview-1"
    assert checkpoint_of(f"causal:{tmp_path}/link") == "preview-1"
    assert checkpoint_of("builtin:tiny") == "tiny"
    assert checkpoint_of("https://somewhere/v1") is None


def test_a_base_that_answers_judges_too_and_is_there_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []

    class Base(Echo):
        def __init__(self, name: str, **_: Any):
            made.append(name)

        def nll(self, questions: list[Question], answers: list[Answer]) -> list[tuple[float, int]]:
            return [(2.0, answer.tokens) for answer in answers]

    monkeypatch.setattr(quality, "CausalBase", Base)
    flags = ["quality", "--model", "causal:x", "--base", "x", "--name", "base", "--count", "3"]
    flags += ["--suites", "everyday", "facts", "--answers", "2", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", flags)
    quality.main()
    assert made == ["x"]
    (found,) = json.loads((tmp_path / "base.json").read_text())["results"].values()
    assert found["everyday"]["nll"] == 1.0
    assert {"repeated_trigrams", "ended", "ended_short"} < set(found["everyday"])
    assert {"score", "repeated_trigrams"} < set(found["facts"])
    assert len(found["everyday"]["answers"]) == 2


def test_the_small_model_is_asked_what_it_was_made_for_and_others_everything() -> None:
    assert set(suites_of(arguments([]))) == {Suite.ONE, Suite.MANY}
    every = suites_of(arguments(["--model", "some/folder", "--count", "3"]))
    assert set(every) == set(Suite)
    assert COUNTS["presets"] == 40
