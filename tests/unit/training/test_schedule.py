"""The learning rate rises, holds and ends near zero, by steps alone."""

import pytest

from training.schedule import STAGES, Stage


@pytest.mark.parametrize("stage", STAGES.values())
def test_a_stage_warms_up_holds_and_cools_down(stage: Stage) -> None:
    rates = [stage.rate_at(step, stage.steps) for step in range(stage.steps)]
    assert rates[0] < stage.rate / 100
    assert rates[stage.warm_up] == stage.rate == max(rates)
    assert rates[int(stage.hold * stage.steps)] == stage.rate
    assert rates[-1] < stage.rate / 1000
