from dataclasses import replace
from typing import Any

import pytest

from dfastllm_operator.apply import Trouble
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Json, Key, Seen
from dfastllm_operator.decide import decide
from dfastllm_operator.judge import Situation
from dfastllm_operator.kinds import (
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
    POD_MONITOR,
    SCALED_OBJECT,
    SERVICE,
)
from dfastllm_operator.observe import Observed
from dfastllm_operator.revision import revision_hash
from dfastllm_operator.rollout import rollout
from dfastllm_operator.status import compose, condition, merge_patch, refused
from support.situations import (
    GATEWAY,
    HASH_LABEL,
    deployment,
    observed,
    platform,
    raw,
    route,
    service,
)

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:00Z"
HASH = revision_hash(service({}).spec)
ROUTED = platform(gateway=GATEWAY)


def status_of(look: Observed, *troubles: Trouble, overdue: bool = False, now: str = NOW) -> Json:
    plan = decide(look)
    at = Situation(look, plan, rollout(look, plan), troubles, overdue)
    return compose(at, now)


def words(status: Json, kind: str) -> tuple[str, str]:
    found = condition(status, kind)  # type: ignore[arg-type]
    return str(found["status"]), str(found["reason"])


def serving(**given: Any) -> Observed:
    spec = given.pop("spec", {})
    seen = [deployment(revision_hash(service(spec).spec), **given.pop("pods", {})), route()]
    return observed(spec, [*seen, *given.pop("seen", [])], on=given.pop("on", ROUTED), **given)


def test_a_service_with_every_replica_and_an_accepted_route_is_ready() -> None:
    status = status_of(serving())
    assert words(status, "Ready") == ("True", "Serving")
    assert words(status, "Progressing") == ("False", "Complete")
    assert words(status, "Degraded") == ("False", "AsExpected")
    assert status["phase"] == "Ready"
    assert status["revision"] == status["updatedRevision"] == HASH
    assert status["url"] == "http://demo-shop.example.com"
    assert status["address"]["url"] == "http://demo.shop.svc.cluster.local"
    assert status["observedGeneration"] == 3


def test_an_equal_situation_gives_an_equal_status_later() -> None:
    first = status_of(serving())
    again = status_of(serving(status=first), now=LATER)
    assert again == first


def test_the_time_of_a_condition_moves_with_its_status_only() -> None:
    first = status_of(serving())
    status = status_of(serving(status=first, pods={"ready": 0, "updated": 1}), now=LATER)
    assert condition(status, "Ready")["lastTransitionTime"] == LATER  # type: ignore[arg-type]
    assert condition(status, "RouteReady")["lastTransitionTime"] == NOW  # type: ignore[arg-type]


def test_before_kserve_acts_the_service_is_starting() -> None:
    status = status_of(observed({}, on=ROUTED))
    assert words(status, "ModelReady") == ("False", "WaitingForKServe")
    assert words(status, "Progressing") == ("True", "Creating")
    assert words(status, "Degraded") == ("False", "AsExpected")
    assert status["phase"] == "Starting"


def test_without_kserve_it_says_what_to_install() -> None:
    on = platform(missing=frozenset({INFERENCE_SERVICE}))
    status = status_of(observed({}, on=on))
    assert words(status, "ModelReady") == ("False", "KServeMissing")
    assert "install KServe" in str(condition(status, "Ready")["message"])  # type: ignore[arg-type]


def test_an_update_serves_and_progresses() -> None:
    before = status_of(serving())
    look = observed({"image": "server:2"}, [deployment(HASH), route()], status=before, on=ROUTED)
    status = status_of(look)
    assert words(status, "Ready") == ("True", "Serving")
    assert words(status, "Progressing") == ("True", "RollingOut")
    assert status["phase"] == "Updating"
    assert status["revision"] == HASH != status["updatedRevision"]


def test_an_update_that_takes_too_long_is_stalled_and_still_serves() -> None:
    before = status_of(serving())
    look = observed({"image": "server:2"}, [deployment(HASH), route()], status=before, on=ROUTED)
    status = status_of(look, overdue=True)
    assert words(status, "Ready")[0] == "True"
    assert words(status, "Degraded") == ("True", "Stalled")
    assert status["phase"] == "Degraded"


def test_a_stuck_update_says_why() -> None:
    before = status_of(serving())
    waiting = Seen(
        POD,
        {
            "metadata": {
                "name": "new",
                "labels": {
                    HASH_LABEL: revision_hash(service({"image": "server:2"}).spec),
                },
            },
            "status": {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}
                ]
            },
        },
    )
    look = observed(
        {"image": "server:2"}, [deployment(HASH), route(), waiting], status=before, on=ROUTED
    )
    status = status_of(look)
    message = str(condition(status, "Progressing")["message"])  # type: ignore[arg-type]
    assert message.startswith("0 of 1 replicas of the wanted revision serve.")
    assert "Insufficient cpu" in message


def test_a_service_that_runs_and_cannot_be_reached_has_failed() -> None:
    look = serving(spec={"ingress": {"hostname": "llm.example.org"}}, rival=Key("shop", "older"))
    assert status_of(look)["phase"] == "Failed"


def test_the_address_of_somebody_elses_service_is_not_given_out() -> None:
    trouble = Trouble(SERVICE, "demo", Reason.NAME_TAKEN, "Service demo exists")
    status = status_of(observed({}, on=ROUTED), trouble)
    assert "address" not in status
    assert words(status, "Degraded") == ("True", "NameTaken")


def test_a_pod_without_a_gpu_is_the_reason() -> None:
    waiting = Seen(
        POD,
        {
            "metadata": {"name": "p"},
            "status": {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/3 nodes: 3 Insufficient nvidia.com/gpu.",
                    }
                ]
            },
        },
    )
    status = status_of(serving(pods={"ready": 0, "updated": 1}, seen=[waiting]))
    assert words(status, "ModelReady") == ("False", "GPUUnavailable")
    assert words(status, "Ready") == ("False", "GPUUnavailable")
    assert status["lastError"]["time"] == NOW


def test_some_replicas_are_enough_to_be_ready_but_not_to_be_well() -> None:
    spec = {"replicas": {"min": 2}}
    first = status_of(serving(spec=spec, pods={"wanted": 2, "ready": 2}))
    status = status_of(
        serving(spec=spec, pods={"wanted": 2, "ready": 1, "updated": 2}, status=first),
        overdue=True,
    )
    assert words(status, "Ready")[0] == "True"
    assert words(status, "ModelReady") == ("True", "PartlyLoaded")
    assert words(status, "Degraded")[0] == "True"


def test_a_quota_is_told_from_other_refusals() -> None:
    failure = {
        "conditions": [
            {"type": "ReplicaFailure", "status": "True", "message": "pods: exceeded quota: q"}
        ]
    }
    status = status_of(serving(pods={"ready": 0, **failure}))
    assert words(status, "ModelReady") == ("False", "QuotaExceeded")


def test_no_replicas_is_stopped_and_no_fault() -> None:
    status = status_of(serving(spec={"replicas": {"min": 0}}, pods={"wanted": 0, "ready": 0}))
    assert words(status, "Ready") == ("False", "ScaledToZero")
    assert words(status, "Degraded")[0] == "False"
    assert status["phase"] == "Stopped"


def test_a_paused_service_says_so_and_keeps_its_revision() -> None:
    before = status_of(serving())
    look = observed(
        {"image": "server:2", "paused": True}, [deployment(HASH), route()], status=before, on=ROUTED
    )
    status = status_of(look)
    assert words(status, "Progressing") == ("False", "Paused")
    assert status["phase"] == "Paused"
    assert status["updatedRevision"] == HASH


@pytest.mark.parametrize(
    ("accepted", "message", "reason"),
    [("False", "no such listener", "RouteNotAccepted"), ("Unknown", "", "RoutePending")],
)
def test_a_route_that_is_not_accepted_keeps_the_service_from_being_ready(
    accepted: str, message: str, reason: str
) -> None:
    look = observed({}, [deployment(HASH), route(accepted=accepted, message=message)], on=ROUTED)
    status = status_of(look)
    assert words(status, "Ready") == ("False", reason)


def test_a_route_that_was_accepted_in_an_older_form_serves_on() -> None:
    old = route()
    old.body["metadata"]["generation"] = 2
    status = status_of(observed({}, [deployment(HASH), old], on=ROUTED))
    assert words(status, "RouteReady") == ("True", "Accepted")
    refused = route(accepted="False", message="no")
    refused.body["metadata"]["generation"] = 2
    status = status_of(observed({}, [deployment(HASH), refused], on=ROUTED))
    assert words(status, "RouteReady") == ("False", "RoutePending")


def test_a_hostname_of_an_older_service_is_refused() -> None:
    look = serving(spec={"ingress": {"hostname": "llm.example.org"}}, rival=Key("shop", "older"))
    assert words(status_of(look), "RouteReady") == ("False", "HostnameTaken")


def test_no_ingress_needs_no_route() -> None:
    look = observed({"ingress": {"enabled": False}}, [deployment(HASH)], on=ROUTED)
    status = status_of(look)
    assert words(status, "RouteReady") == ("True", "IngressDisabled")
    assert "url" not in status


def test_a_named_gateway_needs_the_gateway_api() -> None:
    on = platform(missing=frozenset({HTTP_ROUTE}))
    look = observed({"ingress": {"gateway": "a/b"}}, [deployment(HASH)], on=on)
    assert words(status_of(look), "RouteReady") == ("False", "GatewayAPIMissing")


def test_kserves_own_ingress_gives_the_url() -> None:
    isvc = Seen(
        INFERENCE_SERVICE,
        {
            "metadata": {"name": "demo-a"},
            "status": {
                "url": "http://demo-a-shop.example.com",
                "conditions": [{"type": "IngressReady", "status": "True"}],
            },
        },
    )
    status = status_of(observed({}, [deployment(HASH), isvc]))
    assert words(status, "RouteReady") == ("True", "KServeIngress")
    assert status["url"] == "http://demo-a-shop.example.com"


HPA_SPEC = {"replicas": {"min": 1, "max": 3}, "autoscaling": {"type": "hpa"}}
KEDA_SPEC = {
    "replicas": {"min": 1, "max": 3},
    "autoscaling": {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}},
}


def test_a_scaler_without_its_api_is_a_condition_and_the_service_serves() -> None:
    status = status_of(serving(spec=HPA_SPEC))
    assert words(status, "ScalerReady") == ("False", "MetricsAPIMissing")
    assert words(status, "Ready")[0] == "True"
    assert words(status, "Degraded") == ("True", "MetricsAPIMissing")
    on = platform(gateway=GATEWAY, missing=frozenset({SCALED_OBJECT}))
    status = status_of(serving(spec=KEDA_SPEC, on=on))
    assert words(status, "ScalerReady") == ("False", "KEDAMissing")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], ("Unknown", "ScalerPending")),
        ([{"type": "Ready", "status": "True"}], ("True", "Scaling")),
        ([{"type": "Ready", "status": "False", "message": "no"}], ("False", "ScalerFailed")),
    ],
)
def test_keda_is_believed(said: list[Json], expected: tuple[str, str]) -> None:
    scaled = Seen(SCALED_OBJECT, {"metadata": {"name": "demo"}, "status": {"conditions": said}})
    assert words(status_of(serving(spec=KEDA_SPEC, seen=[scaled])), "ScalerReady") == expected


def test_an_autoscaler_that_cannot_read_its_metric_says_so() -> None:
    conditions = [
        {"type": "AbleToScale", "status": "True"},
        {"type": "ScalingActive", "status": "False", "message": "no such metric"},
    ]
    seen = [Seen(HPA, {"metadata": {"name": "demo"}, "status": {"conditions": conditions}})]
    on = platform(gateway=GATEWAY, metrics_apis=frozenset({"custom.metrics.k8s.io"}))
    assert words(status_of(serving(spec=HPA_SPEC, seen=seen, on=on)), "ScalerReady") == (
        "False",
        "ScalerFailed",
    )


def test_monitoring_without_its_operator_degrades() -> None:
    on = platform(gateway=GATEWAY, missing=frozenset({POD_MONITOR}))
    status = status_of(serving(spec={"monitoring": {"enabled": True}}, on=on))
    assert words(status, "Degraded") == ("True", "MonitoringMissing")


def test_a_missing_permission_degrades_and_is_named() -> None:
    status = status_of(replace(serving(), blind="auth.apiKeysSecretRef: secrets is forbidden"))
    assert words(status, "Degraded") == ("True", "PermissionMissing")
    assert words(status, "Ready")[0] == "True"


def test_a_name_that_is_taken_is_a_problem_of_the_config() -> None:
    trouble = Trouble(SERVICE, "demo", Reason.NAME_TAKEN, "Service demo exists")
    status = status_of(observed({}, on=ROUTED), trouble)
    assert words(status, "ConfigReady") == ("False", "NameTaken")
    assert words(status, "Progressing") == ("False", "Blocked")


def test_an_inference_service_that_is_refused_says_by_whom() -> None:
    trouble = Trouble(
        INFERENCE_SERVICE, "demo-a", Reason.APPLY_FAILED, "webhook says no", terminal=True
    )
    status = status_of(observed({}, on=ROUTED), trouble)
    assert words(status, "ModelReady") == ("False", "Refused")
    assert words(status, "Degraded")[0] == "True"


def test_a_patch_makes_the_status_exactly_what_it_should_be() -> None:
    old = {"url": "x", "sizing": {"a": 1, "b": 2}, "conditions": [1, 2]}
    new = {"sizing": {"a": 3}, "conditions": [1], "phase": "Ready"}
    assert merge_patch(old, new) == {
        "url": None,
        "sizing": {"a": 3, "b": None},
        "conditions": [1],
        "phase": "Ready",
    }


def test_a_service_that_was_complete_has_its_time_anew() -> None:
    first = status_of(serving(spec={"replicas": {"min": 2}}, pods={"wanted": 2, "ready": 2}))
    again = status_of(
        serving(spec={"replicas": {"min": 2}}, pods={"wanted": 2, "ready": 1}, status=first),
        now=LATER,
    )
    assert again["updateStarted"] == LATER
    still = status_of(
        serving(spec={"replicas": {"min": 2}}, pods={"wanted": 2, "ready": 1}, status=again),
        now="2026-01-01T02:00:00Z",
    )
    assert still["updateStarted"] == LATER


def test_a_spec_that_cannot_be_read_keeps_what_is_known() -> None:
    before = status_of(serving())
    status = refused(raw({}, status=before), Reason.INVALID_SPEC, "model.uri: x", LATER)
    assert words(status, "ConfigReady") == ("False", "InvalidSpec")
    assert words(status, "Ready") == ("True", "Serving")
    assert words(status, "Degraded") == ("True", "UpdateBlocked")
    assert status["url"] == before["url"]
    fresh = refused(raw({}), Reason.INVALID_SPEC, "model.uri: x", NOW)
    assert words(fresh, "Ready") == ("False", "InvalidSpec")
    assert fresh["phase"] == "Failed"
