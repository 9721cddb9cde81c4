"""Strategy names to objects; the one place that knows them all."""

from dfastllm.core import StrategyName
from dfastllm.decoding.apd import Apd
from dfastllm.decoding.confidence import Factor, Threshold
from dfastllm.decoding.fixed import Fixed
from dfastllm.decoding.schedule import SCHEDULES
from dfastllm.decoding.strategy import Strategy


def strategies(schedule: str) -> dict[str, Strategy]:
    """Every decoding rule by name, with the fixed quota of the model's `schedule`."""
    return {
        StrategyName.FIXED: Fixed(SCHEDULES[schedule]),
        StrategyName.THRESHOLD: Threshold(),
        StrategyName.FACTOR: Factor(),
        StrategyName.APD: Apd(),
    }
