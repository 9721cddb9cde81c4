"""How traffic is split between two revisions: one adapter for each mechanism, one of them built.

The state machine knows shares of slots and what a canary lacks; what carries the shares is known to
the adapter and to what renders its objects. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dfastllm_operator.canary.observation import Obstacle, RouteSeen
from dfastllm_operator.conditions import Reason
from dfastllm_operator.delivery.gateway import Gateway
from dfastllm_operator.kinds import INFERENCE_SERVICE
from dfastllm_operator.observe import Observed


class Splitting(Protocol):
    """One mechanism."""

    def obstacles(self, observed: Observed) -> Iterator[Obstacle]:
        """What it lacks now; a canary begins only where it lacks nothing."""
        ...

    def seen(self, observed: Observed) -> RouteSeen | None:
        """The shares that are in force, None where nothing shares out."""
        ...


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """A mechanism that the service runs by, and that nobody has written yet."""

    reason: Reason
    message: str

    def obstacles(self, observed: Observed) -> Iterator[Obstacle]:
        yield Obstacle(self.reason, self.message)

    def seen(self, observed: Observed) -> RouteSeen | None:
        """What was begun through our route is ended there."""
        return GATEWAY.seen(observed)


GATEWAY = Gateway()
KNATIVE_MODES = frozenset({"Knative", "Serverless"})


def splitting_of(observed: Observed) -> Splitting:
    """By what KServe has made of the InferenceServices."""
    for seen in observed.of(INFERENCE_SERVICE):
        mode = (seen.body.get("status") or {}).get("deploymentMode")
        if mode in KNATIVE_MODES:
            return NotBuilt(
                Reason.KNATIVE,
                f"KServe runs InferenceService {seen.name} in {mode} mode, and a canary there is "
                "not built: let KServe run it in Standard mode, which needs the InferenceService "
                "made anew.",
            )
        if field := _native_canary(seen.body.get("spec") or {}):
            return NotBuilt(
                Reason.NATIVE_CANARY,
                f"{field} of InferenceService {seen.name} was set by somebody, and KServe's own "
                "canary is not used by the operator: take the field away.",
            )
    return GATEWAY


def _native_canary(spec: Mapping[str, Any]) -> str:
    """The field that KServe's own canary was asked for with; empty when it was not."""
    if spec.get("canary"):
        return "spec.canary"
    percent = (spec.get("predictor") or {}).get("canaryTrafficPercent")
    return "spec.predictor.canaryTrafficPercent" if percent is not None else ""
