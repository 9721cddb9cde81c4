"""The transition table as a whole: what can be taken from where."""

from random import Random

import pytest

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.table import TABLE, transition
from support.rollout_looks import look_in

LOOKS = 6_000
"""In each phase, from fixed seeds: also the row that is met least often is so several times."""


@pytest.mark.parametrize("phase", list(RolloutPhase))
def test_no_row_of_the_table_is_hidden_by_the_ones_before(phase: RolloutPhase) -> None:
    chance = Random(f"looks in {phase}")
    taken = {transition(look_in(phase, chance)) for _ in range(LOOKS)}
    hidden = [row.words for row in TABLE if row.source is phase and row not in taken]
    assert not hidden


def test_no_two_rows_are_called_the_same() -> None:
    called = [(row.source, row.target, row.words) for row in TABLE]
    assert len(called) == len(set(called))
