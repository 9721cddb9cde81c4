"""A slot of the small world of rollouts, and its pods. Pure data."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Pod:
    """`gpus` that it may hold: while it is updated in place, those of the larger of the two."""

    ready_at: datetime | None
    gpus: int
    gone_at: datetime | None = None


@dataclass
class Slot:
    revision: str
    wanted: int
    pods: list[Pod] = field(default_factory=list)
    was_ready: bool = False
    exists: bool = True
    broken: bool = False
    weightless_since: datetime | None = None
    unaddressed_since: datetime | None = None
    unready_since: datetime | None = None

    @property
    def live(self) -> list[Pod]:
        """Those that are not on their way out."""
        return [pod for pod in self.pods if pod.gone_at is None]
