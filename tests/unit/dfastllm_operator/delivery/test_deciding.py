from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dfastllm_operator.canary.decision import Decision, News
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.record import to_status
from dfastllm_operator.canary.state import Assigned, Leaving, RolloutStatus
from dfastllm_operator.core import Json, Seen
from dfastllm_operator.decide import decide
from dfastllm_operator.delivery.deciding import Delivery, deliver, is_engaged, moved_status
from dfastllm_operator.delivery.policy import policy_of
from dfastllm_operator.delivery.restarts import restarts_since
from dfastllm_operator.delivery.seen import stored_status
from dfastllm_operator.judge import Situation
from dfastllm_operator.kinds import CONTROLLER_REVISION, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from dfastllm_operator.observe import Observed
from dfastllm_operator.revision import revision_hash
from dfastllm_operator.rollout import rollout
from dfastllm_operator.status import compose, condition
from dfastllm_operator.wanted import wanted_children
from support.situations import GATEWAY, observed, platform, record, service, trial
from support.slots import OWNER, pod, route, slot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD: dict[str, Any] = {"decoding": {"threshold": 0.7}}
NEW: dict[str, Any] = {"decoding": {"threshold": 0.8}}
H_OLD, H_NEW = (revision_hash(service(spec).spec) for spec in (OLD, NEW))
CANARY: dict[str, Any] = {"rollout": {"strategy": "Canary"}}
ON_GATEWAY = platform(gateway=GATEWAY)
STABLE = RolloutStatus(since=NOW, stable=Assigned(H_OLD, "a"))
TRIAL = trial(H_OLD, H_NEW, NOW, floor=2)


def recorded(spec: dict[str, Any]) -> Seen:
    seen = record(spec)
    meta = {**seen.body["metadata"], "ownerReferences": OWNER}
    return Seen(CONTROLLER_REVISION, {**seen.body, "metadata": meta})


def world(spec: dict[str, Any], rollout: RolloutStatus | None, *seen: Seen) -> Observed:
    status: Json = {"updatedRevision": H_OLD, "revision": H_OLD, "slot": "a"}
    if rollout is not None:
        status["rollout"] = to_status(rollout)
    return observed(spec, [recorded(OLD), *seen], status=status, on=ON_GATEWAY)


def delivered(found: Observed, now: datetime = NOW) -> Delivery:
    plan = decide(found)
    assert is_engaged(found, plan)
    return deliver(found, plan, policy_of(found.service.spec), stored_status(found), now)


def test_a_service_that_never_asked_for_a_canary_is_none_of_its_affairs() -> None:
    found = world({**NEW}, None)
    assert not is_engaged(found, decide(found))
    rolling = world({**NEW, "rollout": {"strategy": "Recreate"}}, None)
    assert not is_engaged(rolling, decide(rolling))


def test_what_was_begun_as_a_canary_stays_one_until_it_is_at_rest() -> None:
    found = world({**NEW}, TRIAL, recorded(NEW), *slot("a", H_OLD), *slot("b", H_NEW))
    moved = delivered(found).decision
    assert moved.moved
    assert moved.status.phase is RolloutPhase.ROLLING_BACK
    assert moved.status.cause is Cause.STRATEGY_CHANGED


def test_a_revision_is_recorded_before_anything_is_decided_on_it() -> None:
    found = world({**NEW, **CANARY}, STABLE, *slot("a", H_OLD), route({"a": 100}))
    first = delivered(found)
    assert not first.decision.moved
    children = wanted_children(found, first.plan)
    records = {
        c.body["data"]["hash"]: c.body["revision"]
        for c in children
        if c.kind.kind == "ControllerRevision"
    }
    assert records == {H_OLD: 1, H_NEW: 2}
    at = Situation(found, first.plan, rollout(found, first.plan), canary=first.decision)
    progressing = condition(compose(at, "2026-01-01T00:00:00Z"), "Progressing")
    assert progressing["status"] == "True", (
        "whoever waits for the change must not be told it is done"
    )
    assert [c.name for c in children if c.kind == INFERENCE_SERVICE] == ["demo-a"]
    after = world({**NEW, **CANARY}, STABLE, recorded(NEW), *slot("a", H_OLD), route({"a": 100}))
    then = delivered(after).decision
    assert then.moved
    assert then.status.phase is RolloutPhase.PREPARING
    written = moved_status(after, then, NOW)
    assert written["rollout"]["candidate"] == {"revision": H_NEW, "slot": "b"}
    assert (written["slot"], written["updatedRevision"]) == ("a", H_OLD)


FORMER = {"time": "2026-01-01T00:00:00.000Z", "type": "Normal", "reason": "R", "message": "M"}


@pytest.mark.parametrize("form", [{"news": FORMER}, {"moves": [FORMER]}])
@pytest.mark.parametrize("news", [None, News("Next", "It moved on.")])
def test_what_is_to_be_told_of_moves_stays_whatever_moves_next(
    form: Json, news: News | None
) -> None:
    found = world({**NEW, **CANARY}, STABLE)
    found.raw["status"]["rollout"] |= form
    moved = moved_status(found, Decision(STABLE, moved=True, news=news), NOW)
    later = [{**FORMER, "reason": "Next", "message": "It moved on."}] if news else []
    assert moved["rollout"]["moves"] == [FORMER, *later]
    assert "news" not in moved["rollout"]


def test_both_slots_are_rendered_from_their_records() -> None:
    spec = {**NEW, **CANARY, "replicas": {"min": 1}}
    seen = [*slot("a", H_OLD, replicas=2), *slot("b", H_NEW), route({"a": 100})]
    found = world(spec, TRIAL, recorded(NEW), *seen)
    children = wanted_children(found, delivered(found).plan)
    slots = {c.name: c.body for c in children if c.kind == INFERENCE_SERVICE}
    assert {n: b["spec"]["predictor"]["minReplicas"] for n, b in slots.items()} == {
        "demo-a": 2,  # what it had when the rollout began
        "demo-b": 1,
    }
    (way,) = (c.body for c in children if c.kind == HTTP_ROUTE)
    backends = way["spec"]["rules"][0]["backendRefs"]
    assert {b["name"]: b["weight"] for b in backends} == {
        "demo-a-predictor": 90,
        "demo-b-predictor": 10,
    }
    (inside,) = (c.body for c in children if c.kind == SERVICE)
    assert inside["spec"]["selector"] == {"app": "isvc.demo-a-predictor"}


def test_without_the_record_of_stable_nothing_is_touched() -> None:
    found = world({**NEW, **CANARY}, TRIAL, recorded(NEW), *slot("a", H_OLD), *slot("b", H_NEW))
    lost = tuple(s for s in found.seen if (s.body.get("data") or {}).get("hash") != H_OLD)
    plan = delivered(replace(found, seen=lost)).plan
    assert not plan.placements
    assert plan.problem is not None
    assert plan.problem.reason == "RecordLost"


def test_a_paused_service_is_left_alone() -> None:
    found = world({**NEW, **CANARY, "paused": True}, TRIAL, recorded(NEW), *slot("a", H_OLD))
    decision = delivered(found).decision
    assert not decision.moved
    assert decision.arrangement is None


def conditions(found: Observed, now: datetime = NOW) -> Json:
    made = delivered(found)
    at = Situation(found, made.plan, rollout(found, made.plan), canary=made.decision, now=now)
    return compose(at, "2026-01-01T00:00:00Z")


def words(status: Json, kind: str) -> tuple[str, str]:
    found = condition(status, kind)  # type: ignore[arg-type]
    return str(found["status"]), str(found["reason"])


def test_a_failed_rollout_serves_and_is_degraded() -> None:
    failed = replace(STABLE, phase=RolloutPhase.FAILED, failed=H_NEW, cause=Cause.METRICS_FAILED)
    found = world({**NEW, **CANARY}, failed, recorded(NEW), *slot("a", H_OLD), route({"a": 100}))
    status = conditions(found)
    assert words(status, "Degraded") == ("True", "RolloutFailed")
    assert words(status, "Progressing")[0] == "False"
    said = condition(status, "Degraded")["message"]  # type: ignore[arg-type]
    assert H_OLD in said
    assert H_NEW in said
    assert status["rollout"] == to_status(failed)


@pytest.mark.parametrize(("late_s", "told"), [(29, False), (30, True)])
def test_a_rollout_names_the_pods_it_waits_for_once_they_are_late(late_s: int, told: bool) -> None:
    gone = Leaving(H_OLD, "a", NOW, 1, drained=True)
    ends = RolloutStatus(RolloutPhase.FINALIZING, NOW, Assigned(H_NEW, "b"), leaving=gone)
    stuck = pod("a", H_OLD, deletionTimestamp="2026-01-01T00:00:00Z")
    stuck.body["spec"] = {"nodeName": "node-7"}
    spec = {**NEW, **CANARY}
    found = world(spec, ends, recorded(NEW), *slot("b", H_NEW), stuck, route({"b": 100}))
    status = conditions(found, NOW + timedelta(seconds=late_s))
    assert words(status, "Progressing") == ("True", "RollingOut")
    said = condition(status, "Progressing")["message"]  # type: ignore[arg-type]
    text = (
        "Pod demo-a-predictor-0 on node node-7 should be gone since 2026-01-01T00:00:00Z: if the "
        "node is dead for good, remove it (kubectl delete node node-7), or "
        "kubectl delete pod demo-a-predictor-0 --force."
    )
    assert (text in said) is told


def test_a_change_that_cannot_be_a_canary_is_held_and_told() -> None:
    spec = {**NEW, **CANARY, "ingress": {"enabled": False}}
    found = world(spec, STABLE, recorded(NEW), *slot("a", H_OLD))
    status = conditions(found)
    assert words(status, "RolloutBlocked") == ("True", "NoOwnRoute")
    assert words(status, "Progressing") == ("False", "Blocked")
    assert status["updatedRevision"] == H_OLD


def test_restarts_are_those_since_the_weight_was_confirmed() -> None:
    def restarted(count: int, ended: datetime) -> Json:
        body = pod("b", H_NEW).body
        last = {"terminated": {"finishedAt": ended.isoformat()}}
        body["status"]["containerStatuses"] = [{"restartCount": count, "lastState": last}]
        return body

    before, after = NOW - timedelta(seconds=5), NOW + timedelta(seconds=5)
    name = "demo-b-predictor-0"
    assert restarts_since([restarted(3, before)], NOW, {name: 3}) == {name: 0}
    assert restarts_since([restarted(5, after)], NOW, {name: 3}) == {name: 2}
    assert restarts_since([restarted(5, after)], NOW, {name: 5}) == {name: 1}, "counted anew"
    younger = restarted(5, after)
    younger["metadata"]["creationTimestamp"] = (NOW + timedelta(seconds=1)).isoformat()
    assert restarts_since([younger], NOW, {name: 5}) == {name: 5}, "all its own"
