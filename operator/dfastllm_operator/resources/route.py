"""The way in from outside: an HTTPRoute of ours where there is a Gateway, else KServe's own.

KServe 0.20 resets the weights of its route at each reconcile, so ours replaces it.
"""

from collections.abc import Sequence

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec
from dfastllm_operator.claims import made_hostname
from dfastllm_operator.core import Child, Placement, Platform
from dfastllm_operator.kinds import HTTP_ROUTE
from dfastllm_operator.resources.metadata import child
from dfastllm_operator.resources.service import SERVICE_PORT


def http_route(
    service: DFastLLMService, placements: Sequence[Placement], platform: Platform
) -> Child | None:
    """Traffic by weight to the Services that KServe makes for the slots; None: not our route."""
    gateway = own_gateway(service.spec, platform)
    if gateway is None:
        return None
    namespace, _, name = gateway.partition("/")
    backends = [
        {
            "name": names.predictor(service.name, service.namespace, placement.slot),
            "port": SERVICE_PORT,
            "weight": placement.weight,
        }
        for placement in placements
        if placement.weight is not None
    ]
    return child(
        service,
        HTTP_ROUTE,
        names.dns_label(service.name),
        {
            "spec": {
                "parentRefs": [{"namespace": namespace, "name": name}],
                "hostnames": [hostname_of(service, platform)],
                "rules": [
                    {
                        "backendRefs": backends,
                        "timeouts": {"request": gateway_duration(service.spec.ingress.timeout_s)},
                    }
                ],
            }
        },
    )


def gateway_duration(total_s: int) -> str:
    """Seconds as the Gateway API spells them: at most five digits before a unit."""
    hours, rest = divmod(total_s, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def own_gateway(spec: Spec, platform: Platform) -> str | None:
    """`namespace/name` of the Gateway that a route of ours hangs on, if there is to be one.

    By configuration alone: whether the Gateway API is served now changes no pod and no hostname.
    """
    if not spec.ingress.enabled:
        return None
    return spec.ingress.gateway or platform.gateway


def hostname_of(service: DFastLLMService, platform: Platform) -> str:
    """What the user says, else as KServe forms it, within the length of a DNS label."""
    said = service.spec.ingress.hostname
    if said is not None:
        return said
    return made_hostname(service.key, platform.domain)
