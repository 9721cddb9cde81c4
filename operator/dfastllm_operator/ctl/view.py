"""A rollout as it stands in a CR, read for people. Pure, and the one place that knows the fields.

Whatever is missing is shown as missing: the operator may be older than this command, or newer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.core import Json

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
    there is a candidate. `frozen` is `spec.paused`.
    """

    namespace: str
    name: str
    strategy: str = DEFAULT_STRATEGY
    phase: str = ""
    since: datetime | None = None
    step_since: datetime | None = None
    stable: SideView | None = None
    candidate: SideView | None = None
    weight: int = 0
    confirmed: int = 0
    step: int = 0
    steps: tuple[int, ...] = ()
    failures: int = 0
    failure_limit: int | None = None
    failed: str = ""
    cause: str = ""
    message: str = ""
    measurements: tuple[MeasurementView, ...] = ()
    frozen: bool = False
    deleting: bool = False

    @property
    def at_rest(self) -> bool:
        return not self.phase or self.phase in AT_REST

    @property
    def title(self) -> str:
        return f"{self.namespace}/{self.name}"


def view(cr: Json) -> RolloutView:
    """What the CR says of its rollout."""
    metadata, spec = cr["metadata"], cr.get("spec") or {}
    wanted = spec.get("rollout") or {}
    found = (cr.get("status") or {}).get("rollout") or {}
    weight = _int(found.get("weight")) or 0
    return RolloutView(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        strategy=_text(wanted.get("strategy")) or DEFAULT_STRATEGY,
        phase=_text(found.get("phase")),
        since=_time(found.get("since")),
        step_since=_time(found.get("stepSince")),
        stable=_side(found.get("stable"), 100 - weight),
        candidate=_side(found.get("candidate"), weight),
        weight=weight,
        confirmed=_int(found.get("confirmed")) or 0,
        step=_int(found.get("step")) or 0,
        steps=tuple(_int(step.get("weight")) or 0 for step in wanted.get("steps") or ()),
        failures=_int((found.get("tally") or {}).get("failures")) or 0,
        failure_limit=_int((wanted.get("analysis") or {}).get("failureLimit")),
        failed=_text(found.get("failed")),
        cause=_text(found.get("cause")),
        message=_text(found.get("message")),
        measurements=tuple(_measurement(entry) for entry in found.get("measurements") or ()),
        frozen=bool(spec.get("paused")),
        deleting="deletionTimestamp" in metadata,
    )


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
