"""Answers of the verifier alone are its most probable tokens, whatever stands beside them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoint import Progress
from training.decode import CANVAS
from training.network import Network, Shape
from training.tasks.registry import TASKS
from training.verifier import export as export_module
from training.verifier.evaluate import RULE, decode
from training.verifier.export import export
from training.verifier.layout import SHAPE, save
from training.vocabulary import EOS, EOT, MASK

SMALL = Shape(width=32, layers=2, heads=2, hidden=48, causal=True, tied=True)
PROMPTS = [[2, 4, 90, 91, 3, 5], [2, 4, 92, 3, 5], [2, 4, 93, 94, 95, 96, 3, 5]]


@pytest.fixture
def network() -> Network:
    network = Network(SMALL)
    network.initialise(1)
    return network


def _one_by_one(network: Network, prompt: list[int]) -> list[int]:
    row = list(prompt)
    while len(row) < len(prompt) + CANVAS:
        with torch.no_grad():
            logits = network(torch.tensor([row]))[0, -1]
        logits[MASK] = -torch.inf
        token = int(logits.argmax())
        if token in (EOS, EOT):
            break
        row.append(token)
    return row[len(prompt) :]


def test_a_batch_answers_as_each_row_alone(network: Network) -> None:
    with torch.no_grad():  # an end that comes now and then
        network.model.transformer.wte.weight[EOT] *= 3
    answers = [answer.tokens for answer in decode(network, PROMPTS)]
    assert answers == [_one_by_one(network, prompt) for prompt in PROMPTS]


def test_an_answer_that_does_not_end_stops_at_the_canvas(network: Network) -> None:
    with torch.no_grad():
        network.model.transformer.wte.weight[[EOS, EOT]] = 0
        network.model.transformer.wte.weight[200] = 1
    for answer in decode(network, PROMPTS):
        assert len(answer.tokens) == CANVAS == answer.forwards


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A verifier of the full size and its scores."""
    network = Network(SHAPE)
    network.initialise(1)
    save(tmp_path, network, Progress(3, 1, 5, 5, 1024, 0.5, "cpu"))
    groups = ("one", "many", "in_conversation", "foreign", "foreign_handwritten")
    summary = {f"em_{group}": 91.5 for group in groups}
    report = {"limit": 80, RULE: {"summary": summary, "tasks": {n: {"em": 95.0} for n in TASKS}}}
    report[RULE]["tasks"]["sum_direct"]["em"] = 22.5  # type: ignore[index]
    (tmp_path / "scores.json").write_text(json.dumps(report))
    row: dict[str, Any] = {"n": 20, "score": 97.0, "tokens_per_forward": 16.46}
    quality = {"results": {"apd 0.5": {"one": row, "many": row}}}
    (tmp_path / "quality.json").write_text(json.dumps(quality))
    return tmp_path


def test_what_is_published_says_how_good_it_is(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(scored, scored / "scores.json", out)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "model.safetensors", "MODEL_CARD.md"
    }  # fmt: skip
    card = (out / "MODEL_CARD.md").read_text()
    assert "1,869,504 parameters" in card
    assert "`sum_direct` 22.5." in card
    assert "drafts of `builtin:tiny`" not in card.split("## Alone")[1]
    export(scored, scored / "scores.json", out, scored / "quality.json")
    assert "| apd 0.5 | 97.0 | 16.5 | 97.0 | 16.5 |" in (out / "MODEL_CARD.md").read_text()


def test_what_is_too_large_is_not_published(
    scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "LARGEST_FILE", 1_000_000)
    with pytest.raises(SystemExit, match="too large"):
        export(scored, scored / "scores.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()
