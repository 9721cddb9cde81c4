"""Looks at rollouts as chance makes them: each status is a sound one, and all else is possible."""

from datetime import UTC, datetime, timedelta
from random import Random

from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.observation import (
    Observation,
    Obstacle,
    Order,
    Orders,
    RouteSeen,
    SlotSeen,
)
from dfastllm_operator.canary.phase import IN_PROGRESS, WITHDRAWING, Cause, RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec, Step, Strategy
from dfastllm_operator.canary.state import Assigned, Handled, Leaving, RolloutStatus, Tally
from dfastllm_operator.gates.measurement import Measurement, Outcome
from dfastllm_operator.gates.plan import Limits, OnInconclusive, Plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEIGHTS = (0, 10, 100)
STEPS = ((Step(10), Step(100)), (Step(10, pause_s=5.0), Step(100)), (Step(10, pause_s=5.0),))


def look_in(phase: RolloutPhase, chance: Random) -> Look:
    """Somebody finds a rollout in `phase`."""
    status = _status(phase, chance)
    return Look(_spec(chance), status, _seen(status, chance), NOW)


def _spec(chance: Random) -> RolloutSpec:
    on_inconclusive = chance.choice(list(OnInconclusive))
    limits = Limits(failures=2, errors=2, inconclusive=2, on_inconclusive=on_inconclusive)
    return RolloutSpec(
        strategy=Strategy.CANARY if _mostly(chance) else Strategy.RECREATE,
        steps=chance.choice(STEPS),
        analysis=Plan(interval_s=2.0, warmup_s=0.0, limits=limits),
        progress_deadline_s=10.0,
        scale_down_delay_s=6.0,
        drain_timeout_s=8.0,
        max_gpus=chance.choice((None, 4, 8)),
        paused=not _mostly(chance),
    )


def _status(phase: RolloutPhase, chance: Random) -> RolloutStatus:
    leaving = phase is RolloutPhase.FINALIZING or (phase in WITHDRAWING and chance.random() < 0.5)
    candidate = phase in IN_PROGRESS or (phase in WITHDRAWING and not leaving)
    known = phase is not RolloutPhase.STABLE or _mostly(chance)
    weight = chance.choice(WEIGHTS) if candidate else 0
    may_be_failed = phase in (RolloutPhase.FAILED, RolloutPhase.ROLLING_BACK)
    return RolloutStatus(
        phase=phase,
        since=_before(chance),
        stable=Assigned("A", "a") if known else None,
        candidate=Assigned("B", "b") if candidate else None,
        leaving=_leaving(chance) if leaving else None,
        step=chance.choice((0, 1)),
        weight=weight,
        confirmed=weight if _mostly(chance) else 0,
        confirmed_at=_before(chance),
        step_since=_before(chance),
        extended=_coin(chance),
        exposed=_coin(chance),
        replicas=chance.choice((1, 2)),
        floor=1,
        cause=_cause(phase, chance),
        promoting=phase is RolloutPhase.PAUSED and _coin(chance),
        ordered=not _mostly(chance),
        failed="B" if may_be_failed and _mostly(chance) else "",
        tally=_tally(chance),
        handled=Handled(promote="B/0"),
    )


def _leaving(chance: Random) -> Leaving:
    addressed = not _mostly(chance)
    drained = not addressed and _coin(chance)
    return Leaving("B", "b", _before(chance), 1, addressed=addressed, drained=drained)


def _cause(phase: RolloutPhase, chance: Random) -> Cause | None:
    if phase is RolloutPhase.PAUSED and _coin(chance):
        return Cause.STEP_PAUSE
    return chance.choice((None, *Cause))


def _tally(chance: Random) -> Tally:
    return Tally(
        failures=chance.choice((0, 0, 0, 1)),
        errors=chance.choice((0, 1)),
        inconclusive=chance.choice((0, 1)),
        losses=chance.choice((0, 0, 2)),
        lost_at=chance.choice((None, _before(chance))),
        measured_at=chance.choice((None, _before(chance))),
    )


def _seen(status: RolloutStatus, chance: Random) -> Observation:
    other = chance.choice(("B", "B", "B", "C", ""))
    weight = status.weight if _mostly(chance) else chance.choice(WEIGHTS)
    route = RouteSeen({"a": 100 - weight, "b": weight}, current=_mostly(chance))
    return Observation(
        wanted=chance.choice(("A", *"BBBBBBB", "C")),
        slots={"a": _slot("A", chance), "b": _slot(other, chance)},
        route=route if _mostly(chance) else None,
        serving=chance.choice((None, ("a", "A"))),
        served="A",
        address=chance.choice(("", "a", "a", "b")),
        gpus=dict.fromkeys("ABC", chance.choice((0, 1, 2))),
        obstacles=() if _mostly(chance) else (Obstacle("GatewayApiMissing", "Install it."),),
        orders=Orders(**{kind: _order(chance) for kind in ("promote", "abort", "retry")}),
        measurement=_measurement(status, chance),
        scaler_healthy=None if _mostly(chance) else False,
        paused_since=None if _mostly(chance) else _before(chance),
    )


def _slot(revision: str, chance: Random) -> SlotSeen:
    if not revision:
        return SlotSeen(leaving=0 if _mostly(chance) else 1)
    wanted = chance.choice((1, 2, 3))
    ready = chance.choice((0, 1, wanted))
    return SlotSeen(
        revision=revision,
        wanted=wanted,
        ready=ready,
        ready_pods=ready,
        pods=wanted,
        running=chance.choice((0, 1)),
        hopeless=not _mostly(chance),
        refused="" if _mostly(chance) else "exceeded quota",
        unready_since=None if ready else _before(chance),
    )


def _order(chance: Random) -> Order | None:
    return None if _mostly(chance) else Order(chance.choice(("B", "C")), chance.choice("01"))


def _measurement(status: RolloutStatus, chance: Random) -> Measurement | None:
    if status.confirmed_at is None or _coin(chance):
        return None
    outcome = chance.choice(list(Outcome))
    entry = {"metric": "errorRate", "outcome": str(outcome)}
    return Measurement(NOW, status.confirmed_at, outcome, (), (entry,))


def _before(chance: Random) -> datetime:
    """A moment just gone, or one that every delay and deadline is over since."""
    return NOW - timedelta(seconds=chance.choice((1.0, 1.0, 30.0)))


def _coin(chance: Random) -> bool:
    return chance.random() < 0.5


def _mostly(chance: Random) -> bool:
    return chance.random() < 0.9
