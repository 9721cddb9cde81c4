"""The card says what the raw results say, and says plainly what was missed."""

import json
from pathlib import Path
from typing import Any

import pytest

from support import raw_results
from training.smol import measured, model_card, targets
from training.smol.card_answers import answers
from training.smol.card_speed import speed
from training.smol.measured import Measured

PROGRESS: dict[str, Any] = {"rank": 4, "seed": 1, "total_steps": 3150, "device": "a GPU"}
SETTINGS = {"diffusion": {"strategy": "apd", "r": 0.5}}


def write(folder: Path, name: str, body: dict[str, Any]) -> Path:
    (folder / name).write_text(json.dumps(body))
    return folder / name


@pytest.fixture
def found(tmp_path: Path) -> Measured:
    quality = [write(tmp_path, "smol.json", raw_results.smol()),
               write(tmp_path, "base.json", raw_results.base())]  # fmt: skip
    return measured.read(quality, [write(tmp_path, "reader.json", raw_results.reader(50))])


def card(found: Measured) -> str:
    return model_card.write(found, PROGRESS, SETTINGS, changed=1234, size=5_000_000, limit=2048)


def test_rules_and_the_base_alone_stand_side_by_side_with_intervals(found: Measured) -> None:
    text = card(found)
    everyday = text[text.index("**everyday** (4 questions)") :]
    assert "| **apd 0.5** | 1 (1 to 1) |" in everyday
    assert "| base alone | 0.6 (0.6 to 0.6) | 0 (0 to 0) | 0 (0 to 49) |" in everyday
    facts = text[text.index("**facts** (4 questions)") :]
    assert "| base alone | 75 (30.1 to 95.4) |" in facts
    assert "pairs_open" not in text


def test_the_card_says_what_it_is_whose_it_was_and_how_it_was_made(found: Measured) -> None:
    text = card(found)
    assert "rank 4 in int8 with 1,234 numbers\n(5.0 MB)" in text
    assert "Apache License 2.0" in text
    assert "**Changed**" in text
    assert "| total steps | 3,150 |" in text
    assert "Context network" in text
    assert "Denoiser" in text


def test_runs_are_listed_with_their_settings(found: Measured) -> None:
    found.rules["apd 0.5"]["one"]["device"] = "a GPU"
    text = card(found)
    assert "of `preview-1`: 2026-11-28, a GPU, cpu, torch 2.11, dtype bfloat16, rows 8\n" in text
    assert "of `causal:builtin:smol-base`: " in text
    one = text[text.index("**one** (4 questions)") : text.index("**many** (4 questions)")]
    assert "| a GPU |" in one, "figures of several machines are told apart"
    assert "| cpu |" not in text[text.index("**many** (4") : text.index("## Targets")]


def test_targets_are_judged_by_floor_and_stretch(found: Measured) -> None:
    verdicts = {target.name: target.verdict for target in targets.targets(found)}
    assert verdicts == {
        "NLL per token of everyday questions, one token a step": "floor met",
        "repeated trigrams in them": "stretch met",
        "short answers that end within 128 tokens": "stretch met",
        "facts: score as a share of the base's own": "**missed**",
        "facts: of what the base answers rightly, still right": "reported",
        "one-answer tasks, one token a step": "stretch met",
        "many-answer tasks, one token a step": "floor met",
        "many-answer tasks, four tokens a step": "reported",
        "APD: tokens per diffusion forward, everyday questions": "stretch met",
        "APD: NLL against one token a step, everyday questions": "stretch met",
        "APD: tokens per diffusion forward, one-answer tasks": "floor met",
        "APD: points against one token a step, one-answer tasks": "floor met",
        "APD: tokens per diffusion forward, many-answer tasks": "floor met",
        "APD: points against one token a step, many-answer tasks": "**missed**",
        "APD: wall clock against one token a step, verifier included, everyday questions (A CPU)":
            "floor met",
    }  # fmt: skip


def test_the_clock_runs_against_every_way_of_one_token_a_step(found: Measured) -> None:
    one = found.speeds[0]["results"]["server"]["one"]
    one["one token a step, blocks of 32"] = {"tokens_per_s": 20}
    own, of_32 = targets.targets(found)[-2:]
    assert own.name.startswith("APD: wall clock against one token a step, verifier included")
    assert own.measured == 2.5
    assert "one token a step, blocks of 32, verifier included" in of_32.name
    assert of_32.measured == 2.0
    one["one token a step, blocks of 32"] = {"tokens_per_s": None}
    assert "blocks of 32" not in targets.targets(found)[-1].name


def test_passes_of_the_context_network_stand_beside_the_verifiers(found: Measured) -> None:
    text = card(found)
    everyday = text[text.index("**everyday** (4 questions)") :]
    head, _, *rows = everyday[everyday.index("| rule |") :].splitlines()
    at = head.split(" | ").index("context passes/forward")
    assert head.split(" | ")[at - 1] == "verifier passes/forward"
    assert rows[0].split(" | ")[at] == "0.5 (0.5 to 0.5)"


def test_what_was_missed_is_said_in_words(found: Measured) -> None:
    text = card(found)
    assert (
        "**Below their floor:** facts: score as a share of the base's own; "
        "APD: points against one token a step, many-answer tasks." in text
    )
    assert "own | at least 90 % | at least 105 % | 66.7 % (" in text
    assert "fall from 75 % to 25 % at four tokens a step" in text
    assert "- Tasks below 67 %, of few questions each: `kind 3` 0." in text


def test_what_was_not_measured_is_no_success() -> None:
    assert {target.verdict for target in targets.targets(Measured())} == {"not measured"}


def test_blocks_of_32_go_before_the_models_own(found: Measured) -> None:
    found.rules["fixed 1 block 32"] = found.rules["fixed 4"]
    verdicts = {target.name: target.measured for target in targets.targets(found)}
    assert verdicts["many-answer tasks, one token a step"] == 25


def test_apd_is_held_against_the_models_own_blocks_too(found: Measured) -> None:
    found.rules["fixed 1 block 32"] = found.rules["fixed 4"]
    named = {target.name: target for target in targets.targets(found)}
    of_32 = named["APD: points against one token a step, many-answer tasks"]
    own = named["APD: points against one token a step in its own blocks, many-answer tasks"]
    assert (of_32.floor, own.floor) == (0.0, None)
    assert of_32.measured != own.measured, "each against its own answers"
    assert own.verdict == "reported"


def test_facts_that_were_lost_are_said_by_kind(found: Measured) -> None:
    found.base["facts"]["kinds"] = {"capital": {"n": 4, "right": 3}, "sum": {"n": 9, "right": 1}}
    found.rules["fixed 1"]["facts"]["kinds"] = {
        "capital": {"n": 4, "right": 1}, "sum": {"n": 8, "right": 8},
    }  # fmt: skip
    said = "It knows less than its base, but for what it was taught: capital 1 of 4 (the base 3)."
    assert said in card(found)


def test_facts_of_other_questions_are_not_compared(found: Measured) -> None:
    found.base["facts"]["n"] = 300
    verdicts = {target.name: target.verdict for target in targets.targets(found)}
    assert verdicts["facts: score as a share of the base's own"] == "not measured"


def test_answers_stand_word_for_word_with_their_settings(found: Measured) -> None:
    text = answers(found, SETTINGS)
    assert 'Rule `default`,\ngreedy, at most 128/48/96/96 tokens, `{"strategy": "apd"' in text
    assert (
        "*facts, kind 2; **wrong***\n\n````text\nuser: question 2\nsmol: false ``` facts 2" in text
    )
    assert "*facts, kind 1; right*" in text
    assert text.count("user: question") == 16
    assert "16, not chosen" in text
    assert answers(Measured(), SETTINGS) == ""


@pytest.mark.parametrize(
    ("base_speed", "said"),
    [
        (50, "is faster than every diffusion rule (the fastest, default, is at 0.80 of it)"),
        (40, "is as fast as every diffusion rule"),
        (20, "The fastest rule here, default, is 2.00 times as fast as the base alone."),
    ],
)
def test_readers_see_when_diffusion_pays(base_speed: float, said: str) -> None:
    text = " ".join(speed([raw_results.reader(base_speed)]).split())
    assert said in text
    assert f"| base alone, cached | 0.1 | {base_speed} | 1 | 1.00 |" in text
    assert "preset fast" not in text
    assert speed([]) == ""


def test_the_first_of_several_files_with_a_row_gives_it(tmp_path: Path) -> None:
    first, second = raw_results.smol(), raw_results.smol()
    del first["results"]["fixed 4"]
    first["results"]["apd 0.5"]["one"]["score"] = 1
    files = [write(tmp_path, "1.json", first), write(tmp_path, "2.json", second)]
    merged = measured.read(files).rules
    assert merged["apd 0.5"]["one"]["score"] == 1
    assert "many" in merged["fixed 4"]


def test_files_of_different_models_are_not_merged(tmp_path: Path) -> None:
    first, second = raw_results.smol(), raw_results.smol()
    second["parameters"]["checkpoint"] = f"preview-{9:012x}"
    files = [write(tmp_path, "1.json", first), write(tmp_path, "2.json", second)]
    with pytest.raises(measured.Mixed, match=rf"2.json is of preview-{9:012x}"):
        measured.read(files)


def test_a_rule_that_meant_something_else_is_not_merged(tmp_path: Path) -> None:
    files = []
    for lookahead, steps in ((8, 12), (8, 24), (16, 12)):
        body = raw_results.smol()
        decoding = {"strategy": "apd", "lookahead": lookahead, "steps": steps}
        body["results"]["apd 0.5"]["one"]["decoding"] = decoding
        files.append(write(tmp_path, f"{lookahead}-{steps}.json", body))
    measured.read(files[:2])
    with pytest.raises(measured.Mixed, match=r"16-12.json: apd 0.5 is .*'lookahead': 16"):
        measured.read(files)
