"""Parts of the small world of rollouts: slots, pods, behaviors, what was seen. Pure data."""

from dataclasses import dataclass, field
from datetime import datetime

from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.gates.measurement import Outcome


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


@dataclass
class Behavior:
    """How a revision behaves: `ready_s` None is never; `says` is what its metrics come out as.

    `refused` are the words of a quota.
    """

    ready_s: float | None = 3.0
    says: Outcome = Outcome.PASS
    gpus: int = 1
    running: int | None = 0
    unanswered: int = 0
    hopeless: bool = False
    refused: str = ""


@dataclass(frozen=True)
class Moved:
    """A transition by its words; `ready` are stable's ready pods then."""

    words: str
    before: RolloutStatus
    after: RolloutStatus
    ready: int
