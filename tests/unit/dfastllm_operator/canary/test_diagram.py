from dfastllm_operator.analysis.outcome import Finding
from dfastllm_operator.analysis.series import Flaw
from dfastllm_operator.canary.diagram import mermaid
from dfastllm_operator.canary.events import Told, reasons
from dfastllm_operator.canary.machine import reason
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.table import TABLE
from dfastllm_operator.gates.measurement import Outcome


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
    for word in (*RolloutPhase, *Cause, *Told, *Outcome, *Finding, *Flaw):
        assert word.description.endswith(".")


def test_every_event_of_the_table_is_explained_and_no_other() -> None:
    told = {reason(row) for row in TABLE if not row.silent}
    explained = {word for word, _ in reasons()}
    assert told | {Told.STREAMS_CUT} == explained
