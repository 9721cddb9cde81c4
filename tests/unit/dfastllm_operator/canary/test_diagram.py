from dfastllm_operator.canary.diagram import mermaid
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.table import TABLE


def test_the_diagram_shows_every_change_of_phase_of_the_table() -> None:
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> Stable"]
    for row in TABLE:
        if row.source is not row.target:
            line = next(li for li in lines if li.startswith(f"    {row.source} --> {row.target}:"))
            assert row.words in line


def test_every_phase_can_be_entered_and_left() -> None:
    changes = [row for row in TABLE if row.source is not row.target]
    assert {row.target for row in changes} == set(RolloutPhase)
    assert {row.source for row in changes} == set(RolloutPhase)


def test_every_word_is_explained() -> None:
    for word in (*RolloutPhase, *Cause):
        assert word.description.endswith(".")
