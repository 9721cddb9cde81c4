"""Replicas of both slots beside a scaler: what it may still do, and what is written for it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.record import to_status
from dfastllm_operator.canary.state import Assigned, Leaving, RolloutStatus
from dfastllm_operator.core import Json, Seen
from dfastllm_operator.decide import Plan, decide
from dfastllm_operator.delivery.deciding import deliver
from dfastllm_operator.delivery.policy import policy_of
from dfastllm_operator.delivery.seen import stored_status
from dfastllm_operator.kinds import CONTROLLER_REVISION, HPA, INFERENCE_SERVICE, SCALED_OBJECT
from dfastllm_operator.observe import Observed
from dfastllm_operator.pinning import pins
from dfastllm_operator.revision import revision_hash
from dfastllm_operator.wanted import wanted_children
from support.situations import GATEWAY, observed, platform, record, service, trial
from support.slots import OWNER, inference_service, pod, route, slot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GPU: dict[str, Any] = {"resources": {"gpu": {"count": 1}}}
OLD: dict[str, Any] = {**GPU, "decoding": {"threshold": 0.7}}
NEW: dict[str, Any] = {**GPU, "decoding": {"threshold": 0.8}}
H_OLD, H_NEW = (revision_hash(service(spec).spec) for spec in (OLD, NEW))
HPA_BY_CPU: dict[str, Any] = {"type": "hpa", "metric": "cpu"}
BY_KEDA: dict[str, Any] = {"type": "keda", "keda": {"serverAddress": "http://prometheus:9090"}}
BOTH = route({"a": 90, "b": 10})
TRIAL = trial(H_OLD, H_NEW, NOW, floor=3)
PROMOTED = RolloutStatus(
    phase=RolloutPhase.FINALIZING,
    since=NOW,
    stable=Assigned(H_NEW, "b"),
    leaving=Leaving(H_OLD, "a", NOW, 3),
    replicas=3,
    floor=3,
)


def owned(spec: dict[str, Any]) -> Seen:
    seen = record(spec)
    meta = {**seen.body["metadata"], "ownerReferences": OWNER}
    return Seen(CONTROLLER_REVISION, {**seen.body, "metadata": meta})


def arranged(
    status: RolloutStatus, *seen: Seen, scaling: Json = HPA_BY_CPU, **spec: Any
) -> tuple[Observed, Plan]:
    """The world, and what is made of it."""
    bounds = {} if scaling["type"] == "external" else {"replicas": {"min": 1, "max": 6}}
    asked: dict[str, Any] = {**NEW, **bounds, "autoscaling": scaling, "rollout": {}, **spec}
    asked["rollout"] = {"strategy": "Canary", **asked["rollout"]}
    assert status.stable is not None
    stored: Json = {
        "updatedRevision": status.stable.revision,
        "slot": status.stable.slot,
        "rollout": to_status(status),
    }
    on = platform(gateway=GATEWAY)
    found = observed(asked, [owned(OLD), owned(NEW), *seen], status=stored, on=on)
    plan = decide(found)
    made = deliver(found, plan, policy_of(found.service.spec), stored_status(found), NOW)
    assert not made.decision.moved, made.decision.news
    return found, made.plan


def scaler(status: RolloutStatus, *seen: Seen, **spec: Any) -> Json:
    found, plan = arranged(status, *seen, **spec)
    children = wanted_children(found, plan)
    (body,) = (c.body["spec"] for c in children if c.kind in (HPA, SCALED_OBJECT))
    return dict(body)


def written(status: RolloutStatus, *seen: Seen, **spec: Any) -> dict[str, int]:
    return {pin.name: pin.replicas for pin in pins(*arranged(status, *seen, **spec))}


def trial(stable: int = 3, candidate: int = 1) -> list[Seen]:
    return [*slot("a", H_OLD, replicas=stable), *slot("b", H_NEW, replicas=candidate), BOTH]


def promoted(leaving: int = 3, stable: int = 3) -> list[Seen]:
    weights = route({"a": 0, "b": 100})
    return [*slot("a", H_OLD, replicas=leaving), *slot("b", H_NEW, replicas=stable), weights]


def test_an_autoscaler_stays_on_stable_and_takes_nothing_away() -> None:
    hpa = scaler(TRIAL, *trial())
    assert hpa["scaleTargetRef"]["name"] == "demo-a-predictor"
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (3, 6)
    assert hpa["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"


def test_keda_stays_on_stable_and_takes_nothing_away() -> None:
    scaled = scaler(TRIAL, *trial(), scaling=BY_KEDA)
    assert scaled["scaleTargetRef"]["name"] == "demo-a-predictor"
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (3, 6)
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["selectPolicy"] == "Disabled"
    assert "demo-a-predictor" in scaled["triggers"][0]["metadata"]["query"]


def test_a_query_of_the_users_own_may_name_the_serving_pods() -> None:
    keda = {**BY_KEDA["keda"], "query": 'sum(load{pod=~"$pods"})'}
    for status, seen, pods in ((TRIAL, trial(), "demo-a"), (PROMOTED, promoted(), "demo-b")):
        scaled = scaler(status, *seen, scaling={"type": "keda", "keda": keda})
        asked = scaled["triggers"][0]["metadata"]["query"]
        assert asked == f'sum(load{{pod=~"{pods}-predictor-.+"}})'


@pytest.mark.parametrize(
    ("most", "present", "expected"),
    [
        (9, 3, 4),  # half of it for a candidate that grows as stable does
        (6, 3, 3),
        (6, 4, 4),  # a maximum below what runs would take a replica away
    ],
)
def test_the_maximum_leaves_room_for_a_candidate_of_the_same_size(
    most: int, present: int, expected: int
) -> None:
    hpa = scaler(TRIAL, *trial(present), rollout={"maxGPUs": most})
    assert hpa["maxReplicas"] == expected


def test_pods_on_their_way_out_hold_their_gpus() -> None:
    going = pod("a", H_OLD, 9, deletionTimestamp="2026-01-01T00:00:00Z")
    assert scaler(TRIAL, *trial(), going, rollout={"maxGPUs": 8})["maxReplicas"] == 3


def test_bounds_that_are_edited_during_a_rollout_take_no_replica_away() -> None:
    hpa = scaler(TRIAL, *trial(5), replicas={"min": 1, "max": 2})
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (3, 5)
    more = scaler(TRIAL, *trial(5), replicas={"min": 5, "max": 7})
    assert (more["minReplicas"], more["maxReplicas"]) == (5, 7)


def test_inference_services_say_nothing_of_replicas() -> None:
    found, plan = arranged(TRIAL, *trial())
    slots = [
        c.body["spec"]["predictor"]
        for c in wanted_children(found, plan)
        if c.kind == INFERENCE_SERVICE
    ]
    assert ["minReplicas" in predictor for predictor in slots] == [False, False]


def test_the_candidates_size_is_written_to_its_deployment() -> None:
    assert written(TRIAL, *trial()) == {}
    grown = replace(TRIAL, replicas=2)
    assert written(grown, *trial()) == {"demo-b-predictor": 2}
    assert written(grown, *trial(), scaling=BY_KEDA) == {"demo-b-predictor": 2}
    assert written(grown, *trial(), scaling={"type": "external"}) == {"demo-b-predictor": 2}
    assert written(TRIAL, *trial(candidate=2)) == {"demo-b-predictor": 1}, "scaled by hand"


def test_without_a_scaler_the_inference_service_has_the_number() -> None:
    fixed = {"scaling": {"type": "none"}, "replicas": {"min": 3}}
    assert written(replace(TRIAL, replicas=2), *trial(), **fixed) == {}


def test_a_deployment_of_a_former_inference_service_is_left_alone() -> None:
    seen = trial()
    lingering = next(s for s in seen if s.name == "demo-b-predictor")
    lingering.body["metadata"]["ownerReferences"] = [{"uid": "of-a-former-one"}]
    assert written(replace(TRIAL, replicas=2), *seen) == {}
    lingering.body["metadata"]["ownerReferences"] = [{"uid": "isvc-b"}]
    assert written(replace(TRIAL, replicas=2), *seen) == {"demo-b-predictor": 2}
    early = [*slot("a", H_OLD, replicas=3), inference_service("b", H_NEW), BOTH]
    assert written(replace(TRIAL, phase=RolloutPhase.PREPARING, weight=0), *early) == {}


def test_at_promotion_the_scaler_changes_its_target_and_nothing_else() -> None:
    before, after = scaler(TRIAL, *trial()), scaler(PROMOTED, *promoted())
    assert after["scaleTargetRef"]["name"] == "demo-b-predictor"
    assert {**after, "scaleTargetRef": before["scaleTargetRef"]} == before


def test_the_former_stable_keeps_what_it_has() -> None:
    assert written(PROMOTED, *promoted()) == {}
    assert written(PROMOTED, *promoted(leaving=5)) == {}, "added until the scaler went over"
    assert written(PROMOTED, *promoted(leaving=2)) == {"demo-a-predictor": 3}


def test_somebody_elses_scaler_may_still_be_on_the_former_stable() -> None:
    assert written(PROMOTED, *promoted(leaving=1), scaling={"type": "external"}) == {}


def test_after_a_rollout_the_scaler_is_free_again() -> None:
    rest = RolloutStatus(since=NOW, stable=Assigned(H_NEW, "b"))
    hpa = scaler(rest, *slot("b", H_NEW, replicas=3), route({"b": 100}), rollout={"maxGPUs": 4})
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, 4)
    assert hpa["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 600}}


def test_a_full_service_does_not_shrink_because_a_pod_is_replaced() -> None:
    rest = RolloutStatus(since=NOW, stable=Assigned(H_NEW, "b"))
    going = pod("b", H_NEW, 9, deletionTimestamp="2026-01-01T00:00:00Z")
    full = [*slot("b", H_NEW, replicas=4), going, route({"b": 100})]
    assert scaler(rest, *full, rollout={"maxGPUs": 4})["maxReplicas"] == 4
    assert scaler(rest, *full, rollout={"maxGPUs": 3})["maxReplicas"] == 4


@pytest.mark.parametrize(("present", "most"), [(4, 4), (3, 3), (1, 2)])
def test_fewer_gpus_than_serve_only_keep_the_scaler_from_adding(present: int, most: int) -> None:
    rest = RolloutStatus(since=NOW, stable=Assigned(H_NEW, "b"))
    seen = [*slot("b", H_NEW, replicas=present), route({"b": 100})]
    hpa = scaler(rest, *seen, rollout={"maxGPUs": 2})
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, most)


@pytest.mark.parametrize(
    ("present", "asked", "expected"), [(4, 4, 4), (4, 3, 3), (2, 4, 2), (0, 4, 2), (0, 0, 0)]
)
def test_a_fixed_number_is_never_lowered_for_want_of_gpus(
    present: int, asked: int, expected: int
) -> None:
    rest = RolloutStatus(since=NOW, stable=Assigned(H_NEW, "b"))
    seen = [*slot("b", H_NEW, replicas=present), route({"b": 100})]
    fixed = {"scaling": {"type": "none"}, "replicas": {"min": asked}}
    _, plan = arranged(rest, *seen, rollout={"maxGPUs": 2}, **fixed)
    assert [p.replicas for p in plan.placements] == [expected]
