"""`status`: what the operator reports. The schema follows these models; unknown keys are pruned."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, WithJsonSchema

from dfastllm_operator.api.structure import MapList, Struct

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Struct):
    """One aspect of the service, in the form all of Kubernetes uses."""

    type: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="Aspect: Ready, Progressing, Degraded, ConfigReady, ModelReady, RouteReady, "
        "ScalerReady or RolloutBlocked."
    )
    status: ConditionStatus = Field(description="Whether it holds: True, False or Unknown.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec this was found for."
    )
    last_transition_time: Time = Field(description="When the status changed last.")
    reason: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="Why, in one CamelCase word."
    )
    message: Annotated[str, StringConstraints(max_length=4096)] = Field(
        description="Why, in a sentence that says what to do."
    )


class Address(Struct):
    """Where the service is reached inside the cluster."""

    url: str | None = Field(default=None, description="Address inside the cluster.")


class SizingStatus(Struct):
    """How the resources of a replica were computed."""

    parameters: str | None = Field(
        default=None, description="Number of parameters, for example `8.02B`."
    )
    dtype: str | None = Field(default=None, description="Number format of the weights in memory.")
    weights: str | None = Field(
        default=None,
        description="Memory of the weights, the verifier's among them, as a quantity.",
    )
    verifier: str | None = Field(
        default=None, description="Memory of the verifier's weights, as a quantity."
    )
    kv_cache: str | None = Field(
        default=None, description="Memory of the K/V cache for all running answers, as a quantity."
    )
    overhead: str | None = Field(
        default=None, description="Memory for activations, logits and the runtime, as a quantity."
    )
    total: str | None = Field(default=None, description="Memory of all that, as a quantity.")
    source: str | None = Field(
        default=None, description="Where the size of the model was taken from."
    )
    explanation: str | None = Field(default=None, description="The arithmetic in one line.")


class LastError(Struct):
    """The latest thing that went wrong."""

    message: str = Field(description="What went wrong, in plain words.")
    time: Time = Field(description="When.")


class RolloutSlot(Struct):
    """A revision and where it runs."""

    revision: str = Field(description="Hash of the revision.")
    slot: str = Field(description="InferenceService that runs it: a or b, the end of its name.")


class RolloutLeaving(RolloutSlot):
    """A revision on its way out."""

    since: Time = Field(description="Since when nothing leads traffic to it.")
    replicas: int = Field(ge=0, description="Replicas it keeps until it is drained.")
    addressed: bool | None = Field(
        default=None, description="Whether the address inside the cluster still leads to it."
    )
    drained: bool | None = Field(default=None, description="Whether it may go.")
    cut: int | None = Field(
        default=None, ge=0, description="Requests that were running then, as far as pods told."
    )
    unanswered: int | None = Field(
        default=None, ge=0, description="Pods that did not tell how many they had."
    )


class RolloutTally(Struct):
    """What was counted against the candidate."""

    failures: int | None = Field(default=None, ge=0, description="Failed looks in this step.")
    errors: int | None = Field(
        default=None, ge=0, description="Looks in a row at which the source could not be read."
    )
    inconclusive: int | None = Field(
        default=None, ge=0, description="Looks in a row that said nothing."
    )
    losses: int | None = Field(
        default=None, ge=0, description="Times it had traffic and was not ready."
    )
    lost_at: Time | None = Field(default=None, description="When it was not ready last.")
    measured_at: Time | None = Field(default=None, description="When was looked last.")


class RolloutHandled(Struct):
    """Orders that were carried out or refused, as they stand in the annotations."""

    promote: str | None = Field(default=None, description="The latest `rollout-promote`.")
    abort: str | None = Field(default=None, description="The latest `rollout-abort`.")
    retry: str | None = Field(default=None, description="The latest `rollout-retry`.")


class RolloutMeasurement(Struct):
    """One check of the latest look; values as text with their units."""

    metric: str = Field(description="What was checked.")
    outcome: str = Field(description="Pass, Fail, Inconclusive, Error, Waiting, or Shown.")
    bound: str | None = Field(default=None, description="The bound and its value.")
    candidate: str | None = Field(default=None, description="Value of the candidate.")
    stable: str | None = Field(default=None, description="Value of stable.")
    samples: int | None = Field(
        default=None, ge=0, description="Requests on the side that had fewer."
    )
    reason: str | None = Field(default=None, description="Why, in one CamelCase word.")
    message: str | None = Field(default=None, description="Why, in a sentence.")


class RolloutNews(Struct):
    """What the Event of a move says; with the move it is written, then it is told."""

    time: Time = Field(description="When the move was written.")
    type: str = Field(description="Normal or Warning.")
    reason: str = Field(description="Why, in one CamelCase word.")
    message: str = Field(description="What moved, in a sentence.")


class RolloutReport(Struct):
    """The rollout as it was decided last; what is at its default is left out."""

    phase: str = Field(
        description="Stable, Preparing, Stepping, Analyzing, Paused, Promoting, Finalizing, "
        "RollingBack, Failed or Superseded."
    )
    since: Time | None = Field(default=None, description="When the phase was entered.")
    stable: RolloutSlot | None = Field(default=None, description="The revision that serves.")
    candidate: RolloutSlot | None = Field(default=None, description="The revision on trial.")
    leaving: RolloutLeaving | None = Field(default=None, description="The revision on its way out.")
    progress: str | None = Field(
        default=None, description="The step and how many there are, for example `1/3`."
    )
    step: int | None = Field(default=None, ge=0, description="Index of the step; absent: 0.")
    weight: int | None = Field(
        default=None, ge=0, le=100, description="Percent the candidate is to have; absent: 0."
    )
    confirmed: int | None = Field(
        default=None, ge=0, le=100, description="Percent that the route reported last."
    )
    confirmed_at: Time | None = Field(default=None, description="When it did.")
    step_since: Time | None = Field(default=None, description="When the step was entered.")
    extended: bool | None = Field(
        default=None, description="Whether it has its time once more, as nothing had been done."
    )
    exposed: bool | None = Field(default=None, description="Whether it was given traffic once.")
    replicas: int | None = Field(default=None, ge=0, description="Size of the candidate.")
    floor: int | None = Field(default=None, ge=0, description="Replicas stable began with.")
    cause: str | None = Field(default=None, description="Why it is held or was ended, in a word.")
    message: str | None = Field(default=None, description="Why, in a sentence.")
    promoting: bool | None = Field(
        default=None, description="Whether it was being promoted when it was held."
    )
    ordered: bool | None = Field(
        default=None, description="Whether that promotion was somebody's order."
    )
    failed: str | None = Field(default=None, description="Revision that is not tried again.")
    tally: RolloutTally | None = Field(default=None, description="What counts against it.")
    handled: RolloutHandled | None = Field(default=None, description="Orders that are done with.")
    measurements: Annotated[tuple[RolloutMeasurement, ...], Field(max_length=32)] = Field(
        default=(), description="The latest look."
    )
    measured: str | None = Field(default=None, description="The latest look in one line.")
    moves: Annotated[tuple[RolloutNews, ...], Field(max_length=32)] = Field(
        default=(), description="The latest moves that are told, oldest first."
    )
    news: RolloutNews | None = Field(
        default=None,
        description="The latest move, as operators before `moves` wrote it. It is read, and not "
        "written any more.",
    )


class Status(Struct):
    """What is the case."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that this status is about."
    )
    phase: str | None = Field(
        default=None,
        description="The whole in a word: Pending, Starting, Ready, Updating, Degraded, Failed, "
        "Paused or Stopped.",
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), MapList("type")] = Field(
        default=(), description="The parts in detail, one entry per type."
    )
    url: str | None = Field(default=None, description="Address from outside of the cluster.")
    address: Address | None = Field(default=None, description="Address inside the cluster.")
    replicas: int | None = Field(default=None, ge=0, description="Pods there are.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods that answer.")
    selector: str | None = Field(
        default=None, description="Label selector of the pods, for the scale subresource."
    )
    revision: str | None = Field(default=None, description="Hash of the revision that serves.")
    update_started: Time | None = Field(
        default=None, description="When the rollout of updatedRevision began."
    )
    updated_revision: str | None = Field(
        default=None,
        description="Hash of the revision that is wanted; equal when all is rolled out.",
    )
    slot: str | None = Field(
        default=None, description="InferenceService that serves: a or b, the end of its name."
    )
    render_version: int | None = Field(
        default=None, ge=1, description="Version of the templates the pods were made with."
    )
    model: str | None = Field(default=None, description="Where the served model lies.")
    gpu: str | None = Field(
        default=None, description="GPUs of a replica, for example `1x NVIDIA-A100-SXM4-80GB`."
    )
    sizing: SizingStatus | None = Field(
        default=None, description="How the resources of a replica were computed."
    )
    rollout: RolloutReport | None = Field(
        default=None, description="The canary rollout. Absent: none was ever asked for."
    )
    last_error: LastError | None = Field(
        default=None, description="The latest thing that went wrong. Absent: nothing."
    )
