"""Name, labels and owner of every child: what makes an object recognisably ours."""

from collections.abc import Mapping
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.core import Child, Json
from dfastllm_operator.kinds import SERVICE_RESOURCE, Kind


def child(
    service: DFastLLMService,
    kind: Kind,
    name: str,
    content: Json,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Child:
    """An object `name` of `kind`, owned by `service`; `content` is all beside the metadata.

    Our own labels win over `labels`.
    """
    metadata: Json = {
        "name": name,
        "namespace": service.namespace,
        "labels": {**(labels or {}), **names.labels(service.name)},
        "ownerReferences": [owner_reference(service)],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    head = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return Child(kind, {**head, **content})


def owner_reference(service: DFastLLMService) -> Json:
    """Without blockOwnerDeletion: it would need a permission and only delays the deletion."""
    return {
        "apiVersion": SERVICE_RESOURCE.api_version,
        "kind": SERVICE_RESOURCE.kind,
        "name": service.name,
        "uid": service.uid,
        "controller": True,
    }


def pod_selector(service: DFastLLMService) -> Json:
    """Label selector of all pods of the service, whatever their revision and slot."""
    return {"matchLabels": {names.SERVICE_LABEL: names.label_value(service.name)}}


def without_nulls(value: Any) -> Any:
    """For what users write freely: a server-side apply takes null for a field to remove."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    return value
