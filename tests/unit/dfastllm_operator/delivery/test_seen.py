from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfastllm_operator import names
from dfastllm_operator.canary.observation import Observation, Order, Running, SlotSeen
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.state import Assigned, Leaving, RolloutStatus
from dfastllm_operator.core import Key, Platform, Seen
from dfastllm_operator.decide import decide
from dfastllm_operator.delivery.placing import known_revisions
from dfastllm_operator.delivery.seen import observation, stored_status
from dfastllm_operator.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    SCALED_OBJECT,
    SERVICE,
    Kind,
)
from dfastllm_operator.revision import revision_hash
from support.custom_resources import TINY
from support.situations import GATEWAY, observed, platform, record, service
from support.slots import (
    OWNER,
    deployment,
    endpoints,
    inference_service,
    pod,
    route,
    slot,
)

OLD: dict[str, Any] = {"decoding": {"threshold": 0.7}}
NEW: dict[str, Any] = {"decoding": {"threshold": 0.8}}
H_OLD, H_NEW = (revision_hash(service(spec).spec) for spec in (OLD, NEW))
CANARY: dict[str, Any] = {"rollout": {"strategy": "Canary"}}
SERVES = {"updatedRevision": H_OLD, "revision": H_OLD, "slot": "a"}
ON_GATEWAY = platform(gateway=GATEWAY)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


HPA_BY_CPU: dict[str, Any] = {
    "replicas": {"max": 4},
    "autoscaling": {"type": "hpa", "metric": "cpu"},
}
KEDA: dict[str, Any] = {
    "replicas": {"max": 4},
    "autoscaling": {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}},
}


def scaler(kind: Kind, said: dict[str, str]) -> Seen:
    conditions = [{"type": name, "status": word} for name, word in said.items()]
    metadata = {"name": "demo", "ownerReferences": OWNER}
    return Seen(kind, {"metadata": metadata, "status": {"conditions": conditions}})


def owned(seen: Seen) -> Seen:
    return Seen(
        seen.kind,
        {**seen.body, "metadata": {**seen.body["metadata"], "ownerReferences": OWNER}},
    )


def look(
    spec: dict[str, Any],
    *seen: Seen,
    status: RolloutStatus | None = None,
    running: Running | None = None,
    stored: Mapping[str, Any] = SERVES,
    **given: Any,
) -> Observation:
    """`status` is the rollout's, `stored` all that is stored."""
    records = [owned(record(OLD)), owned(record(NEW))]
    found = observed(spec, [*records, *seen], **{"on": ON_GATEWAY, "status": stored, **given})
    plan = decide(found)
    kept = status or stored_status(found)
    return observation(found, plan, known_revisions(found, plan), kept, running=running)


def test_a_slot_is_what_kserve_made_of_it() -> None:
    seen = look({**NEW, **CANARY}, *slot("a", H_OLD, replicas=3, ready=2), route({"a": 100}))
    a = seen.slot("a")
    assert (a.revision, a.wanted, a.ready, a.pods, a.leaving) == (H_OLD, 3, 2, 3, 0)
    assert "demo-a-predictor-2" in a.symptom
    assert seen.slot("b") == SlotSeen(running=None)
    assert seen.slot("b").empty
    assert seen.wanted == H_NEW
    assert seen.serving == ("a", H_OLD)
    assert not seen.obstacles


def test_ready_is_what_gateways_know_of() -> None:
    known = [s for s in slot("a", H_OLD, replicas=3) if s.kind != ENDPOINT_SLICE]
    behind = look({**NEW, **CANARY}, *known, endpoints("a", 3, 1)).slot("a")
    assert (behind.ready, behind.ready_pods) == (1, 3)
    ahead = look({**NEW, **CANARY}, pod("a", H_OLD, ready=False), endpoints("a", 1, 1)).slot("a")
    assert (ahead.ready, ahead.ready_pods) == (0, 0), "the pod says so before its endpoint does"
    other = look({**NEW, **CANARY}, *known, endpoints("b", 3, 3)).slot("a")
    assert other.ready == 0


def test_without_endpoints_of_stable_a_change_is_held() -> None:
    blind = [s for s in slot("a", H_OLD) if s.kind != ENDPOINT_SLICE]
    stable = RolloutStatus(stable=Assigned(H_OLD, "a"))
    (obstacle,) = look({**NEW, **CANARY}, *blind, status=stable).obstacles
    assert obstacle.reason == "NoEndpoints"
    assert "demo-a-predictor" in obstacle.message
    assert not look({**NEW, **CANARY}, *slot("a", H_OLD), status=stable).obstacles


def test_pods_on_their_way_out_are_counted_apart() -> None:
    going = pod("b", H_NEW, 7, deletionTimestamp="2026-01-01T00:00:00Z")
    b = look({**OLD, **CANARY}, *slot("a", H_OLD), going).slot("b")
    assert (b.revision, b.pods, b.ready, b.leaving, b.empty) == ("", 0, 0, 1, False)


def test_while_pods_take_the_place_of_others_the_larger_ones_count() -> None:
    large: dict[str, Any] = {**OLD, "resources": {"gpu": {"count": 1}}}
    h_large = revision_hash(service(large).spec)
    both = [owned(record(large)), inference_service("a", h_large)]
    old, new = deployment("a", H_OLD, 2), deployment("a", h_large, 2)
    few, many = pod("a", H_OLD, 1), pod("a", h_large, 2)
    each = [
        look({**OLD, **CANARY}, *both, *seen).slot("a").gpus_each
        for seen in ((old, few), (new, few), (old, many), (new, many))
    ]
    assert each == [0, 1, 1, 1]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
@pytest.mark.parametrize("meta", [{}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}])
def test_a_pod_that_has_ended_holds_nothing(phase: str, meta: dict[str, str]) -> None:
    gpus = {"resources": {"gpu": {"count": 1}}}
    over = pod("a", H_OLD, 7, phase=phase, **meta)
    a = look({**NEW, **CANARY, **gpus}, *slot("a", H_OLD), over).slot("a")
    assert (a.pods, a.ready, a.ready_pods) == (1, 1, 1)
    assert (a.leaving, a.gpus_leaving, a.going) == (0, 0, ())
    alone = look({**NEW, **CANARY}, pod("b", H_NEW, phase=phase, **meta)).slot("b")
    assert alone.empty, "the next revision can have the slot"


def test_a_weight_is_believed_only_for_the_present_generation() -> None:
    both = {"a": 90, "b": 10}
    current = look({**NEW, **CANARY}, route(both)).route
    assert current is not None
    assert (current.weights, current.current) == (both, True)
    behind = look({**NEW, **CANARY}, route(both, reported=3)).route
    assert behind is not None
    assert not behind.current


def test_a_route_that_one_parent_does_not_resolve_is_not_current() -> None:
    seen = route({"a": 100})
    seen.body["status"]["parents"][0]["conditions"][1]["status"] = "False"
    found = look({**NEW, **CANARY}, seen).route
    assert found is not None
    assert not found.current


def test_the_address_leads_where_the_service_of_ours_selects() -> None:
    def inside(app: str, name: str = "demo") -> str:
        metadata = {"name": name, "ownerReferences": OWNER}
        body = {"metadata": metadata, "spec": {"selector": {"app": app}}}
        return look(NEW, Seen(SERVICE, body)).address

    assert inside("isvc.demo-a-predictor") == "a"
    assert inside("isvc.demo-b-predictor") == "b"
    assert inside("isvc.other-predictor") == ""
    assert inside("isvc.demo-a-predictor", "other") == ""
    assert look(NEW).address == ""


def test_without_a_route_there_is_none() -> None:
    assert look({**NEW, **CANARY}).route is None


def test_what_a_canary_lacks_is_an_obstacle() -> None:
    def reason(spec: dict[str, Any], **given: Any) -> str:
        return look({**NEW, **CANARY, **spec}, **given).obstacles[0].reason

    assert reason({}, on=platform()) == "NoOwnRoute"
    assert reason({"ingress": {"enabled": False}}) == "NoOwnRoute"
    missing = replace(ON_GATEWAY, missing=frozenset({HTTP_ROUTE}))
    assert reason({}, on=missing) == "GatewayAPIMissing"
    assert reason({}, rival=Key("shop", "other")) == "HostnameTaken"
    without_keda = replace(ON_GATEWAY, missing=frozenset({SCALED_OBJECT}))
    assert reason(KEDA, on=without_keda) == "KEDAMissing"


def test_a_scaler_is_no_obstacle() -> None:
    for spec in (HPA_BY_CPU, KEDA, {"autoscaling": {"type": "external"}}):
        assert not look({**NEW, **CANARY, **spec}).obstacles


@pytest.mark.parametrize(
    ("said", "healthy"),
    [
        ({}, None),
        ({"Ready": "Unknown"}, None),
        ({"Ready": "True"}, True),
        ({"Ready": "False"}, False),
    ],
)
def test_kedas_word_on_the_scaler_is_taken(said: dict[str, str], healthy: bool | None) -> None:
    seen = look({**NEW, **CANARY, **KEDA}, scaler(SCALED_OBJECT, said))
    assert seen.scaler_healthy is healthy


def test_an_autoscaler_must_be_able_to_scale_and_have_its_metrics() -> None:
    both = {"AbleToScale": "True", "ScalingActive": "True"}
    measured = replace(ON_GATEWAY, metrics_apis=frozenset({"metrics.k8s.io"}))

    def healthy(said: dict[str, str], on: Platform = measured) -> bool | None:
        return look({**NEW, **CANARY, **HPA_BY_CPU}, scaler(HPA, said), on=on).scaler_healthy

    assert healthy(both) is True
    assert healthy({**both, "ScalingActive": "False"}) is False
    assert healthy({"AbleToScale": "True"}) is None
    assert healthy({**both, "ScalingActive": "False"}, ON_GATEWAY) is None, "it never had metrics"


def test_without_a_scaler_of_ours_nobody_is_asked() -> None:
    assert look({**NEW, **CANARY}).scaler_healthy is None


def made(slot_: str, **said: Any) -> Seen:
    body = inference_service(slot_, H_OLD).body
    return Seen(INFERENCE_SERVICE, {**body, **said})


def test_other_ways_to_split_traffic_are_refused_in_words() -> None:
    def found(**said: Any) -> Observation:
        return look({**NEW, **CANARY}, made("a", **said), route({"a": 100}))

    for mode in ("Knative", "Serverless"):
        seen = found(status={"deploymentMode": mode})
        assert seen.obstacles[0].reason == "KnativeNotSupported"
        assert mode in seen.obstacles[0].message
        assert seen.route is not None, "what was begun by the route is ended there"
    for spec in ({"predictor": {"canaryTrafficPercent": 10}}, {"canary": [{"weight": 10}]}):
        assert found(spec=spec).obstacles[0].reason == "NativeCanaryNotSupported"
    assert not found(status={"deploymentMode": "Standard"}, spec={"predictor": {}}).obstacles


def test_a_quota_that_refuses_pods_is_no_room_and_any_other_refusal_a_symptom() -> None:
    def refused(message: str) -> SlotSeen:
        body = deployment("a", H_OLD, 1).body
        failure = {"type": "ReplicaFailure", "status": "True", "message": message}
        body["status"]["conditions"] = [failure]
        return look({**NEW, **CANARY}, Seen(DEPLOYMENT, body)).slot("a")

    quota = "pods is forbidden: exceeded quota: small, requested: pods=1"
    assert refused(quota).refused == quota
    denied = "admission webhook denied the request"
    assert (refused(denied).refused, refused(denied).symptom) == ("", denied)


def test_how_long_a_slot_has_no_ready_pod_is_what_its_objects_say() -> None:
    def unready(available: str, since: str | None, pod_since: str | None = None) -> SlotSeen:
        body = deployment("a", H_OLD, 1).body
        said = {"type": "Available", "status": available, "lastTransitionTime": since}
        body["status"]["conditions"] = [said]
        its = pod("a", H_OLD, ready=False)
        its.body["status"]["conditions"][0]["lastTransitionTime"] = pod_since
        return look({**NEW, **CANARY}, Seen(DEPLOYMENT, body), its).slot("a")

    early, late = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"
    assert unready("False", early).unready_since == NOW
    assert unready("False", early, late).unready_since == NOW + timedelta(seconds=9)
    assert unready("True", early).unready_since is None
    assert unready("False", None).unready_since is None
    assert look({**NEW, **CANARY}, *slot("a", H_OLD)).slot("a").unready_since is None


def test_a_slot_is_stopped_only_where_its_deployment_says_so() -> None:
    def stopped(*seen: Seen) -> bool:
        return look({**NEW, **CANARY}, *seen).slot("a").stopped

    assert stopped(deployment("a", H_OLD, 0))
    assert not stopped(*slot("a", H_OLD))
    assert not stopped(inference_service("a", H_OLD)), "it is being made"


def test_what_served_is_what_was_complete_last() -> None:
    assert look({**NEW, **CANARY}).served == H_OLD
    assert not look({**NEW, **CANARY}, stored={"updatedRevision": H_OLD}).served


def test_orders_are_read_from_annotations() -> None:
    found = observed({**NEW, **CANARY}, [owned(record(OLD))], status=SERVES, on=ON_GATEWAY)
    told = {f"{names.GROUP}/rollout-promote": f"{H_NEW}/7", f"{names.GROUP}/rollout-abort": "odd"}
    found = replace(found, service=replace(found.service, annotations=told))
    plan = decide(found)
    orders = observation(found, plan, known_revisions(found, plan), RolloutStatus()).orders
    assert orders.promote == Order(H_NEW, "7")
    assert orders.abort == Order("odd", "")
    assert orders.retry is None


def test_a_spec_that_is_wrong_moves_nothing() -> None:
    wrong = {**TINY, **NEW, **CANARY, "auth": {"apiKeysSecretRef": {"name": "keys"}}}
    trial = RolloutStatus(
        phase=RolloutPhase.ANALYZING, stable=Assigned(H_OLD, "a"), candidate=Assigned(H_NEW, "b")
    )
    found = observed(wrong, [owned(record(OLD))], status=SERVES, on=ON_GATEWAY)
    found = replace(found, secrets_missing=(("auth.apiKeysSecretRef", "keys"),))
    plan = decide(found)
    assert plan.problem is not None
    revisions = known_revisions(found, plan)
    assert observation(found, plan, revisions, trial).wanted == H_NEW
    assert observation(found, plan, revisions, RolloutStatus()).wanted == H_OLD
    gone = replace(
        trial,
        phase=RolloutPhase.ROLLING_BACK,
        candidate=None,
        leaving=Leaving(H_NEW, "b", NOW, 1),
        failed=H_NEW,
    )
    for phase in (RolloutPhase.ROLLING_BACK, RolloutPhase.FAILED):
        kept = replace(gone, phase=phase)
        assert observation(found, plan, revisions, kept).wanted == H_NEW, "it stays failed"


def test_a_pause_of_the_service_is_told_by_the_status_that_is_left() -> None:
    def paused_since(reason: str, *, paused: bool = False) -> datetime | None:
        said = {
            "type": "Progressing",
            "status": "False",
            "reason": reason,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {**SERVES, "conditions": [said]}
        return look({**NEW, **CANARY, "paused": paused}, stored=status).paused_since

    assert paused_since("Paused") == NOW + timedelta(seconds=1), "conditions tell whole seconds"
    assert paused_since("Paused", paused=True) is None
    assert paused_since("Complete") is None
    assert look({**NEW, **CANARY}).paused_since is None


def test_a_status_that_cannot_be_read_is_begun_anew() -> None:
    broken = {**SERVES, "rollout": {"phase": "Analyzing"}}
    assert stored_status(observed(NEW, status=broken)) == RolloutStatus()
    assert stored_status(observed(NEW)) == RolloutStatus()


def test_the_records_number_the_revisions() -> None:
    second = owned(record(NEW))
    second.body["revision"] = 2
    found = observed(NEW, [owned(record(OLD)), second], status=SERVES)
    assert decide(found).numbers == {H_OLD: 1, H_NEW: 2}
    assert {s.kind for s in found.seen} == {CONTROLLER_REVISION}
