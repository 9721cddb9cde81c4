"""What a decision says: the next status, or else what the cluster should look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dfastllm_operator.canary.observation import Obstacle
from dfastllm_operator.canary.state import RolloutStatus


@dataclass(frozen=True, slots=True)
class SlotWanted:
    """A slot that is to be there. `replicas` is pinned; None: the spec's number or the scaler's."""

    slot: str
    revision: str
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rollout leaves of stable's replicas; None: no bound but the spec's.

    With `steady` there is no scaling down.
    """

    floor: int | None = None
    cap: int | None = None
    steady: bool = False


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What the cluster should look like for a status that has been written.

    `weights` by slot are the route's, all its backends. `serving` is where the Service of the CR
    and the scaler point. `remove` are slots whose InferenceService goes now.
    """

    slots: tuple[SlotWanted, ...]
    weights: Mapping[str, int]
    serving: str
    bounds: Bounds = Bounds()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """One Event. `reason` is a CamelCase word."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Either the status moves, or the cluster is brought to what the status says; never both.

    `moved`: write `status`, with the resourceVersion of what was looked at, tell `news`, and decide
    again. Otherwise carry out `arrangement`; None: touch nothing. `blocked` says why a change that
    the spec asks for is held. `again` is when time alone changes the decision. `words` name the
    transition, as the state diagram does. `recording` is a revision of which a record is made
    first.
    """

    status: RolloutStatus
    moved: bool = False
    words: str = ""
    arrangement: Arrangement | None = None
    news: News | None = None
    blocked: Obstacle | None = None
    again: datetime | None = None
    recording: str = ""
