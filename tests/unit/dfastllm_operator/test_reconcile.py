import asyncio

import pytest

from dfastllm_operator.core import Json
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    EVENT,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
    SERVICE,
    SERVICE_RESOURCE,
)
from support.little_cluster import KEY, LittleCluster
from support.situations import raw
from support.steady import CANARY, begun


def test_a_service_without_a_rollout_has_no_rollout_in_its_status() -> None:
    cluster, _ = begun(rollout=None)
    cluster.edit(decoding={"threshold": 0.8})
    for _ in range(6):
        cluster.tick()
    assert cluster.service["status"]["phase"] == "Ready"
    assert "rollout" not in cluster.service["status"]
    assert cluster.named(INFERENCE_SERVICE) == ["demo-a"]


UNGATED: list[Json | None] = [
    None,
    {"strategy": "RollingUpdate", "revisionHistoryLimit": 5},
    {"strategy": "Recreate"},
]


def went_through(cluster: LittleCluster, *thresholds: float | None) -> list[str]:
    """The revisions that it was changed to without a gate."""
    revisions = []
    for threshold in thresholds:
        cluster.edit(decoding=None if threshold is None else {"threshold": threshold})
        for _ in range(4):
            cluster.tick()
        revisions.append(str(cluster.service["status"]["revision"]))
    return revisions


@pytest.mark.parametrize("rollout", UNGATED)
def test_revisions_of_a_service_without_canaries_can_come_back_as_they_were(
    rollout: Json | None,
) -> None:
    cluster, _ = begun(rollout=rollout)
    first = cluster.service["status"]["revision"]
    before = cluster.objects[INFERENCE_SERVICE, "demo-a"]["spec"]
    cluster.image = "server:2"
    cluster.start()
    later = went_through(cluster, 0.8, 0.7, 0.6)
    records = {name: cluster.objects[CONTROLLER_REVISION, f"demo-{name}"] for name in later}
    assert [body["revision"] for body in records.values()] == [2, 3, 4]
    assert len(cluster.named(CONTROLLER_REVISION)) == 4
    assert cluster.objects[INFERENCE_SERVICE, "demo-a"]["spec"] != before
    assert went_through(cluster, None) == [first]
    assert cluster.objects[INFERENCE_SERVICE, "demo-a"]["spec"] == before, "its image, too"


def test_as_many_former_revisions_are_kept_as_asked_for() -> None:
    limited = {"strategy": "RollingUpdate", "revisionHistoryLimit": 2}
    cluster, _ = begun(rollout=limited)
    revisions = went_through(cluster, 0.8, 0.7, 0.6, 0.5)
    for kind in (CONTROLLER_REVISION, CONFIG_MAP):
        assert cluster.named(kind) == sorted(f"demo-{revision}" for revision in revisions[1:])
    cluster.edit(rollout={**limited, "revisionHistoryLimit": 0})
    cluster.tick()
    assert cluster.named(CONTROLLER_REVISION) == [f"demo-{revisions[-1]}"]


def test_a_good_change_gets_all_traffic_step_by_step() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    seen: list[dict[str, int]] = []
    promoted: dict[str, str] = {}
    for rollout in cluster.until("Stable"):
        if not seen or seen[-1] != cluster.weights:
            seen.append(cluster.weights)
        if rollout["phase"] == "Finalizing" and not promoted:
            new = rollout["stable"]["revision"]
            promoted = {uid: r for uid, r in cluster.pods().items() if r == new}
    assert [w.get("b") for w in seen if "b" in w] == [10, 50, 100, 100]
    assert all(sum(weights.values()) == 100 for weights in seen)
    assert cluster.pods() == promoted, "promotion restarts no pod"
    assert cluster.named(INFERENCE_SERVICE) == ["demo-b"]
    assert len(cluster.named(CONTROLLER_REVISION)) == 2, "the former one can come back"
    inside = cluster.objects[SERVICE, "demo"]["spec"]["selector"]
    assert inside == {"app": "isvc.demo-b-predictor"}
    cluster.tick()
    status = cluster.service["status"]
    assert (status["phase"], status["slot"]) == ("Ready", "b")
    assert (
        status["revision"] == status["updatedRevision"] == status["rollout"]["stable"]["revision"]
    )


def test_a_bad_change_is_rolled_back_and_not_tried_again() -> None:
    cluster, source = begun()
    source.forwards["b"] = 40
    before = cluster.pods()
    cluster.edit(decoding={"threshold": 0.9})
    most = max(cluster.weights.get("b", 0) for _ in cluster.until("Failed"))
    assert most == 10
    assert cluster.rollout["cause"] == "MetricsFailed"
    assert "tokensPerForward" in cluster.rollout["message"]
    assert cluster.pods() == before, "stable was left alone"
    cluster.tick()
    assert cluster.service["status"]["phase"] == "Degraded"
    cluster.edit(replicas={"min": 2})
    for _ in range(5):
        cluster.tick()
    assert cluster.rollout["phase"] == "Failed"
    assert len(cluster.pods()) == 2
    cluster.edit(decoding=None)
    list(cluster.until("Stable"))


def test_metrics_tell_how_a_rollout_goes_and_how_it_ended() -> None:
    cluster, source = begun()
    source.forwards["b"] = 40
    cluster.edit(decoding={"threshold": 0.9})
    seen = set()
    for rollout in cluster.until("RollingBack"):
        if rollout["phase"] == "Analyzing":
            seen.add((cluster.of_service("rollout_step"), cluster.of_service("rollout_weight")))
    assert seen == {(1, 10)}
    list(cluster.until("Failed"))
    cluster.tick()
    assert cluster.of_service("rollout_phase", phase="Failed", cause="MetricsFailed") == 1
    assert cluster.metric("rollout_rollbacks_total", cause="MetricsFailed") == 1
    measured = {
        side: cluster.of_service("rollout_measurement", metric="tokensPerForward", side=side)
        for side in ("candidate", "stable")
    }
    assert measured == {"candidate": 1.0, "stable": 4.0}


def test_the_status_is_written_before_anything_is_done_and_told_after() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    cluster.writes.clear()
    list(cluster.until("Stepping"))
    wrote = cluster.writes
    accepted, told = wrote.index("status Preparing"), wrote.index("create Event/RolloutPreparing")
    made = wrote.index("apply InferenceService/demo-b")
    assert accepted < told
    assert accepted < made


def test_an_operator_that_dies_before_it_tells_a_move_leaves_that_to_the_next() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    cluster.writes.clear()
    while "status Preparing" not in cluster.writes:
        asyncio.run(cluster.reconciler.reconcile(KEY))
    event = "create Event/RolloutPreparing"
    assert event not in cluster.writes
    cluster.start()
    asyncio.run(cluster.reconciler.reconcile(KEY))
    assert cluster.writes.count(event) == 1
    cluster.start()
    list(cluster.until("Stable"))
    assert cluster.writes.count(event) == 1
    told = [w for w in cluster.writes if w.startswith("create Event/Rollout")]
    cluster.start()
    cluster.tick()
    assert told == [w for w in cluster.writes if w.startswith("create Event/Rollout")]


def test_what_the_api_server_may_have_forgotten_is_not_told_again() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Stable"))
    cluster.tick()
    for kind, name in [key for key in cluster.objects if key[0] == EVENT]:
        del cluster.objects[kind, name]
    cluster.start()
    cluster.writes.clear()
    cluster.tick(3600)
    assert not [w for w in cluster.writes if w.startswith("create Event/Rollout")]


def test_a_move_that_is_refused_has_no_effect_and_is_not_told() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    cluster.writes.clear()
    refused = 0

    def meanwhile(_: Json) -> None:
        nonlocal refused
        refused += 1
        cluster.edit(decoding={"threshold": 0.8})

    cluster.spoil = meanwhile
    for _ in range(20):
        cluster.tick()
    assert refused > 10
    assert not [w for w in cluster.writes if w.startswith(("status", "create Event"))]
    assert cluster.named(INFERENCE_SERVICE) == ["demo-a"]
    assert cluster.weights == {"a": 100}
    cluster.spoil = None
    list(cluster.until("Finalizing"))


def test_an_operator_that_starts_anew_in_every_phase_comes_to_the_same_end() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    phases = []
    for rollout in cluster.until("Stable"):
        if rollout["phase"] not in phases[-1:]:
            phases.append(rollout["phase"])
            cluster.start()
    assert {"Preparing", "Analyzing", "Finalizing"} <= set(phases)
    assert cluster.weights == {"b": 100}
    assert cluster.named(INFERENCE_SERVICE) == ["demo-b"]


def test_orders_are_carried_out_once() -> None:
    cluster, _ = begun()
    cluster.edit(rollout={**CANARY, "steps": [{"weight": 10, "pause": "forever"}, {"weight": 50}]})
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Paused"))
    new = cluster.rollout["candidate"]["revision"]
    cluster.annotate(promote=f"{new}/1")
    list(cluster.until("Stable"))
    assert cluster.rollout["stable"]["revision"] == new
    assert cluster.rollout["handled"] == {"promote": f"{new}/1"}


def test_a_paused_service_stays_as_it_is_and_goes_on_afterwards() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Analyzing"))
    cluster.edit(paused=True)
    before, weights = cluster.rollout, cluster.weights
    for _ in range(10):
        cluster.tick()
    assert (cluster.rollout, cluster.weights) == (before, weights)
    assert cluster.service["status"]["phase"] == "Paused"
    cluster.edit(paused=None)
    list(cluster.until("Stable"))
    assert cluster.weights == {"b": 100}


def test_a_rollout_that_waits_for_somebody_writes_now_and_then_at_most() -> None:
    cluster, source = begun(rollout={**CANARY, "steps": [{"weight": 10, "pause": "forever"}]})
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Paused"))
    cluster.writes.clear()
    shown = cluster.rollout["measurements"]
    for _ in range(60):
        cluster.tick()
    assert set(cluster.writes) == {"status Paused"}
    assert len(cluster.writes) == 3, "once in ten intervals of two seconds"
    assert cluster.rollout["measurements"] != shown, "people see how it does"
    source.forwards["b"] = 40
    list(cluster.until("Failed"))
    assert cluster.rollout["cause"] == "MetricsFailed", "hard failures still roll back"


def test_a_hostname_that_is_somebody_elses_stops_no_weight_of_a_route_that_is_there() -> None:
    cluster, _ = begun()
    older = raw({"ingress": {"hostname": "taken.example.com"}})
    older["metadata"] |= {
        "name": "older",
        "uid": "u-2",
        "creationTimestamp": "2025-01-01T00:00:00Z",
    }
    cluster.store.put(SERVICE_RESOURCE, older)
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Analyzing"))
    cluster.edit(ingress={"hostname": "taken.example.com"})
    list(cluster.until("Stable"))
    assert cluster.weights == {"b": 100}
    hostnames = cluster.objects[HTTP_ROUTE, "demo"]["spec"]["hostnames"]
    assert hostnames == ["demo-shop.example.com"]


def test_a_candidate_that_never_gets_ready_gets_no_traffic_and_goes() -> None:
    cluster, _ = begun(rollout={**CANARY, "progressDeadline": "20s"})
    cluster.broken = "demo-b"
    cluster.edit(decoding={"threshold": 0.8})
    seen = [(cluster.weights, cluster.said("Progressing")) for _ in cluster.until("Failed")]
    assert all(weights == {"a": 100} for weights, _ in seen)
    assert any("demo-b" in said and "loads the model" in said for _, said in seen[:5])
    assert cluster.rollout["cause"] == "ProgressDeadline"
    assert cluster.named(INFERENCE_SERVICE) == ["demo-a"]


def test_the_former_slot_stands_until_the_address_inside_the_cluster_is_switched() -> None:
    cluster, _ = begun()
    cluster.edit(decoding={"threshold": 0.8})
    cluster.forbidden = SERVICE
    list(cluster.until("Finalizing"))
    for _ in range(40):
        cluster.tick()
    assert cluster.objects[SERVICE, "demo"]["spec"]["selector"] == {"app": "isvc.demo-a-predictor"}
    assert cluster.named(INFERENCE_SERVICE) == ["demo-a", "demo-b"]
    assert cluster.weights["b"] == 100
    said = cluster.said("Progressing")
    assert "Service demo still selects slot a" in said
    assert "you may not" in said
    cluster.forbidden = None
    waited = sum(1 for _ in cluster.until("Stable"))
    assert waited >= 5, "scaleDownDelay begins with the switch"
    assert cluster.named(INFERENCE_SERVICE) == ["demo-b"]


def test_an_evicted_pod_is_in_nobodys_way() -> None:
    gpus = {"resources": {"gpu": {"count": 1}}, "rollout": {**CANARY, "maxGPUs": 2}}
    cluster, _ = begun(**gpus)
    (pod,) = cluster.named(POD)
    cluster.evict(pod)
    for _ in range(3):
        cluster.tick()
    assert cluster.named(POD) == [pod, f"{pod}-evicted"], "it stays listed beside the new one"
    cluster.edit(decoding={"threshold": 0.8})
    phases = [(r["phase"], r.get("cause")) for r in cluster.until("Stable")]
    assert {phase for phase, _ in phases} >= {"Analyzing", "Finalizing"}
    assert not {cause for _, cause in phases if cause}, "nothing held it"
    assert cluster.weights == {"b": 100}
