"""A DFastLLMService as the operator works with it, read from what the API server stores.

`pod_inputs` and `pod_essence` cut out what changes a pod; a revision keeps the one and is named by
the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from pydantic import ValidationError

from dfastllm_operator.api.mistakes import describe
from dfastllm_operator.api.spec import Spec
from dfastllm_operator.api.structure import RECORDED, camel_name
from dfastllm_operator.core import Json, Key
from dfastllm_operator.errors import Refuse

POD_FIELDS = frozenset(
    {
        "model",
        "image",
        "decoding",
        "engine",
        "server",
        "resources",
        "node_selector",
        "tolerations",
        "affinity",
        "topology_spread_constraints",
        "priority_class_name",
        "shm_size",
        "termination_grace_period_seconds",
        "startup_timeout",
        "runtime_class_name",
        "service_account_name",
        "image_pull_secrets",
        "pod_labels",
        "pod_annotations",
        "env",
        "volumes",
        "auth",
        "rate_limit",
    }
)
"""Fields of the spec that change a pod; all others act without a restart."""

_POD_KEYS = frozenset(camel_name(name) for name in POD_FIELDS)


@dataclass(frozen=True, slots=True)
class DFastLLMService:
    """One custom resource: who it is and what it asks for."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: Spec
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    def with_spec(self, spec: Spec) -> Self:
        """The same object asking for something else, as for the pods of an older revision."""
        return replace(self, spec=spec)


def parse(raw: Json, *, rules: bool = True) -> DFastLLMService:
    """Read a stored object; `Refuse` names every field that is wrong and what is right.

    Without `rules` only what cannot be read at all is refused: an object may be older than a rule.
    """
    metadata = raw.get("metadata") or {}
    try:
        spec = Spec.model_validate(raw.get("spec") or {}, context=None if rules else RECORDED)
    except ValidationError as error:
        raise Refuse("InvalidSpec", describe(error, Spec)) from None
    return DFastLLMService(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        spec=spec,
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
    )


def pod_inputs(spec: Spec) -> Json:
    """All that changes a pod, defaults included, in the CR's spelling."""
    return spec.model_dump(mode="json", by_alias=True, include=set(POD_FIELDS), exclude_none=True)


def pod_essence(spec: Spec) -> Json:
    """What changes a pod and is no default: a new field with a default leaves this as it is.

    A default that was released never changes: stored objects have it written out.
    """
    dumped = spec.model_dump(
        mode="json", by_alias=True, include=set(POD_FIELDS), exclude_defaults=True
    )
    return {key: value for key, value in dumped.items() if value is not None}


def with_pod_inputs(spec: Spec, inputs: Json) -> Spec:
    """`spec` with the pods of a recorded revision: what is not in `inputs` is at its default."""
    others = spec.model_dump(mode="json", by_alias=True, exclude=set(POD_FIELDS), exclude_none=True)
    recorded = {key: value for key, value in inputs.items() if key in _POD_KEYS}
    return Spec.model_validate({**others, **recorded}, context=RECORDED)
