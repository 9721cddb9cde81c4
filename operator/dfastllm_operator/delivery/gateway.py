"""Traffic by weights on the HTTPRoute of ours, to the two InferenceServices of a service. Pure.

`resources.route` writes the weights; here is what has become of them.
"""

from collections.abc import Iterator
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.canary.observation import Obstacle, RouteSeen
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Json
from dfastllm_operator.kinds import HTTP_ROUTE
from dfastllm_operator.observe import Observed
from dfastllm_operator.resources.route import own_gateway


class Gateway:
    """Works with every version of KServe, where there is a Gateway for routes."""

    def obstacles(self, observed: Observed) -> Iterator[Obstacle]:
        spec, platform = observed.service.spec, observed.platform
        gateway = own_gateway(spec, platform)
        if gateway is None:
            why = (
                "KServe's own route serves it, which splits no traffic: set ingress.gateway"
                if spec.ingress.enabled
                else "ingress.enabled is false: set it to true"
            )
            yield Obstacle(
                Reason.NO_OWN_ROUTE,
                f"A canary needs a route of the operator's on a Gateway, and {why}.",
            )
        elif not platform.serves(HTTP_ROUTE):
            yield Obstacle(
                Reason.GATEWAY_API_MISSING,
                "A canary needs the Gateway API, which the cluster does not serve: install it.",
            )
        elif observed.rival is not None:
            yield Obstacle(
                Reason.HOSTNAME_TAKEN,
                f"The hostname belongs to service {observed.rival}: set ingress.hostname to "
                "another.",
            )

    def seen(self, observed: Observed) -> RouteSeen | None:
        service = observed.service
        seen = observed.owned(HTTP_ROUTE, names.dns_label(service.name))
        if seen is None:
            return None
        slots = {
            names.predictor(service.name, service.namespace, slot): slot for slot in names.SLOTS
        }
        rules = (seen.body.get("spec") or {}).get("rules") or [{}]
        weights = {
            slots[str(backend.get("name"))]: int(backend.get("weight", 1))
            for backend in rules[0].get("backendRefs") or []
            if backend.get("name") in slots
        }
        return RouteSeen(weights, _is_current(seen.body))


def _is_current(route: Json) -> bool:
    """Its controller has accepted and resolved exactly this generation, at every parent it has."""
    generation = route["metadata"].get("generation")
    wanted = len((route.get("spec") or {}).get("parentRefs") or [])
    parents = (route.get("status") or {}).get("parents") or []
    good = [parent for parent in parents if _holds(parent, generation)]
    return 0 < wanted <= len(good)


def _holds(parent: Json, generation: Any) -> bool:
    true = {
        c.get("type")
        for c in parent.get("conditions") or []
        if c.get("status") == "True" and c.get("observedGeneration") == generation
    }
    return {"Accepted", "ResolvedRefs"} <= true
