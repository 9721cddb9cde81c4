"""The stages of the adaptation: how the learning rate goes, and when rounding begins."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """Warm up, hold, then fall linearly to `floor`."""

    warm_up: int
    hold: float  # share of the steps before the fall begins
    floor: float = 0.0
    peak: float = 1.0  # share of the full learning rate that is reached
    quantise_from: float = 0.5  # share of the steps after which factors are rounded as shipped

    def share_at(self, step: int, steps: int) -> float:
        """Return the share of the full learning rate of a step out of `steps`."""
        rising = min(1.0, (step + 1) / self.warm_up)
        fall_from = self.hold * steps
        falling = min(1.0, (steps - step) / max(1.0, steps - fall_from))
        return self.peak * rising * max(falling, self.floor)


STAGES: dict[int, Stage] = {
    0: Stage(warm_up=40, hold=0.3),  # a probe: all of the curve in little time
    1: Stage(warm_up=60, hold=1.0),  # resumed by stage 2 at its full rate
    2: Stage(warm_up=30, hold=0.0, floor=0.12),
    3: Stage(warm_up=30, hold=0.0, peak=0.3, quantise_from=0.3),
    4: Stage(warm_up=30, hold=0.0, peak=0.4, quantise_from=0.3),
}
