"""The stages of training: how many steps, at which learning rate, with which tasks favoured."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stage:
    """One resumable run: warm up, hold, then fall linearly to zero."""

    steps: int
    rate: float
    warm_up: int = 150
    hold: float = 0.4  # share of the steps before the fall begins
    boost: Mapping[str, float] = field(default_factory=dict)

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step when the stage takes `steps` in all."""
        rising = min(1.0, (step + 1) / self.warm_up)
        fall_from = self.hold * steps
        falling = min(1.0, (steps - step) / max(1.0, steps - fall_from))
        return self.rate * rising * falling


STAGES: dict[int, Stage] = {
    1: Stage(steps=11_191, rate=8e-3),
    2: Stage(
        steps=14_089,
        rate=6e-3,
        hold=0.25,
        boost={
            "add": 0.7,
            "sum_direct": 2.0,
            "sum_steps": 1.3,
            "sub": 1.2,
            "chain": 1.3,
            "word_problem": 1.3,
            "sort_words": 1.5,
            "count_letter": 1.5,
            "days_later": 3.0,
            "repeat": 2.0,
            "count": 2.0,
            "join": 1.5,
            "to_json": 1.2,
            "json_set": 1.5,
            "name_some": 2.0,
            "make_sum": 2.0,
            "shuffle": 1.4,
            "anagram": 0.5,
            "invent_sudoku": 0.6,
            "sentence": 0.7,
            "between": 0.6,
        },
    ),
}

VERIFIER = Stage(steps=1_473, rate=8e-3)
