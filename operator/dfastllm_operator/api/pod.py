"""Environment and placement of the pods, in Kubernetes' own words where it has them."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.names import DataKey, ObjectName
from dfastllm_operator.api.structure import Rule, Struct

SERVER_ENV = (
    "DFASTLLM_CONFIG",
    "DFASTLLM_MODEL",
    "DFASTLLM_SERVED_MODEL_NAME",
    "DFASTLLM_KSERVE_NAME",
    "DFASTLLM_HOST",
    "DFASTLLM_PORT",
    "DFASTLLM_API_KEYS_FILE",
)
"""Variables the operator sets, or that would contradict what it sets."""

KSERVE_ENV = (
    "INFERENCE_SERVICE_NAME",
    "MODEL_INIT_MODE",
    "MULTI_MODEL_SERVER",
    "PROTOCOL",
    "PYTHONPATH",
    "STORAGE_URI",
)
"""Variables KServe sets, acts upon or refuses."""

RESERVED_ENV = SERVER_ENV + KSERVE_ENV

_RESERVED = "[" + ", ".join(f"'{name}'" for name in RESERVED_ENV) + "]"
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]


class KeyRef(Struct):
    """A key of a Secret or ConfigMap of the same namespace."""

    name: ObjectName = Field(description="Name of the Secret or ConfigMap.")
    key: DataKey = Field(description="Key inside it.")
    optional: bool = Field(
        default=False,
        description="Start the pod although the object or its key is missing.",
    )


class FieldRef(Struct):
    """A field of the pod."""

    field_path: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="Path of the field, for example `metadata.name` or `status.podIP`."
    )


class ValueFrom(Struct):
    """Where a variable's value is taken from: exactly one of these."""

    secret_key_ref: KeyRef | None = Field(default=None, description="Key of a Secret.")
    config_map_key_ref: KeyRef | None = Field(default=None, description="Key of a ConfigMap.")
    field_ref: FieldRef | None = Field(default=None, description="Field of the pod itself.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)]"
            ".filter(given, given).size() == 1",
            "valueFrom takes exactly one of secretKeyRef, configMapKeyRef and fieldRef",
            lambda origin: (
                [
                    origin.secret_key_ref,
                    origin.config_map_key_ref,
                    origin.field_ref,
                ].count(None)
                == 2
            ),
        ),
    )


class Env(Struct):
    """A variable of the server's environment."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", min_length=1, max_length=128),
    ] = Field(description="Name of the variable.")
    value: Annotated[str, StringConstraints(max_length=8192)] | None = Field(
        default=None, description="Its value; or use valueFrom."
    )
    value_from: ValueFrom | None = Field(
        default=None, description="Where its value is taken from; or use value."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.value) != has(self.valueFrom)",
            "a variable has either value or valueFrom",
            lambda env: (env.value is None) != (env.value_from is None),
        ),
        Rule(
            f"!(self.name in {_RESERVED})",
            "this variable is set by the operator or by KServe; use the fields of the spec instead "
            "(model, engine, decoding, server, auth)",
            lambda env: env.name not in RESERVED_ENV,
            ".name",
        ),
        Rule(
            "!has(self.value) || !self.value.contains('{{')",
            "a value must not contain {{, which KServe takes for a template; put it into a "
            "ConfigMap and use valueFrom",
            lambda env: env.value is None or "{{" not in env.value,
            ".value",
        ),
    )


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EXISTS = "Exists"  # any value of the taint's key
    EQUAL = "Equal"  # key and value


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Struct):
    """A node taint the pods put up with."""

    key: Annotated[str, StringConstraints(max_length=317)] | None = Field(
        default=None,
        description="Key of the taint, for example `nvidia.com/gpu`. Left out: every key, with "
        "operator `Exists`.",
    )
    operator: TolerationOperator = Field(
        default=TolerationOperator.EQUAL,
        description="`Equal` compares the value, `Exists` takes any.",
    )
    value: Annotated[str, StringConstraints(max_length=63)] | None = Field(
        default=None, description="Value of the taint, for operator `Equal`. Left out: empty."
    )
    effect: TaintEffect | None = Field(
        default=None, description="Effect of the taint. Left out: every effect."
    )
    toleration_seconds: int | None = Field(
        default=None,
        ge=0,
        description="How long a `NoExecute` taint is put up with, in seconds. Left out: for ever.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.operator != 'Exists' || !has(self.value)",
            "operator Exists takes no value: leave value out or write operator Equal",
            lambda one: one.operator != TolerationOperator.EXISTS or one.value is None,
            ".value",
        ),
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "a toleration without a key needs operator Exists",
            lambda one: one.key is not None or one.operator == TolerationOperator.EXISTS,
            ".operator",
        ),
        Rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute",
            lambda one: one.toleration_seconds is None or one.effect == TaintEffect.NO_EXECUTE,
            ".tolerationSeconds",
        ),
    )


class Unsatisfiable(StrEnum):
    """What the scheduler does when pods cannot be spread as wished."""

    SCHEDULE_ANYWAY = "ScheduleAnyway"
    DO_NOT_SCHEDULE = "DoNotSchedule"


class TopologySpread(Struct):
    """How the replicas of this service are spread; the operator selects its own pods."""

    topology_key: LabelKey = Field(
        description="Node label whose values are the places to spread over, for example "
        "`kubernetes.io/hostname` or `topology.kubernetes.io/zone`."
    )
    max_skew: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Most pods that one place may have more than another.",
    )
    when_unsatisfiable: Unsatisfiable = Field(
        default=Unsatisfiable.SCHEDULE_ANYWAY,
        description="What happens when that is not possible: `ScheduleAnyway` or "
        "`DoNotSchedule` (the pod waits).",
    )
    min_domains: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Least number of places there must be, with `DoNotSchedule`. Left out: 1.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
            "minDomains needs whenUnsatisfiable DoNotSchedule",
            lambda one: (
                one.min_domains is None or one.when_unsatisfiable == Unsatisfiable.DO_NOT_SCHEDULE
            ),
            ".minDomains",
        ),
    )
