"""What is kept of a rollout in the status of the CR. Pure data; `record.py` spells it.

It is written before anything is done, with the resourceVersion it was decided on. Everything that
is done follows from it, so a restart at any point goes on where it stood.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.core import Json


@dataclass(frozen=True, slots=True)
class Assigned:
    """A revision and the slot it has."""

    revision: str
    slot: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A slot on its way out: nothing leads to it since `since`.

    The route reported so. `addressed`: the address inside the cluster leads to it all the same. It
    keeps `replicas` until it is `drained`. `cut` are the requests that were running then, as far as
    pods told: `unanswered` ones did not.
    """

    revision: str
    slot: str
    since: datetime
    replicas: int
    addressed: bool = False
    drained: bool = False
    cut: int = 0
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted against the candidate.

    `failures` count over the step, `errors` and `inconclusive` in a row; `measured_at` is the
    latest measurement that was counted. `losses` count over the rollout: each time the candidate
    had weight and stopped being ready, and each interval it stays so after `lost_at`.
    """

    failures: int = 0
    errors: int = 0
    inconclusive: int = 0
    losses: int = 0
    lost_at: datetime | None = None
    measured_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """Orders that were carried out or refused, as written in the annotations."""

    promote: str = ""
    abort: str = ""
    retry: str = ""


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """One rollout.

    `weight` is the candidate's share that is wanted, `confirmed` the one that the route reported
    last, at `confirmed_at`: the window of the analysis begins there. `since` is when the phase was
    entered, `step_since` when the step was, or its time began anew: for the last time when it is
    `extended`. `exposed`: the candidate was given weight once.
    `replicas` is the candidate's size, `floor` what stable had at the start. `cause` and `message`
    say why the rollout is held or was ended; `failed` is the revision that is not tried again.
    `promoting`: it was being promoted when it was held, `ordered` by somebody's order.
    `measurements` are those of the latest look, for people.
    """

    phase: RolloutPhase = RolloutPhase.STABLE
    since: datetime | None = None
    stable: Assigned | None = None
    candidate: Assigned | None = None
    leaving: Leaving | None = None
    step: int = 0
    weight: int = 0
    confirmed: int = 0
    confirmed_at: datetime | None = None
    step_since: datetime | None = None
    extended: bool = False
    exposed: bool = False
    replicas: int = 0
    floor: int = 0
    cause: Cause | None = None
    message: str = ""
    promoting: bool = False
    ordered: bool = False
    failed: str = ""
    tally: Tally = field(default_factory=Tally)
    handled: Handled = field(default_factory=Handled)
    measurements: tuple[Json, ...] = ()
