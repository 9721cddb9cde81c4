"""`spec.rollout`: how a new revision takes over, and what may stop it."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from dfastllm_operator.api.duration import PATTERN, Duration, seconds
from dfastllm_operator.api.scaling import MOST_REPLICAS
from dfastllm_operator.api.structure import MapList, Rule, Struct
from dfastllm_operator.gates.metric import Better, MetricName
from dfastllm_operator.gates.plan import OnInconclusive

ALL = 100
FOREVER = "forever"
AUTO = "auto"
GATEWAYS_LAG_S = 5
_MORE_IS_BETTER = tuple(str(name) for name in MetricName if name.better is Better.HIGHER)
_IS_MORE = f"self.name in {list(_MORE_IS_BETTER)}"


class RolloutStrategy(StrEnum):
    """How a new revision takes over."""

    CANARY = "Canary"
    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"
    BLUE_GREEN = "BlueGreen"


class AnalysisSource(StrEnum):
    """Where the metrics are read."""

    SCRAPE = "scrape"  # the pods' own pages
    PROMETHEUS = "prometheus"


def _replicas(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_COUNT = "^(auto|[1-9][0-9]{0,3})$"
StepReplicas = Annotated[
    str,
    StringConstraints(pattern=_COUNT, max_length=4),
    BeforeValidator(_replicas),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _COUNT,
            "maxLength": 4,
            "minimum": 1,
            "maximum": MOST_REPLICAS,
        }
    ),
]
Pause = Annotated[
    str,
    StringConstraints(pattern=f"^{FOREVER}$|{PATTERN}", min_length=2, max_length=18),
]


class RolloutStep(Struct):
    """One share of the traffic."""

    weight: int = Field(ge=1, le=ALL, description="Percent of the requests the candidate gets.")
    pause: Pause = Field(
        default="0s",
        description="How long the weight is held at least, however good the metrics are, for "
        "example `10m`, and on until a look passes; `forever`: until somebody promotes.",
    )
    replicas: StepReplicas | None = Field(
        default=None,
        description="Replicas of the candidate in this step. Left out, or `auto`: in proportion to "
        "those of stable.",
    )
    mirror: int | None = Field(
        default=None, description="Refused: traffic mirroring does not exist yet; leave it out."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.mirror)",
            "rollout.steps[].mirror: traffic mirroring does not exist yet; leave it out",
            lambda step: step.mirror is None,
            ".mirror",
        ),
    )


class RolloutMetric(Struct):
    """The bounds of one metric."""

    name: MetricName = Field(description="Built-in metric.")
    max: float | None = Field(
        default=None,
        ge=0,
        description="Most that the candidate may have: a share from 0 to 1, seconds, or a count. "
        "Left out: no such bound.",
    )
    min: float | None = Field(
        default=None, ge=0, description="Least that the candidate must have. Left out: no bound."
    )
    max_regression: float | None = Field(
        default=None,
        ge=0,
        description="Percent that the candidate may be worse than stable. Left out: not compared.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.max) || has(self.min) || has(self.maxRegression)",
            "a metric of rollout.analysis needs a bound: set max, min or maxRegression",
            lambda metric: not (metric.max is metric.min is metric.max_regression is None),
        ),
        Rule(
            f"!has(self.min) || {_IS_MORE}",
            f"min is for metrics of which more is better ({', '.join(_MORE_IS_BETTER)}): use max",
            lambda metric: metric.min is None or metric.name.better is Better.HIGHER,
            ".min",
        ),
        Rule(
            f"!has(self.max) || !({_IS_MORE})",
            "max is for metrics of which less is better: use min or maxRegression",
            lambda metric: metric.max is None or metric.name.better is Better.LOWER,
            ".max",
        ),
        Rule(
            "!has(self.maxRegression) || self.name != 'restarts'",
            "metric restarts is not compared with stable: use max",
            lambda metric: metric.max_regression is None or metric.name is not MetricName.RESTARTS,
            ".maxRegression",
        ),
        Rule(
            f"!has(self.maxRegression) || !({_IS_MORE}) || self.maxRegression < 100.0",
            "maxRegression of a metric of which more is better must be below 100 percent: "
            "nothing is worse",
            lambda metric: (
                metric.max_regression is None
                or metric.name.better is Better.LOWER
                or metric.max_regression < ALL
            ),
            ".maxRegression",
        ),
    )


class RolloutAnalysis(Struct):
    """How candidate and stable are compared."""

    source: AnalysisSource = Field(
        default=AnalysisSource.SCRAPE,
        description="Where the metrics are read: `scrape` asks the pods, `prometheus` asks "
        "serverAddress.",
    )
    server_address: (
        Annotated[str, StringConstraints(pattern=r"^https?://[^ ]+$", min_length=8, max_length=512)]
        | None
    ) = Field(
        default=None,
        description="Address of Prometheus, for example `http://prometheus.monitoring.svc:9090`; "
        "with source prometheus only. Left out: none.",
    )
    interval: Duration = Field(
        default="30s",
        description="How often the metrics are looked at. What Prometheus scraped longer ago than "
        "this, and than 90 seconds, is stale.",
    )
    warmup: Duration = Field(
        default="30s",
        description="How long what follows a change of weight is left out of the comparison.",
    )
    min_samples: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Finished requests of the candidate that it takes to pass a step; for "
        "maxRegression as many of stable, too.",
    )
    metrics: Annotated[tuple[RolloutMetric, ...], Field(max_length=8), MapList("name")] = Field(
        default=(),
        description="What is judged. Left out: errorRate at most 0.01, no restarts, and "
        "tokensPerForward at most 30 percent below stable's.",
    )
    failure_limit: int = Field(
        default=2, ge=1, le=100, description="Failed looks in one step that roll back."
    )
    error_limit: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Looks in a row at which the source could not be read, to be undecided.",
    )
    inconclusive_limit: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Looks in a row that say nothing, for want of data or traffic, to be "
        "undecided.",
    )
    on_inconclusive: OnInconclusive = Field(
        default=OnInconclusive.PAUSE,
        description="What is done when undecided: `Pause` holds the weight, `Abort` gives stable "
        "all traffic back.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "duration(self.interval) >= duration('1s')",
            "rollout.analysis.interval must be at least 1s",
            lambda analysis: seconds(analysis.interval) >= 1,
            ".interval",
        ),
        Rule(
            "self.source != 'prometheus' || has(self.serverAddress)",
            "rollout.analysis.source prometheus needs serverAddress, the address of Prometheus",
            lambda analysis: (
                analysis.source is not AnalysisSource.PROMETHEUS
                or analysis.server_address is not None
            ),
            ".serverAddress",
        ),
        Rule(
            "!has(self.serverAddress) || self.source == 'prometheus'",
            "rollout.analysis.serverAddress is used with source prometheus only: set the source "
            "or leave it out",
            lambda analysis: (
                analysis.server_address is None or analysis.source is AnalysisSource.PROMETHEUS
            ),
            ".serverAddress",
        ),
    )


class Drain(Struct):
    """How a revision without traffic ends."""

    timeout: Duration | None = Field(
        default=None,
        description="Longest that running requests are waited for; what runs on then is cut. "
        "Left out: terminationGracePeriodSeconds, which it must not exceed.",
    )


_STEPS = (RolloutStep(weight=10), RolloutStep(weight=50), RolloutStep(weight=ALL))


class Rollout(Struct):
    """How a new revision takes over."""

    strategy: RolloutStrategy = Field(
        default=RolloutStrategy.ROLLING_UPDATE,
        description="`Canary`: beside the serving revision, with a little traffic first, judged "
        "by metrics. `RollingUpdate`: pod by pod. `Recreate`: the old pods go first. `BlueGreen` "
        "is refused: it does not exist yet.",
    )
    steps: Annotated[
        tuple[RolloutStep, ...], Field(min_length=1, max_length=20), MapList("weight")
    ] = Field(
        default=_STEPS,
        description="Shares of the traffic, one after the other; each must pass. Left out: 10, "
        "50 and 100 percent.",
        json_schema_extra=lambda schema: _without_default(schema),
    )
    analysis: RolloutAnalysis = Field(
        default=RolloutAnalysis(), description="How candidate and stable are compared."
    )
    progress_deadline: Duration | None = Field(
        default=None,
        description="Longest time for a candidate to get ready, and for the route to report a "
        "weight. Left out: startupTimeout and 5 minutes, which is also the most.",
    )
    scale_down_delay: Duration = Field(
        default="30s",
        description="How long a revision without traffic is left alone before it drains: gateways "
        "act some time after they report.",
    )
    drain: Drain = Field(
        default=Drain(),
        description="How a revision without traffic ends. Left out: by the default.",
    )
    max_gpus: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        alias="maxGPUs",
        description="Most GPUs that the whole service may grow to, with any strategy and from the "
        "first deployment on; in a canary rollout with the candidate and pods on their way out "
        "included. What serves is never scaled down for it, but by an update in place to pods with "
        "more GPUs. A scaler that is not the operator's is not bounded. Left out: no limit.",
    )
    revision_history_limit: int = Field(
        default=5,
        ge=0,
        le=100,
        description="Records of former revisions that are kept beside those in use, whatever the "
        "strategy. One that is asked for again is made from its record.",
    )
    paused: bool = Field(
        default=False,
        description="Hold the weight as it is. A candidate that fails is rolled back all the same.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.strategy != 'BlueGreen'",
            "rollout.strategy BlueGreen does not exist yet: choose Canary, RollingUpdate or "
            "Recreate",
            lambda rollout: rollout.strategy is not RolloutStrategy.BLUE_GREEN,
            ".strategy",
        ),
        Rule(
            "!has(self.steps) || self.steps.map(s, s.weight).isSorted()",
            "the weights of rollout.steps must ascend",
            lambda rollout: (
                [s.weight for s in rollout.steps] == sorted(s.weight for s in rollout.steps)
            ),
            ".steps",
        ),
        Rule(
            f"duration(self.scaleDownDelay) >= duration('{GATEWAYS_LAG_S}s')",
            f"rollout.scaleDownDelay must be at least {GATEWAYS_LAG_S}s: gateways act some time "
            "after they report",
            lambda rollout: seconds(rollout.scale_down_delay) >= GATEWAYS_LAG_S,
            ".scaleDownDelay",
        ),
    )


def _without_default(schema: dict[str, Any]) -> None:
    """The steps are not written into the object: who says none takes part in better ones."""
    schema.pop("default", None)
