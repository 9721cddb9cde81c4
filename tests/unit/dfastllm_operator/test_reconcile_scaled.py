"""A whole reconcile beside an autoscaler: numbers of replicas from the first look to the last."""

from dfastllm_operator.kinds import DEPLOYMENT, HPA, INFERENCE_SERVICE
from support.little_cluster import LittleCluster
from support.steady import CANARY, Steady, begun

SCALED = {"replicas": {"min": 1, "max": 8}, "autoscaling": {"type": "hpa", "metric": "cpu"}}
GPUS = {"resources": {"gpu": {"count": 1}}, "rollout": {**CANARY, "maxGPUs": 7}}


def elastic(wish: int = 3, **spec: object) -> tuple[LittleCluster, Steady]:
    """A service of so many replicas, by wish of its autoscaler, at the beginning of a rollout."""
    cluster, source = begun(**SCALED, **spec)
    cluster.wish = wish
    for _ in range(4):
        cluster.tick()
    assert cluster.replicas("demo-a-predictor") == wish
    cluster.edit(decoding={"threshold": 0.8})
    list(cluster.until("Preparing"))
    return cluster, source


def both(cluster: LittleCluster) -> tuple[int, int]:
    """Replicas of both slots, 0 for one that is not there."""
    there = cluster.named(DEPLOYMENT)
    a, b = (f"demo-{slot}-predictor" for slot in "ab")
    return tuple(cluster.replicas(d) if d in there else 0 for d in (a, b))  # type: ignore[return-value]


def test_the_candidate_has_stables_size_before_it_has_all_traffic() -> None:
    cluster, _ = elastic()
    cluster.wish = 1  # half the traffic is gone: the autoscaler would take replicas away
    seen = []
    for rollout in cluster.until("Stable"):
        seen.append((rollout["phase"], both(cluster), cluster.weights.get("b", 0)))
    assert {a for phase, (a, _), _ in seen if phase != "Stable"} == {3}
    assert [b for _, (_, b), _ in seen] == sorted(b for _, (_, b), _ in seen)
    least = {10: 1, 50: 2, 100: 3}
    assert all(b >= least[weight] for _, (_, b), weight in seen if weight and b)
    assert [w for w in cluster.writes if w.startswith("scale")] == [
        "scale demo-b-predictor to 2",
        "scale demo-b-predictor to 3",
    ]
    for _ in range(3):
        cluster.tick()
    assert both(cluster) == (0, 1), "the autoscaler has its way again"
    target = cluster.objects[HPA, "demo"]["spec"]["scaleTargetRef"]["name"]
    assert target == "demo-b-predictor"
    predictor = cluster.objects[INFERENCE_SERVICE, "demo-b"]["spec"]["predictor"]
    assert "minReplicas" not in predictor


def test_stable_grows_under_load_as_far_as_both_fit() -> None:
    cluster, _ = elastic(**GPUS)
    cluster.wish = 8
    most = 0
    for _ in cluster.until("Finalizing"):
        most = max(most, sum(both(cluster)))
    assert both(cluster) == (3, 3), "a fourth would leave no room for a candidate of four"
    assert most <= 7


def test_a_rollback_takes_nothing_from_stable() -> None:
    cluster, source = elastic()
    source.forwards["b"] = 40
    before = cluster.pods()
    cluster.wish = 1
    for _ in cluster.until("Failed"):
        assert both(cluster)[0] == 3
    assert cluster.pods() == before


def test_an_operator_that_starts_anew_in_every_phase_comes_to_the_same_numbers() -> None:
    cluster, _ = elastic()
    phases = []
    for rollout in cluster.until("Stable"):
        assert both(cluster)[0] in (0, 3)
        if rollout["phase"] not in phases[-1:]:
            phases.append(rollout["phase"])
            cluster.start()
    assert both(cluster) == (0, 3)
