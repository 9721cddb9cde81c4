"""Condition types, reasons and phases: every word that can stand in a status, with its meaning.

`docs/reference/conditions.md` is generated from this file, so that each reason is documented.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class Described(StrEnum):
    """A word and the sentence that explains it."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    @classmethod
    def named(cls, word: str) -> Self:
        """The member of that value; calling the class wants a description, as mypy sees it."""
        return next(member for member in cls if member == word)


class ConditionType(Described):
    """What is judged."""

    READY = "Ready", "Requests sent to the service are answered."
    PROGRESSING = "Progressing", "The cluster is on its way to what the spec asks for."
    DEGRADED = "Degraded", "Something is not as the spec asks, whether or not requests are served."
    CONFIG_READY = "ConfigReady", "The spec is complete, consistent and everything it names exists."
    MODEL_READY = "ModelReady", "At least one replica has loaded the model and takes requests."
    ROUTE_READY = "RouteReady", "Clients outside the cluster reach the service at `status.url`."
    SCALER_READY = "ScalerReady", "Replicas follow what `replicas` and `autoscaling` ask for."
    ROLLOUT_BLOCKED = (
        "RolloutBlocked",
        "A change is held: there can be no canary, or no room for pods with more GPUs. Only with "
        "`rollout.strategy` Canary or `rollout.maxGPUs`.",
    )


class Phase(Described):
    """The whole in one word, for printer columns and metrics. Judge by conditions, not by it."""

    PENDING = "Pending", "Nothing runs yet: the spec or the cluster lacks something."
    STARTING = "Starting", "The first replicas are being scheduled or load the model."
    READY = "Ready", "Serves what the spec asks for."
    UPDATING = "Updating", "Serves, while a new revision is rolled out."
    DEGRADED = "Degraded", "Serves, but not all is as the spec asks."
    FAILED = "Failed", "Does not serve, and will not without a change."
    PAUSED = "Paused", "`spec.paused` is set: nothing is changed or repaired."
    STOPPED = "Stopped", "Scaled to zero replicas."


class Reason(Described):
    """Why a condition is as it is."""

    # ConfigReady
    VALID = "Valid", "The spec was taken over."
    INVALID_SPEC = "InvalidSpec", "A field of the spec is refused; the message names it."
    SIZE_UNKNOWN = (
        "SizeUnknown",
        "The model's size is not known, so no memory can be asked for: set `model.size` or "
        "`resources`.",
    )
    DOES_NOT_FIT = "DoesNotFit", "The model needs more memory than `resources.gpu.memory` offers."
    RECORD_LOST = (
        "RecordLost",
        "The record of the serving revision was deleted, and the spec asks for another.",
    )
    SECRET_NOT_FOUND = "SecretNotFound", "A Secret that the spec names does not exist."
    NAME_TAKEN = (
        "NameTaken",
        "An object of a name the service needs exists and belongs to somebody else; it is left "
        "alone. Delete it or rename the service.",
    )

    # ModelReady
    LOADED = "Loaded", "The model is loaded in every replica that was asked for."
    PARTLY_LOADED = "PartlyLoaded", "Some replicas serve, others do not yet."
    KSERVE_MISSING = "KServeMissing", "The cluster has no InferenceService kind: install KServe."
    WAITING_FOR_KSERVE = "WaitingForKServe", "KServe has not made the Deployment yet."
    RUNTIME_NOT_FOUND = (
        "RuntimeNotFound",
        "KServe does not know the serving runtime: install the one that comes with the operator.",
    )
    REFUSED = "Refused", "The API server or a webhook refuses the InferenceService."
    GPU_UNAVAILABLE = "GPUUnavailable", "No node has enough free GPUs of the kind asked for."
    UNSCHEDULABLE = "Unschedulable", "No node fits the pod; the message is the scheduler's."
    QUOTA_EXCEEDED = "QuotaExceeded", "A ResourceQuota of the namespace leaves no room for a pod."
    IMAGE_PULL_FAILED = "ImagePullFailed", "The container image cannot be pulled."
    DOWNLOAD_FAILED = "DownloadFailed", "The storage initializer could not fetch the model."
    OUT_OF_MEMORY = "OutOfMemory", "The server was killed for using more memory than its limit."
    START_FAILED = (
        "StartFailed",
        "The container cannot be started, as when a Secret or key of `env` is missing.",
    )
    LOAD_FAILED = "LoadFailed", "The server ends before it is ready; see the pod's log."
    NODE_LOST = "NodeLost", "The node of a pod that was ready reports no more."
    EVICTED = (
        "Evicted",
        "A node has ended a pod, as for want of memory or disk, and the one made in its place is "
        "not ready yet; the message is the node's.",
    )
    LOADING = "Loading", "Pods are starting, fetching or loading the model."
    START_TIMED_OUT = "StartTimedOut", "No replica became ready within `startupTimeout`."
    SCALED_TO_ZERO = "ScaledToZero", "No replica is asked for."

    # RouteReady
    ACCEPTED = "Accepted", "The gateway serves the route."
    KSERVE_INGRESS = "KServeIngress", "KServe's own ingress serves the URL."
    INGRESS_DISABLED = "IngressDisabled", "`ingress.enabled` is false: reachable in-cluster only."
    GATEWAY_API_MISSING = (
        "GatewayAPIMissing",
        "A Gateway is configured, but the cluster has no HTTPRoute kind: install the Gateway API.",
    )
    NO_GATEWAY = (
        "NoGateway",
        "`ingress.hostname` is set, but there is no Gateway to serve it: set `ingress.gateway`, or "
        "`gateway` of the operator.",
    )
    ROUTE_PENDING = "RoutePending", "The gateway has not answered for the route yet."
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted", "The gateway refuses the route; the message is its."
    HOSTNAME_TAKEN = (
        "HostnameTaken",
        "Another service has the hostname already, or is older and claims it too.",
    )

    # ScalerReady
    FIXED = (
        "Fixed",
        "The number of replicas is `replicas.min`, or what `rollout.maxGPUs` leaves of it.",
    )
    EXTERNAL = "External", "Somebody else scales, as `autoscaling.type: external` says."
    SCALING = "Scaling", "The scaler works."
    SCALER_PENDING = "ScalerPending", "The scaler has not reported yet."
    KEDA_MISSING = "KEDAMissing", "`autoscaling.type: keda`, but the cluster has no KEDA."
    METRICS_API_MISSING = (
        "MetricsAPIMissing",
        "The scaler needs a metrics API that the cluster does not serve; the message names it.",
    )
    SCALER_FAILED = "ScalerFailed", "The scaler reports an error; the message is its."

    # RolloutBlocked
    NOT_BLOCKED = "NotBlocked", "No change is held."
    NO_ROOM = (
        "NoRoom",
        "The candidate does not fit beside stable, or larger pods do not fit in its place: "
        "`rollout.maxGPUs` or a ResourceQuota is in the way; the message says which.",
    )
    SLOT_BUSY = "SlotBusy", "Pods of a former revision still hold the candidate's slot."
    NO_OWN_ROUTE = (
        "NoOwnRoute",
        "No route of the operator's splits traffic: set `ingress.gateway`.",
    )
    KNATIVE = (
        "KnativeNotSupported",
        "KServe runs the service in Knative mode, whose way to split traffic is not built.",
    )
    NATIVE_CANARY = (
        "NativeCanaryNotSupported",
        "Somebody has KServe's own canary on the InferenceService, which is not built.",
    )
    NO_ENDPOINTS = (
        "NoEndpoints",
        "No EndpointSlice of stable's Service is known, so it could not be seen whether a "
        "candidate gets requests.",
    )

    # Progressing
    COMPLETE = "Complete", "Nothing is left to do."
    ROLLING_OUT = "RollingOut", "Replicas of a new revision are replacing the old ones."
    CREATING = "Creating", "The service is being set up."
    STALLED = "Stalled", "No progress within `startupTimeout`; what served before serves on."
    PAUSED = "Paused", "`spec.paused` is set."
    BLOCKED = "Blocked", "Something must change first; see the condition that is False."

    # Degraded
    AS_EXPECTED = "AsExpected", "Nothing is wrong."
    APPLY_FAILED = "ApplyFailed", "An object could not be written; it is tried again."
    PERMISSION_MISSING = (
        "PermissionMissing",
        "The operator's account lacks a right; the message is the API server's. Install its roles.",
    )
    CONTESTED = "Contested", "Another controller keeps changing a field of an object of ours."
    MONITORING_MISSING = (
        "MonitoringMissing",
        "`monitoring.enabled`, but the cluster has no PodMonitor kind: install the Prometheus "
        "operator.",
    )
    REPLICAS_MISSING = "ReplicasMissing", "Fewer replicas are ready than asked for."
    ROLLOUT_FAILED = (
        "RolloutFailed",
        "A candidate was rolled back and is not tried again by itself; stable serves.",
    )
    UPDATE_BLOCKED = "UpdateBlocked", "The last good revision serves; the new one is held back."

    # Ready
    SERVING = "Serving", "Requests are answered."


REASONS_OF: Mapping[ConditionType, tuple[Reason, ...]] = {
    ConditionType.READY: (Reason.SERVING,),
    ConditionType.PROGRESSING: (
        Reason.COMPLETE,
        Reason.CREATING,
        Reason.ROLLING_OUT,
        Reason.STALLED,
        Reason.BLOCKED,
        Reason.PAUSED,
    ),
    ConditionType.DEGRADED: (
        Reason.AS_EXPECTED,
        Reason.UPDATE_BLOCKED,
        Reason.ROLLOUT_FAILED,
        Reason.REPLICAS_MISSING,
        Reason.APPLY_FAILED,
        Reason.PERMISSION_MISSING,
        Reason.CONTESTED,
        Reason.MONITORING_MISSING,
    ),
    ConditionType.CONFIG_READY: (
        Reason.VALID,
        Reason.INVALID_SPEC,
        Reason.SIZE_UNKNOWN,
        Reason.DOES_NOT_FIT,
        Reason.SECRET_NOT_FOUND,
        Reason.RECORD_LOST,
        Reason.NAME_TAKEN,
    ),
    ConditionType.MODEL_READY: (
        Reason.LOADED,
        Reason.PARTLY_LOADED,
        Reason.LOADING,
        Reason.WAITING_FOR_KSERVE,
        Reason.SCALED_TO_ZERO,
        Reason.KSERVE_MISSING,
        Reason.RUNTIME_NOT_FOUND,
        Reason.REFUSED,
        Reason.GPU_UNAVAILABLE,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.IMAGE_PULL_FAILED,
        Reason.DOWNLOAD_FAILED,
        Reason.OUT_OF_MEMORY,
        Reason.START_FAILED,
        Reason.LOAD_FAILED,
        Reason.NODE_LOST,
        Reason.EVICTED,
        Reason.START_TIMED_OUT,
    ),
    ConditionType.ROUTE_READY: (
        Reason.ACCEPTED,
        Reason.KSERVE_INGRESS,
        Reason.INGRESS_DISABLED,
        Reason.ROUTE_PENDING,
        Reason.ROUTE_NOT_ACCEPTED,
        Reason.HOSTNAME_TAKEN,
        Reason.GATEWAY_API_MISSING,
        Reason.NO_GATEWAY,
    ),
    ConditionType.SCALER_READY: (
        Reason.FIXED,
        Reason.EXTERNAL,
        Reason.SCALING,
        Reason.SCALER_PENDING,
        Reason.SCALER_FAILED,
        Reason.KEDA_MISSING,
        Reason.METRICS_API_MISSING,
    ),
    ConditionType.ROLLOUT_BLOCKED: (
        Reason.NOT_BLOCKED,
        Reason.NO_ROOM,
        Reason.SLOT_BUSY,
        Reason.NO_OWN_ROUTE,
        Reason.KNATIVE,
        Reason.NATIVE_CANARY,
        Reason.NO_ENDPOINTS,
    ),
}
"""The reasons a condition has of its own, each at one condition; those of a healthy service first.

Others are passed on: Ready and Degraded say which part is to blame with that part's reason.
"""
