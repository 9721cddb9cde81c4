"""What the operator is allowed to do, with the reason for each permission.

One table, from which the roles of manifests and chart are made and which a test holds equal to the
requests it recorded: a permission nobody uses is as wrong as one that is missing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dfastllm_operator import names
from dfastllm_operator.core import Json
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    EVENT,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    LEASE,
    NETWORK_POLICY,
    OWNED,
    POD,
    POD_MONITOR,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    Kind,
)

LEASE_NAME = names.FIELD_MANAGER


class Permission(NamedTuple):
    """One thing a request may do, as the API server authorises it."""

    group: str
    resource: str
    verb: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Verbs on a kind, or on one subresource of it, and why the operator needs them.

    With `only`, on the object of that name alone.
    """

    kind: Kind
    verbs: tuple[str, ...]
    why: str
    subresource: str = ""
    only: str = ""

    @property
    def resource(self) -> str:
        return "/".join(filter(None, (self.kind.plural, self.subresource)))

    def permissions(self) -> Iterator[Permission]:
        for verb in self.verbs:
            yield Permission(self.kind.group, self.resource, verb)

    def rule(self) -> Json:
        """As a Role holds it."""
        named = {"resourceNames": [self.only]} if self.only else {}
        return {
            "apiGroups": [self.kind.group],
            "resources": [self.resource],
            **named,
            "verbs": list(self.verbs),
        }


_CHILD = ("get", "list", "watch", "create", "patch", "delete")
_CHILDREN = {
    CONTROLLER_REVISION: "the record of each revision, so that a newer operator restarts nothing",
    CONFIG_MAP: "the file the server reads",
    SERVICE_ACCOUNT: "an account without rights for the pods",
    INFERENCE_SERVICE: "what KServe makes the pods from",
    SERVICE: "the address inside the cluster, which follows the serving slot",
    HTTP_ROUTE: "the address outside of the cluster",
    HPA: "autoscaling.type hpa",
    SCALED_OBJECT: "autoscaling.type keda",
    DISRUPTION_BUDGET: "one replica at a time when nodes are drained",
    NETWORK_POLICY: "networkPolicy.enabled",
    POD_MONITOR: "monitoring.enabled",
}

SERVICES: tuple[Grant, ...] = (
    Grant(SERVICE_RESOURCE, ("get", "list", "watch"), "what is asked for"),
    Grant(SERVICE_RESOURCE, ("patch",), "what became of it", subresource="status"),
    *(Grant(kind, _CHILD, _CHILDREN[kind]) for kind in OWNED),
    Grant(DEPLOYMENT, ("list", "watch"), "how far a rollout is"),
    Grant(DEPLOYMENT, ("patch",), "the size of a candidate beside a scaler", subresource="scale"),
    Grant(POD, ("list", "watch"), "why a replica is not ready"),
    Grant(ENDPOINT_SLICE, ("list", "watch"), "which replicas gateways send requests to"),
    Grant(SECRET, ("get",), "whether a Secret that a service names exists; never listed"),
    Grant(EVENT, ("create",), "one Event for each transition"),
)
"""In each namespace whose services are looked after."""

LEADERSHIP: tuple[Grant, ...] = (
    Grant(LEASE, ("create",), "the first replica that ever leads; a name cannot be told here"),
    Grant(LEASE, ("get", "update"), "which replica leads", only=LEASE_NAME),
)
"""In the operator's own namespace only."""

VIEWERS: tuple[Grant, ...] = (
    Grant(SERVICE_RESOURCE, ("get", "list", "watch"), "see services and how they are"),
)
EDITORS: tuple[Grant, ...] = (
    Grant(
        SERVICE_RESOURCE,
        ("create", "update", "patch", "delete", "deletecollection"),
        "ask for services",
    ),
    Grant(SERVICE_RESOURCE, ("get", "update", "patch"), "`kubectl scale`", subresource="scale"),
)


def permissions(grants: Iterable[Grant]) -> frozenset[Permission]:
    return frozenset(permission for grant in grants for permission in grant.permissions())
