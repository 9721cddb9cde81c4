"""A rollout as it stands in a CR, read for people. Pure, and the one place that knows the fields.

Whatever is missing is shown as missing: the operator may be older than this command, or newer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import DEFAULT_STEPS
from dfastllm_operator.conditions import ConditionType, Reason
from dfastllm_operator.core import Json
from dfastllm_operator.gates.plan import Limits

DEFAULT_STRATEGY = "RollingUpdate"
AT_REST = (RolloutPhase.STABLE, RolloutPhase.FAILED)
"""Phases that only a change of the CR ends."""


@dataclass(frozen=True, slots=True)
class SideView:
    """One of the two revisions, and the share of the traffic it is to have."""

    revision: str
    slot: str = ""
    weight: int = 0


@dataclass(frozen=True, slots=True)
class StepView:
    """A step that is planned: its weight, and how long it is held, as written."""

    weight: int
    pause: str = ""


@dataclass(frozen=True, slots=True)
class MeasurementView:
    """One check of the latest look, values as text."""

    metric: str
    outcome: str
    bound: str = ""
    candidate: str = ""
    stable: str = ""
    samples: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class RolloutView:
    """All that is shown of a rollout.

    `phase` is empty for a service without one. `weight` is the candidate's as it is wanted,
    `confirmed` as the route reported it last. `step` counts from 0; it means something as long as
    there is a candidate. `leaving` is on its way out since `leaving_since`. `frozen` is
    `spec.paused`.

    `heard`: the operator has looked at the latest change. `progressing` and `progress` are status
    and reason of the condition Progressing, `progress_message` its sentence. `held` says why a
    change waits that asks for a canary.
    """

    namespace: str
    name: str
    strategy: str = DEFAULT_STRATEGY
    phase: str = ""
    since: datetime | None = None
    step_since: datetime | None = None
    stable: SideView | None = None
    candidate: SideView | None = None
    leaving: SideView | None = None
    leaving_since: datetime | None = None
    weight: int = 0
    confirmed: int = 0
    step: int = 0
    steps: tuple[StepView, ...] = ()
    failures: int = 0
    failure_limit: int = 0
    failed: str = ""
    cause: str = ""
    message: str = ""
    measurements: tuple[MeasurementView, ...] = ()
    frozen: bool = False
    deleting: bool = False
    heard: bool = True
    progressing: bool = False
    progress: str = ""
    progress_message: str = ""
    held: str = ""

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, and nothing waits."""
        if not self.heard or self.progressing or self.held:
            return False
        return not self.phase or self.phase in AT_REST

    @property
    def trouble(self) -> str:
        """Why what the spec asks for does not come, if something else than a canary keeps it."""
        if self.progress not in (Reason.BLOCKED, Reason.STALLED) or self.held:
            return ""
        return f"{self.progress}: {self.progress_message}"

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


def view(cr: Json) -> RolloutView:
    """What the CR says of its rollout."""
    metadata, spec, status = cr["metadata"], cr.get("spec") or {}, cr.get("status") or {}
    wanted, found = spec.get("rollout") or {}, status.get("rollout") or {}
    weight = _int(found.get("weight")) or 0
    leaving = found.get("leaving") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    progressing = conditions.get(ConditionType.PROGRESSING, {})
    return RolloutView(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        strategy=_text(wanted.get("strategy")) or DEFAULT_STRATEGY,
        phase=_text(found.get("phase")),
        since=_time(found.get("since")),
        step_since=_time(found.get("stepSince")),
        stable=_side(found.get("stable"), 100 - weight),
        candidate=_side(found.get("candidate"), weight),
        leaving=_side(leaving, 0),
        leaving_since=_time(leaving.get("since")),
        weight=weight,
        confirmed=_int(found.get("confirmed")) or 0,
        step=_int(found.get("step")) or 0,
        steps=_steps(wanted.get("steps")),
        failures=_int((found.get("tally") or {}).get("failures")) or 0,
        failure_limit=_int((wanted.get("analysis") or {}).get("failureLimit")) or Limits().failures,
        failed=_text(found.get("failed")),
        cause=_text(found.get("cause")),
        message=_text(found.get("message")),
        measurements=_measurements(found),
        frozen=bool(spec.get("paused")),
        deleting="deletionTimestamp" in metadata,
        heard=status.get("observedGeneration") == metadata.get("generation"),
        progressing=progressing.get("status") == "True",
        progress=_text(progressing.get("reason")),
        progress_message=_text(progressing.get("message")),
        held=_held(conditions.get(ConditionType.ROLLOUT_BLOCKED, {})),
    )


def _held(condition: Json) -> str:
    if condition.get("status") != "True":
        return ""
    return f"{_text(condition.get('reason'))}: {_text(condition.get('message'))}"


def _steps(wanted: list[Json] | None) -> tuple[StepView, ...]:
    """The operator's own where the CR names none."""
    if not wanted:
        return tuple(StepView(step.weight) for step in DEFAULT_STEPS)
    return tuple(StepView(_int(step.get("weight")) or 0, _pause(step)) for step in wanted)


def _pause(step: Json) -> str:
    pause = _text(step.get("pause"))
    return "" if pause.strip("0hms") == "" else pause


def _measurements(found: Json) -> tuple[MeasurementView, ...]:
    """Of this step: while the first look is still to come, those of the step before are no news."""
    measured = (found.get("tally") or {}).get("measuredAt")
    if found.get("phase") == RolloutPhase.ANALYZING and not measured:
        return ()
    return tuple(_measurement(entry) for entry in found.get("measurements") or ())


def _side(found: Any, weight: int) -> SideView | None:
    if not found or not found.get("revision"):
        return None
    return SideView(_text(found["revision"]), _text(found.get("slot")), weight)


def _measurement(entry: Json) -> MeasurementView:
    return MeasurementView(
        metric=_text(entry.get("metric")),
        outcome=_text(entry.get("outcome")),
        bound=_text(entry.get("bound")),
        candidate=_text(entry.get("candidate")),
        stable=_text(entry.get("stable")),
        samples=_int(entry.get("samples")) or 0,
        message=_text(entry.get("message")),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return None
