"""`spec.replicas` and `spec.autoscaling`: how many pods serve, and who decides that."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.duration import Duration, seconds
from dfastllm_operator.api.structure import Rule, Struct

MOST_REPLICAS = 1000


class ScalerType(StrEnum):
    """Who decides on the number of replicas."""

    NONE = "none"  # nobody: replicas.min runs
    HPA = "hpa"  # a HorizontalPodAutoscaler made by the operator
    KEDA = "keda"  # a ScaledObject made by the operator
    EXTERNAL = "external"  # somebody else, on the Deployment


class ScalerMetric(StrEnum):
    """What is measured."""

    WAITING = "waiting"  # answers that wait, per replica
    RUNNING = "running"  # answers being computed, per replica
    CPU = "cpu"  # percent of the requested cpu


DEFAULT_TARGETS = {ScalerMetric.WAITING: 4, ScalerMetric.RUNNING: 6, ScalerMetric.CPU: 80}


class Replicas(Struct):
    """How many pods serve."""

    min: int = Field(
        default=1,
        ge=0,
        le=MOST_REPLICAS,
        description="Replicas that always run; without a scaler just that many run. 0 stops the "
        "service. This is what `kubectl scale` sets.",
    )
    max: int | None = Field(
        default=None,
        ge=1,
        le=MOST_REPLICAS,
        description="Most replicas a scaler may ask for; needed with autoscaling hpa and keda. "
        "Left out: no scaler.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.max) || self.min <= self.max",
            "replicas.min must not exceed replicas.max: raise max or lower min",
            lambda replicas: replicas.max is None or replicas.min <= replicas.max,
            ".min",
        ),
    )


class Keda(Struct):
    """Settings of the ScaledObject."""

    server_address: Annotated[
        str, StringConstraints(pattern=r"^https?://[^ ]+$", min_length=8, max_length=512)
    ] = Field(
        description="Address of Prometheus, for example `http://prometheus.monitoring.svc:9090`."
    )
    query: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        default=None,
        description="PromQL query with one result, the load of the whole service, which is "
        "divided by autoscaling.target. `$pods` in it stands for a regular expression of the pods "
        'of the serving revision, as in `sum(load{pod=~"$pods"})`: a query without it counts a '
        "canary's candidate too. Left out: made from autoscaling.metric.",
    )
    polling_interval: Duration = Field(
        default="15s", description="How often the query is asked, for example `15s`."
    )
    cooldown_period: Duration = Field(
        default="5m",
        description="How long there must be no load before the last replica goes, for example "
        "`5m`; only with replicas.min 0.",
    )
    fallback_replicas: int | None = Field(
        default=None,
        ge=1,
        le=MOST_REPLICAS,
        description="Replicas that run while Prometheus does not answer. Left out: replicas.min, "
        "but at least 1.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "duration(self.pollingInterval) >= duration('1s')",
            "keda.pollingInterval must be at least 1s",
            lambda keda: seconds(keda.polling_interval) >= 1,
            ".pollingInterval",
        ),
    )

    @property
    def polling_interval_s(self) -> int:
        return seconds(self.polling_interval)

    @property
    def cooldown_period_s(self) -> int:
        return seconds(self.cooldown_period)


class Autoscaling(Struct):
    """Who decides on the number of replicas between replicas.min and replicas.max."""

    type: ScalerType = Field(
        default=ScalerType.NONE,
        description="`none`: replicas.min runs. `hpa`: a HorizontalPodAutoscaler. `keda`: a "
        "ScaledObject (KEDA must be installed). `external`: somebody else sets the replicas of "
        "the Deployment, which is another one after each canary. A scaler of your own that scales "
        "the DFastLLMService needs `none`.",
    )
    metric: ScalerMetric = Field(
        default=ScalerMetric.WAITING,
        description="What is measured, per replica: `waiting` answers, `running` answers, or "
        "`cpu` (percent of the request).",
    )
    target: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Value of the metric, per replica, above which replicas are added. Left out: "
        "4 waiting, 6 running, or 80 percent of cpu.",
    )
    scale_down_stabilization: Duration = Field(
        default="10m",
        description="How long the load must stay low before replicas go, for example `10m`; not "
        "less than a replica needs to start.",
    )
    keda: Keda | None = Field(
        default=None, description="Settings for type `keda`; needs serverAddress."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.type != 'keda' || has(self.keda)",
            "autoscaling.type keda needs autoscaling.keda.serverAddress, the address of "
            "Prometheus, for example http://prometheus.monitoring.svc:9090",
            lambda scaler: scaler.type != ScalerType.KEDA or scaler.keda is not None,
            ".keda",
        ),
        Rule(
            "!has(self.keda) || self.type == 'keda'",
            "autoscaling.keda is used with autoscaling.type keda only: set the type or leave it "
            "out",
            lambda scaler: scaler.keda is None or scaler.type == ScalerType.KEDA,
            ".keda",
        ),
        Rule(
            "!has(self.keda) || !has(self.keda.query) || self.metric != 'cpu'",
            "autoscaling.keda.query replaces the metric: it cannot be used with metric cpu",
            lambda scaler: (
                scaler.keda is None
                or scaler.keda.query is None
                or scaler.metric != ScalerMetric.CPU
            ),
            ".metric",
        ),
        Rule(
            "self.metric != 'cpu' || !has(self.target) || self.target <= 100",
            "autoscaling.target is a percentage with metric cpu: at most 100",
            lambda scaler: (
                scaler.metric != ScalerMetric.CPU or scaler.target is None or scaler.target <= 100
            ),
            ".target",
        ),
        Rule(
            "duration(self.scaleDownStabilization) <= duration('1h')",
            "autoscaling.scaleDownStabilization must not exceed 1h, the limit of Kubernetes",
            lambda scaler: seconds(scaler.scale_down_stabilization) <= 3600,
            ".scaleDownStabilization",
        ),
    )

    @property
    def effective_target(self) -> int:
        return self.target if self.target is not None else DEFAULT_TARGETS[self.metric]

    @property
    def scale_down_stabilization_s(self) -> int:
        return seconds(self.scale_down_stabilization)
