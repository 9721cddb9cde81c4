"""Services as the operator renders them, from a few lines of YAML."""

from collections.abc import Sequence
from typing import Any

from dfastllm_operator.api import DFastLLMService, parse
from dfastllm_operator.core import Child, Json, Placement, Platform, Resolved, Revision
from dfastllm_operator.kinds import OWNED, Kind
from dfastllm_operator.render import render
from dfastllm_operator.resources.pods import version_of
from dfastllm_operator.resources.runtime import OPERATOR_NAME
from dfastllm_operator.revision import new_revision
from dfastllm_operator.sizing import resources_of, size

IMAGE = "registry.example.com/dfastllm-server:0.1.0"
UID = "0b5c6b2e-6a7c-4a0f-9a3b-1f6f2f4a7c11"


def a_service(
    spec: Json | None = None, *, name: str = "chat", namespace: str = "team"
) -> DFastLLMService:
    metadata = {"name": name, "namespace": namespace, "uid": UID, "generation": 1}
    return parse({"metadata": metadata, "spec": spec or {"model": {"uri": "builtin://tiny"}}})


def a_platform(**said: Any) -> Platform:
    """`missing` may hold the names of kinds."""
    missing = frozenset(_kind(kind) for kind in said.pop("missing", ()))
    return Platform(server_image=IMAGE, runtime=OPERATOR_NAME, missing=missing, **said)


def resolved_of(service: DFastLLMService) -> Resolved:
    """What the operator fills in when no hub answers."""
    spec = service.spec
    requests, limits = resources_of(spec, size(spec, None))
    return Resolved(image=spec.image or IMAGE, requests=requests, limits=limits)


def revision_of(service: DFastLLMService) -> Revision:
    return new_revision(service.spec, resolved_of(service), version_of(service.spec))


def children_of(
    service: DFastLLMService,
    platform: Platform | None = None,
    *,
    kept: Sequence[Revision] = (),
) -> list[Child]:
    placement = Placement(slot="a", revision=revision_of(service), weight=100)
    return render(service, [placement], platform or a_platform(), kept=kept)


def body_of(children: Sequence[Child], kind: Kind) -> Json:
    """The one object of its kind."""
    (found,) = [child.body for child in children if child.kind == kind]
    return found


def _kind(name: str | Kind) -> Kind:
    return next(kind for kind in OWNED if name in (kind, kind.kind))
