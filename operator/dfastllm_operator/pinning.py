"""The size of a candidate beside a scaler: written to its Deployment, which nobody else decides on.

KServe leaves the replicas of such a Deployment alone, and has no field of its own for them. Each
write goes through the scale subresource and is bound to what was looked at, so it never undoes what
was not heard of yet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from dfastllm_operator import names
from dfastllm_operator.api.scaling import ScalerType
from dfastllm_operator.apply import SCALERS, Applied, Trouble
from dfastllm_operator.conditions import Reason
from dfastllm_operator.contest import Contest
from dfastllm_operator.core import Json, Key
from dfastllm_operator.decide import Plan
from dfastllm_operator.errors import ApiError, Busy, Conflict, NotFound
from dfastllm_operator.kinds import DEPLOYMENT, INFERENCE_SERVICE, Kind
from dfastllm_operator.observe import Observed
from dfastllm_operator.rollout import made_by

logger = structlog.get_logger("reconcile")


class ScaleWriter(Protocol):
    """The part of `cluster.Cluster` that pinning uses."""

    async def scale(self, kind: Kind, seen: Json, replicas: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Pin:
    """A Deployment that asks for another number of replicas than it is to have."""

    deployment: Json
    replicas: int

    @property
    def name(self) -> str:
        return str(self.deployment["metadata"]["name"])

    @property
    def present(self) -> int:
        return replicas_in(self.deployment)


def replicas_in(deployment: Json) -> int:
    return int((deployment.get("spec") or {}).get("replicas") or 0)


def pins(observed: Observed, plan: Plan) -> Iterator[Pin]:
    """What is to be written. Without a scaler nothing: the InferenceService has the number then."""
    service = observed.service
    if service.spec.autoscaling.type == ScalerType.NONE:
        return
    for place in plan.placements:
        if place.replicas is None:
            continue
        made = observed.owned(
            INFERENCE_SERVICE, names.inference_service(service.name, service.namespace, place.slot)
        )
        seen = observed.owned(
            DEPLOYMENT, names.predictor(service.name, service.namespace, place.slot)
        )
        if made is None or seen is None or not made_by(seen.body, made.body):
            continue
        if replicas_in(seen.body) != place.replicas:
            yield Pin(seen.body, place.replicas)


async def pin(
    writer: ScaleWriter, contest: Contest, key: Key, wanted: Sequence[Pin], done: Applied
) -> None:
    """Write them, and say so in `done`.

    Not while the scaler could not be told what is left to it. A Deployment that has changed since
    wakes its service.

    Raises `errors.Busy` when the API server does not answer, and LeaseLost.
    """
    if done.lacks(SCALERS):
        return
    for one in wanted:
        identity, applied = (key, f"{DEPLOYMENT}/{one.name}/scale"), str(one.replicas)
        if not contest.calm(identity, applied):
            said = f"{DEPLOYMENT} {one.name}: spec.replicas is changed by somebody else again"
            done.troubles.append(Trouble(DEPLOYMENT, one.name, Reason.CONTESTED, said))
            continue
        try:
            await writer.scale(DEPLOYMENT, one.deployment, one.replicas)
        except (Conflict, NotFound) as error:
            logger.debug("changed meanwhile", deployment=one.name, error=str(error))
            continue
        except ApiError as error:
            if isinstance(error, Busy):
                if error.status == 0:
                    raise
                done.busy = done.busy or error
            said = f"{DEPLOYMENT} {one.name}: {error}"
            done.troubles.append(Trouble(DEPLOYMENT, one.name, Reason.APPLY_FAILED, said))
            continue
        contest.written(identity, applied)
        done.writes.append(f"scale {DEPLOYMENT}/{one.name} ({one.present} to {one.replicas})")
