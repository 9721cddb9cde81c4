"""Every transition of a rollout, played through in a small world."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dfastllm_operator.canary.decision import Bounds
from dfastllm_operator.canary.machine import decide
from dfastllm_operator.canary.observation import Obstacle, Order, Orders, SlotSeen
from dfastllm_operator.canary.phase import Cause, RolloutPhase
from dfastllm_operator.canary.policy import FOREVER, Step, Strategy
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.canary.table import TABLE
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.plan import Limits, OnInconclusive
from support.rollout_world import CANARY, Behavior, World

P = RolloutPhase


def serving(**behaviors: Behavior) -> World:
    """Revision A serves with two replicas."""
    return World(behaviors=behaviors).run(10)


def changing(behavior: Behavior | None = None) -> World:
    """The spec has just come to ask for B."""
    world = serving(**({"B": behavior} if behavior else {}))
    world.wanted = "B"
    world.phases.clear()
    world.told.clear()
    return world


def stepping_to(world: World, weight: int) -> World:
    for _ in range(400):
        if world.status.weight == weight and world.status.phase is P.ANALYZING:
            return world
        world.tick()
    raise AssertionError(f"never at {weight}: {world.phases}")


def at_rest(world: World, revision: str) -> None:
    status = world.status
    assert status.stable is not None
    assert status.stable.revision == revision
    assert status.candidate is None
    assert status.leaving is None
    assert world.weights == {status.stable.slot: 100}
    assert set(world.slots) == {status.stable.slot}


def test_the_first_revision_serves_without_any_gate() -> None:
    world = World().run(10)
    assert world.phases == [P.STABLE]
    at_rest(world, "A")
    assert not world.told


def test_a_good_revision_is_promoted_step_by_step() -> None:
    world = changing().run(200)
    assert world.phases == [
        P.PREPARING,
        *(P.STEPPING, P.ANALYZING) * 3,
        P.PROMOTING,
        P.FINALIZING,
        P.STABLE,
    ]
    at_rest(world, "B")
    assert world.status.stable == Assigned("B", "b")
    assert [n.reason for n in world.told].count("WeightWanted") == 3


def test_the_candidate_has_its_size_before_each_weight() -> None:
    world = serving()
    world.replicas = 10
    world.scale(10)
    world.run(10)
    world.wanted = "B"
    sizes = {10: 1, 50: 5, 100: 10}
    for weight, size in sizes.items():
        stepping_to(world, weight)
        assert world.ready("b") == size


def test_the_candidate_is_never_smaller_than_stable_before_it_takes_all() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, replicas=1),))
    world.run_until(P.FINALIZING)
    assert world.ready("b") == world.ready("a") == 2


def test_a_scaler_may_raise_stable_meanwhile_and_the_candidate_follows() -> None:
    world = stepping_to(changing(), 10)
    world.scale(4)
    stepping_to(world, 50)
    assert world.ready("b") == 2
    world.scale(1)
    assert world.slots["a"].wanted == 4
    world.run_until(P.FINALIZING)
    assert world.ready("b") == 4
    assert world.slots["a"].wanted == 4
    assert world.bounds == Bounds(floor=4, cap=None, steady=True)
    world.run_until(P.STABLE)
    world.tick()
    assert world.bounds == Bounds()


def test_a_bad_revision_is_rolled_back_and_stays_failed() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    assert world.phases == [P.PREPARING, P.STEPPING, P.ANALYZING, P.ROLLING_BACK, P.FAILED]
    at_rest(world, "A")
    status = world.status
    assert (status.failed, status.cause) == ("B", Cause.METRICS_FAILED)
    assert "errorRate" in status.message
    assert status.measurements


def test_failures_below_the_limit_are_forgiven_with_the_step() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    while not world.status.tally.failures:
        world.tick()
    world.behaviors["B"].says = Outcome.PASS
    world.run_until(P.STABLE)
    at_rest(world, "B")


def test_a_failed_revision_is_not_tried_again_by_other_edits() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.spec = replace(world.spec, steps=(Step(5),), analysis=replace(world.spec.analysis))
    assert world.run(100).status.phase is P.FAILED
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    assert world.run(100).status.phase is P.FAILED


def test_a_retry_tries_a_failed_revision_once_more() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.order("retry", "7")
    world.run_until(P.PREPARING).run(200)
    assert world.status.phase is P.FAILED, "the same nonce counts once"
    world.behaviors["B"].says = Outcome.PASS
    world.order("retry", "8")
    world.run(200)
    at_rest(world, "B")


def test_a_retry_that_cannot_be_gated_goes_as_any_change_would() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    world.order("retry", "7")
    world.run(20)
    at_rest(world, "B")


def test_a_failed_revision_is_tried_again_after_another_one() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.wanted = "A"
    world.run(5)
    assert world.status.phase is P.STABLE
    assert not world.status.failed
    world.wanted = "B"
    world.run_until(P.PREPARING)


def test_a_new_revision_follows_a_failed_one() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.wanted = "C"
    world.tick()
    assert world.status.phase is P.PREPARING
    world.run(200)
    at_rest(world, "C")


def test_a_new_revision_that_is_held_ends_the_failure_of_the_former() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run(200)
    world.obstacles = (Obstacle("GatewayApiMissing", "Install it."),)
    world.wanted = "C"
    world.run(5)
    assert world.status.phase is P.STABLE
    assert world.last is not None
    assert world.last.blocked is not None


def test_what_is_in_the_way_holds_the_change_and_says_the_way_out() -> None:
    world = changing()
    world.obstacles = (Obstacle("GatewayApiMissing", "Install the Gateway API."),)
    world.run(20)
    at_rest(world, "A")
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "GatewayApiMissing"
    assert "RollingUpdate" in world.last.blocked.message
    world.obstacles = ()
    world.run_until(P.PREPARING)


def test_no_gpus_for_both_sides_hold_the_change() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=3)
    world.run(20)
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "NoRoom"
    world.spec = replace(CANARY, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_a_step_that_does_not_fit_any_more_is_waited_for() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=4)
    stepping_to(world, 10)
    world.spec = replace(CANARY, max_gpus=3, steps=(Step(10), Step(50, replicas=2), Step(100)))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.NO_ROOM
    assert world.weights == {"a": 90, "b": 10}
    world.spec = replace(world.spec, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_the_scaler_is_capped_so_that_both_sides_fit() -> None:
    world = changing()
    world.spec = replace(CANARY, max_gpus=6)
    stepping_to(world, 10)
    world.scale(9)
    assert world.slots["a"].wanted == 3
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("most", [1, 2])
def test_fewer_gpus_than_serve_take_nothing_away(most: int) -> None:
    world = serving(A=Behavior(gpus=2))
    world.scale(4)
    world.spec = replace(CANARY, max_gpus=most)
    world.run(20)
    assert world.ready("a") == 4
    world.scale(2)
    assert world.run(5).ready("a") == 2, "a scaler goes down as ever"
    world.scale(3)
    assert world.run(5).ready("a") == 2, "but not up again"
    world.scale(1)
    assert world.run(5).ready("a") == 1
    assert world.bounds == Bounds(cap=1)


@pytest.mark.parametrize("strategy", [Strategy.ROLLING_UPDATE, Strategy.RECREATE])
def test_without_a_gate_the_revision_changes_in_its_slot(strategy: Strategy) -> None:
    world = changing()
    world.spec = replace(CANARY, strategy=strategy)
    world.run(10)
    at_rest(world, "B")
    assert world.status.stable == Assigned("B", "a")


def test_a_stable_without_ready_pods_is_replaced_as_by_a_first_deployment() -> None:
    world = World(behaviors={"A": Behavior(ready_s=None)}).run(10)
    world.wanted = "B"
    world.run(10)
    assert world.status.stable == Assigned("B", "a")
    assert world.ready("a") == 2


NO_ROUTE = (Obstacle("NoOwnRoute", "There is no route."),)


def held_back(*, room: bool) -> World:
    """B is asked for, and cannot be a canary; stable has just lost its pods."""
    world = changing()
    world.spec = replace(CANARY, max_gpus=None if room else 3)
    world.obstacles = NO_ROUTE if room else ()
    world.run(5)
    world.lose("a")
    return world


@pytest.mark.parametrize("room", [True, False])
def test_a_held_change_stays_so_while_stable_has_no_ready_pod_for_a_moment(room: bool) -> None:
    world = held_back(room=room).run(50)
    assert world.status.stable == Assigned("A", "a")
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == ("NoOwnRoute" if room else "NoRoom")
    world.mend()
    world.run(100)
    assert world.status.stable == Assigned("A", "a")
    assert world.ready("a") == 2
    assert not world.told


@pytest.mark.parametrize("room", [True, False])
def test_a_held_change_goes_out_once_stable_is_gone_for_long(room: bool) -> None:
    world = held_back(room=room).run(59)
    assert world.status.stable == Assigned("A", "a")
    assert world.last is not None
    assert world.last.again is not None
    world.run(3)
    assert world.status.stable == Assigned("B", "a")
    assert [news.reason for news in world.told] == ["UpdatedInPlace"]


def test_a_held_change_goes_out_to_a_stable_that_is_asked_for_no_pod() -> None:
    world = changing()
    world.obstacles = NO_ROUTE
    world.run(5)
    stopped = {"a": SlotSeen("A", stopped=True)}
    seen = replace(world.observe(), slots=stopped)
    assert decide(CANARY, world.status, seen, world.now).words == "updated in place"
    unknown = {"a": SlotSeen("A", wanted=2, pods=2)}
    seen = replace(world.observe(), slots=unknown)
    assert not decide(CANARY, world.status, seen, world.now + timedelta(days=9)).moved


def test_a_stable_that_never_served_is_repaired_although_nothing_can_be_gated() -> None:
    world = World(behaviors={"A": Behavior(ready_s=None)}, obstacles=NO_ROUTE).run(10)
    world.wanted = "B"
    world.run(10)
    assert world.status.stable == Assigned("B", "a")
    assert world.ready("a") == 2


def test_without_an_obstacle_a_stable_without_ready_pods_is_updated_at_once() -> None:
    world = serving()
    world.lose("a")
    world.tick()
    world.wanted = "B"
    world.tick()
    assert world.status.stable == Assigned("B", "a")


def test_a_candidate_that_never_gets_ready_meets_the_deadline_without_traffic() -> None:
    world = changing(Behavior(ready_s=None)).run(120)
    assert world.phases == [P.PREPARING, P.ROLLING_BACK, P.FAILED]
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "B is not ready" in world.status.message
    at_rest(world, "A")


def test_a_candidate_that_cannot_start_is_not_waited_for() -> None:
    world = changing(Behavior(ready_s=None, hopeless=True)).run(10)
    assert world.status.phase is P.FAILED
    assert world.status.cause is Cause.CANNOT_START


def test_a_route_that_never_accepts_a_weight_ends_in_failure() -> None:
    world = changing()
    world.accepts = False
    world.run(200)
    assert world.phases == [P.PREPARING, P.STEPPING, P.ROLLING_BACK, P.FAILED]
    assert world.status.cause is Cause.ROUTE_DEADLINE


def test_a_candidate_with_believed_weight_stays_until_the_route_takes_it_back() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    world.accepts = False
    world.run(300)
    assert world.status.phase is P.ROLLING_BACK
    assert world.ready("b") == 1
    world.accepts = True
    world.run_until(P.FAILED)


def test_lost_readiness_takes_the_weight_at_once_and_may_be_won_back() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.reconcile()
    assert world.weights == {"a": 100, "b": 0}
    assert world.status.phase is P.STEPPING
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_lost_readiness_that_stays_is_rolled_back() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 30)
    assert world.status.cause is Cause.LOST_READINESS
    world.run_until(P.FAILED)


@pytest.mark.parametrize("user", [True, False])
def test_lost_readiness_counts_in_a_pause_as_well(user: bool) -> None:
    world = changing(Behavior(says=Outcome.PASS if user else Outcome.INCONCLUSIVE))
    stepping_to(world, 10)
    world.spec = replace(world.spec, paused=user)
    world.run_until(P.PAUSED)
    world.lose("b")
    world.reconcile()
    assert world.weights["a"] == 100
    assert world.status.phase is P.PAUSED
    world.run_until(P.ROLLING_BACK, 30)


def test_readiness_lost_while_promoting_is_not_promoted() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 40)
    world.run_until(P.FAILED)
    at_rest(world, "A")


def test_a_stable_that_is_not_ready_keeps_its_share() -> None:
    world = stepping_to(changing(), 10)
    world.lose("a")
    world.reconcile()
    assert world.weights == {"a": 90, "b": 10}


def test_inconclusive_metrics_hold_the_weight_until_they_speak_again() -> None:
    world = changing(Behavior(says=Outcome.INCONCLUSIVE))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.INCONCLUSIVE
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.behaviors["B"].says = Outcome.PASS
    world.run(200)
    at_rest(world, "B")


def test_what_was_seen_of_slow_traffic_counts_on_once_it_is_enough() -> None:
    world = changing(Behavior(says=Outcome.WAITING))
    stepping_to(world, 10)
    began = world.status.confirmed_at
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    world.run_until(P.PAUSED)
    world.behaviors["B"] = Behavior()
    world.run_until(P.ANALYZING, 8)
    assert world.status.confirmed_at == began
    assert (world.status.cause, world.status.message) == (None, "")
    assert world.status.tally.inconclusive == 0
    assert world.status.tally.measured_at == world.now, "it counts once"
    assert world.status.measurements[0]["outcome"] == "Pass"
    world.run_until(P.STEPPING, 8)
    assert world.status.step == 1


@pytest.mark.parametrize("edit", [Step(20), None])
def test_a_weight_that_was_not_held_is_given_anew(edit: Step | None) -> None:
    world = stepping_to(changing(Behavior(says=Outcome.INCONCLUSIVE)), 10)
    world.run_until(P.PAUSED).run(6)
    if edit is None:
        world.weights = {"a": 95, "b": 5}
    else:
        world.spec = replace(CANARY, steps=(edit, Step(100)))
    world.behaviors["B"] = Behavior()
    world.phases.clear()
    world.run_until(P.ANALYZING)
    assert world.phases == [P.STEPPING, P.ANALYZING]


def test_a_source_that_fails_holds_the_weight() -> None:
    world = changing(Behavior(says=Outcome.ERROR))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.SOURCE_FAILED


def test_inconclusive_metrics_can_end_the_rollout() -> None:
    world = changing(Behavior(says=Outcome.INCONCLUSIVE))
    limits = Limits(inconclusive=2, on_inconclusive=OnInconclusive.ABORT)
    world.spec = replace(CANARY, analysis=replace(CANARY.analysis, limits=limits))
    world.run_until(P.FAILED)
    assert world.status.cause is Cause.METRICS_MISSING


def test_too_few_requests_count_as_nothing() -> None:
    world = changing(Behavior(says=Outcome.WAITING))
    assert world.run(300).status.phase is P.ANALYZING


def test_metrics_that_fail_in_a_pause_roll_back() -> None:
    world = stepping_to(changing(Behavior()), 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    world.behaviors["B"].says = Outcome.FAIL
    world.run_until(P.ROLLING_BACK, 30)


def growing(phase: RolloutPhase) -> World:
    """A candidate with weight 10 that does not get to its next size."""
    world = changing()
    steps = (Step(10),) if phase is P.PROMOTING else (Step(10), Step(50, replicas=5))
    world.spec = replace(CANARY, steps=steps)
    stepping_to(world, 10)
    while world.status.phase is P.ANALYZING:
        world.tick()
    world.slots["b"].pods[1].ready_at = None
    assert world.status.phase is phase
    assert world.status.weight == 10
    return world


@pytest.mark.parametrize("phase", [P.STEPPING, P.PROMOTING])
def test_metrics_that_fail_while_the_candidate_grows_roll_back(phase: RolloutPhase) -> None:
    world = growing(phase)
    world.behaviors["B"] = Behavior(ready_s=None, says=Outcome.FAIL)
    world.run(6)
    assert (world.status.phase, world.status.tally.failures) == (phase, 1)
    world.run_until(P.ROLLING_BACK, 8)
    assert world.status.cause is Cause.METRICS_FAILED
    assert "errorRate" in world.status.message


@pytest.mark.parametrize("phase", [P.STEPPING, P.PROMOTING])
@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.ERROR, Outcome.INCONCLUSIVE])
def test_other_looks_while_the_candidate_grows_move_nothing(
    phase: RolloutPhase, outcome: Outcome
) -> None:
    world = growing(phase)
    before = world.status
    world.behaviors["B"] = Behavior(ready_s=None, says=outcome)
    world.run(40)
    status = world.status
    assert (status.phase, status.step, status.weight) == (phase, before.step, 10)
    assert status.measurements[0]["outcome"] == outcome
    silent = outcome is not Outcome.PASS
    assert (status.tally.errors + status.tally.inconclusive >= 3) is silent, "for people"
    world.behaviors["B"] = Behavior()
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_failures_before_a_step_do_not_count_in_it() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    while not world.status.tally.failures:
        world.tick()
    world.behaviors["B"].says = Outcome.PASS
    world.run_until(P.STEPPING, 8)
    assert world.status.tally.failures == 0
    assert world.status.tally.measured_at == world.now, "nor does the look that ended it"


def test_a_promotion_by_order_goes_on_whatever_the_metrics_say() -> None:
    world = stepping_to(changing(), 10)
    world.order("promote")
    world.tick()
    world.behaviors["B"] = Behavior(says=Outcome.FAIL, ready_s=30)
    for pod in world.slots["b"].pods[1:]:
        pod.ready_at = world.now + timedelta(seconds=30)
    assert world.status.phase is P.PROMOTING
    world.run_until(P.STABLE)
    at_rest(world, "B")


def test_a_pause_of_a_step_is_kept_and_ends_by_itself() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=60), Step(100, pause_s=20)))
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.STEP_PAUSE
    since = world.status.confirmed_at
    stepping_to(world, 100)
    assert since is not None
    assert world.now - since >= timedelta(seconds=60)
    world.run(200)
    at_rest(world, "B")


def held_for_a_minute(*outcomes: Outcome) -> World:
    """The pause of a step ends soon; the looks until then come out as these."""
    world = changing()
    analysis = replace(CANARY.analysis, limits=Limits(failures=3, errors=3, inconclusive=3))
    world.spec = replace(CANARY, steps=(Step(10, pause_s=60), Step(100)), analysis=analysis)
    world.run_until(P.PAUSED)
    assert world.status.confirmed_at is not None
    ends = world.status.confirmed_at + timedelta(seconds=60)
    while world.now < ends - timedelta(seconds=5 * len(outcomes)):
        world.tick()
    for outcome in outcomes:
        world.behaviors["B"] = Behavior(says=outcome)
        world.run(5)
    assert world.now == ends
    return world


@pytest.mark.parametrize(
    "outcome", [Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.WAITING]
)
def test_a_pause_is_over_once_the_latest_look_passes(outcome: Outcome) -> None:
    world = held_for_a_minute(outcome)
    world.run(1)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.STEP_PAUSE)
    assert world.weights == {"a": 90, "b": 10}
    world.behaviors["B"] = Behavior()
    world.run_until(P.STEPPING, 8)
    assert world.status.step == 1


def test_a_candidate_that_fails_as_its_pause_ends_is_rolled_back() -> None:
    world = held_for_a_minute(Outcome.FAIL)
    world.run_until(P.ROLLING_BACK, 15)
    assert world.status.cause is Cause.METRICS_FAILED
    assert P.STEPPING not in world.phases[world.phases.index(P.PAUSED) :]


@pytest.mark.parametrize(
    ("outcome", "cause", "reason"),
    [
        (Outcome.ERROR, Cause.SOURCE_FAILED, "MetricsUnreadable"),
        (Outcome.INCONCLUSIVE, Cause.INCONCLUSIVE, "MetricsInconclusive"),
    ],
)
def test_metrics_that_are_gone_in_a_pause_hold_the_rollout(
    outcome: Outcome, cause: Cause, reason: str
) -> None:
    world = held_for_a_minute(outcome, outcome, outcome)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, cause)
    assert "errorRate" in world.status.message
    assert (world.told[-1].reason, world.told[-1].warning) == (reason, True)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.behaviors["B"] = Behavior()
    world.run(200)
    at_rest(world, "B")


def test_metrics_that_are_gone_in_a_pause_end_the_rollout_where_that_is_asked_for() -> None:
    world = held_for_a_minute(Outcome.ERROR, Outcome.ERROR)
    limits = Limits(errors=3, on_inconclusive=OnInconclusive.ABORT)
    world.spec = replace(world.spec, analysis=replace(CANARY.analysis, limits=limits))
    world.run_until(P.ROLLING_BACK, 8)
    assert world.status.cause is Cause.METRICS_MISSING


def test_a_pause_without_end_ends_by_an_edit_of_the_step() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    assert world.run(300).status.phase is P.PAUSED
    world.spec = replace(CANARY, steps=(Step(10), Step(100)))
    world.run(100)
    at_rest(world, "B")


def test_what_a_held_rollout_measures_is_written_when_it_says_something_else() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    before = world.run(300).stored
    assert world.run(300).stored == before
    world.behaviors["B"] = Behavior(says=Outcome.INCONCLUSIVE)
    after = world.run(20).stored
    assert after["measurements"] != before["measurements"]
    assert after["cause"] == "Inconclusive"
    assert world.run(300).stored == after
    world.behaviors["B"] = Behavior(says=Outcome.FAIL)
    world.run_until(P.FAILED)


def test_a_quota_holds_the_candidate_and_says_so_until_there_is_room() -> None:
    said = "exceeded quota: small, requested: pods=1"
    world = changing(Behavior(ready_s=None, refused=said))
    world.run_until(P.PAUSED)
    world.run(3000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROOM), "no deadline"
    assert world.weights == {"a": 100}
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "NoRoom"
    assert said in world.last.blocked.message
    assert "RollingUpdate would go without a gate" in world.last.blocked.message
    world.behaviors["B"] = Behavior()
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_quota_met_on_the_way_holds_the_weight() -> None:
    world = serving()
    world.scale(4)
    world.run(10)
    world.wanted = "B"
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None, refused="exceeded quota")
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.order("abort")
    world.run_until(P.FAILED)


def without_room(*, order: bool) -> World:
    """A promotion from one pod to two that a quota refuses."""
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None, refused="exceeded quota")
    if order:
        world.order("promote")
    world.run_until(P.PAUSED)
    assert P.PROMOTING in world.phases
    return world


@pytest.mark.parametrize("order", [True, False])
def test_a_quota_met_by_a_promotion_holds_it_without_a_deadline(order: bool) -> None:
    world = without_room(order=order).run(3000)
    assert (world.status.phase, world.status.cause) == (P.PAUSED, Cause.NO_ROOM)
    assert world.weights == {"a": 90, "b": 10}
    assert world.last is not None
    assert world.last.blocked is not None
    assert "exceeded quota" in world.last.blocked.message
    world.behaviors["B"] = Behavior()
    world.tick()
    assert world.status.phase is P.PROMOTING
    assert (world.status.cause is Cause.PROMOTED) is order
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_promotion_that_was_ordered_is_so_when_there_is_room_again() -> None:
    world = without_room(order=True)
    world.spec = replace(world.spec, paused=True)
    world.behaviors["B"] = Behavior(says=Outcome.FAIL)
    world.run_until(P.PROMOTING, 5)
    world.run(20)
    assert world.status.phase is P.PROMOTING, "neither the gates nor the pause hold it"
    world.lose("b")
    world.mend()
    world.run(200)
    at_rest(world, "B")


def test_a_promotion_that_is_held_can_be_ended() -> None:
    world = without_room(order=True)
    world.order("abort")
    world.run_until(P.ROLLING_BACK)
    assert not world.status.promoting
    assert not world.status.ordered
    world.run_until(P.FAILED)
    world = without_room(order=False)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    assert not world.status.promoting
    world.run(200)
    at_rest(world, "C")


def test_a_promotion_waits_for_gpus_and_not_against_the_deadline() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),), max_gpus=4)
    stepping_to(world, 10)
    world.spec = replace(world.spec, max_gpus=3)
    world.run_until(P.PAUSED)
    assert world.status.cause is Cause.NO_ROOM
    assert "2 replicas of the candidate do not fit maxGPUs 3" in world.status.message
    world.run(200)
    world.spec = replace(world.spec, max_gpus=4)
    world.run(200)
    at_rest(world, "B")


def test_a_route_that_is_taken_away_is_said_to_hold_the_change() -> None:
    world = stepping_to(changing(), 10)
    world.obstacles = (Obstacle("NoOwnRoute", "No route."),)
    world.reconcile()
    assert world.last is not None
    assert world.last.blocked is None, "it goes on while its route is there"


def test_a_weight_lost_in_a_pause_is_wanted_again() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    world.run_until(P.PAUSED)
    world.lose("b")
    world.reconcile()
    world.mend()
    stepping_to(world, 10)


def test_a_user_holds_the_rollout_and_lets_it_go_on() -> None:
    world = changing()
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 100}
    world.spec = CANARY
    stepping_to(world, 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    assert world.run(100).weights == {"a": 90, "b": 10}
    world.spec = CANARY
    world.run(200)
    at_rest(world, "B")


def test_a_user_who_lets_go_on_takes_nothing_from_the_analysis() -> None:
    world = stepping_to(changing(), 10)
    began = world.status.confirmed_at
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED).run(20)
    world.spec = CANARY
    world.tick()
    assert (world.status.phase, world.status.confirmed_at) == (P.ANALYZING, began)


def test_a_user_can_hold_the_last_move() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.spec = replace(world.spec, paused=True)
    world.tick()
    assert world.status.phase is P.PAUSED
    assert world.weights["b"] == 50
    world.spec = replace(world.spec, paused=False)
    world.tick()
    assert world.status.phase is P.PROMOTING, "the last step has been passed"
    assert not world.status.promoting
    world.run(200)
    at_rest(world, "B")


def test_an_edited_step_takes_effect_at_once() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.WAITING)), 10)
    world.spec = replace(CANARY, steps=(Step(20), Step(100)))
    stepping_to(world, 20)


def test_fewer_steps_than_were_passed_end_in_the_last_one() -> None:
    world = stepping_to(changing(), 50)
    world.spec = replace(CANARY, steps=(Step(10),))
    world.run(200)
    at_rest(world, "B")


def test_an_unhealthy_scaler_holds_the_rollout() -> None:
    world = stepping_to(changing(), 10)
    world.scaler_healthy = False
    world.tick()
    assert world.status.cause is Cause.SCALER_UNHEALTHY
    world.scaler_healthy = True
    world.run(200)
    at_rest(world, "B")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_abort_goes_back_to_stable_and_is_not_tried_again(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.order("abort")
    world.run(100)
    assert world.status.phase is P.FAILED
    assert world.status.cause is Cause.ABORTED
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_a_reverted_spec_goes_back_to_stable(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.wanted = "A"
    world.run(100)
    assert world.status.phase is P.STABLE
    assert not world.status.failed
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_a_newer_revision_takes_the_place_of_the_candidate(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.run_until(P.PREPARING)
    assert world.status.candidate == Assigned("C", "b")
    world.spec = CANARY
    world.run(200)
    at_rest(world, "C")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED, P.PROMOTING])
def test_another_strategy_ends_the_canary_and_goes_its_own_way(phase: RolloutPhase) -> None:
    world = entered(phase)
    world.spec = replace(world.spec, strategy=Strategy.ROLLING_UPDATE)
    world.run(100)
    assert world.status.stable == Assigned("B", "a")
    at_rest(world, "B")


def test_only_the_newest_revision_waits() -> None:
    world = stepping_to(changing(), 10)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.wanted = "D"
    world.run(200)
    at_rest(world, "D")
    assert "C" not in "".join(n.message for n in world.told if "candidate C" in n.message)


def test_back_to_stable_while_being_superseded() -> None:
    world = stepping_to(changing(), 10)
    world.wanted = "C"
    world.run_until(P.SUPERSEDED)
    world.wanted = "A"
    world.run(60)
    assert world.status.phase is P.STABLE
    at_rest(world, "A")


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.ANALYZING, P.PAUSED])
def test_a_promotion_skips_the_steps_that_are_left(phase: RolloutPhase) -> None:
    world = entered(phase)
    if phase is P.PREPARING:
        world.run(2)
    while not world.ready("b"):
        world.tick()
    world.order("promote")
    world.run_until(P.STABLE)
    at_rest(world, "B")
    assert P.FINALIZING in world.phases


def test_a_candidate_that_is_not_ready_is_not_promoted() -> None:
    world = changing(Behavior(ready_s=None)).run(2)
    world.order("promote")
    world.tick()
    assert world.status.phase is P.PREPARING
    assert world.told[-1].reason == "OrderRefused"
    assert world.status.handled.promote == "B/1"


def test_orders_for_another_revision_are_refused() -> None:
    world = stepping_to(changing(), 10)
    world.orders = Orders(promote=Order("A", "1"), abort=Order("X", "1"), retry=Order("B", "1"))
    world.tick()
    assert world.told[-1].reason == "OrderRefused"
    assert world.status.phase is P.ANALYZING
    world.run(200)
    at_rest(world, "B")


def test_a_promotion_in_a_pause_goes_through_the_pause() -> None:
    world = stepping_to(changing(), 10)
    world.spec = replace(CANARY, paused=True)
    world.run_until(P.PAUSED)
    world.order("promote")
    world.run(100)
    at_rest(world, "B")


def test_the_former_stable_gets_all_traffic_back_at_once_while_it_stands() -> None:
    world = changing().run_until(P.FINALIZING)
    world.tick()
    world.wanted = "A"
    world.tick()
    assert world.status.phase is P.ROLLING_BACK
    assert world.weights == {"a": 100, "b": 0}
    assert world.bounds.floor == 2
    world.run(100)
    at_rest(world, "A")


def test_a_former_stable_that_is_gone_is_a_new_revision_like_any_other() -> None:
    world = changing().run_until(P.FINALIZING)
    world.lose("a")
    world.wanted = "A"
    world.run_until(P.PREPARING)
    world.run(200)
    at_rest(world, "A")


def test_a_slot_is_left_alone_for_the_delay_and_until_it_is_idle() -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=3)
    world.run_until(P.FINALIZING)
    began = world.now
    world.run(12)
    assert world.ready("a") == 2
    world.behaviors["A"].running = 0
    world.run(2)
    assert "a" not in world.weights
    assert world.now - began >= timedelta(seconds=10)
    world.run_until(P.STABLE)
    assert not any(n.reason == "StreamsCut" for n in world.told)


@pytest.mark.parametrize(("running", "told"), [(3, True), (None, False)])
def test_a_slot_that_does_not_get_idle_is_cut_at_the_timeout(
    running: int | None, told: bool
) -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=running)
    world.run_until(P.FINALIZING)
    world.run(38)
    assert world.ready("a") == 2
    world.run_until(P.STABLE, 20)
    assert any(n.reason == "StreamsCut" and "3 requests" in n.message for n in world.told) is told


@pytest.mark.parametrize(
    ("running", "unanswered", "told"),
    [
        (3, 2, "At least 3 requests were still running on revision A after drain.timeout of 30 s"),
        (0, 2, "At least 0 requests"),
    ],
)
def test_pods_that_do_not_answer_are_waited_for_and_told(
    running: int, unanswered: int, told: str
) -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=running, unanswered=unanswered)
    world.run_until(P.FINALIZING)
    world.run(38)
    assert world.ready("a") == 2
    while world.status.leaving and not world.status.leaving.drained:
        world.tick()
    assert world.status.leaving is not None
    assert (world.status.leaving.cut, world.status.leaving.unanswered) == (running, unanswered)
    (said,) = (n.message for n in world.told if n.reason == "StreamsCut")
    assert said.startswith(told)
    assert said.endswith("and are cut; 2 pods did not answer.")


def test_pods_that_do_not_go_are_named_to_whoever_waits_for_their_slot() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.dead_nodes = True
    while "b" in world.slots and world.slots["b"].exists:
        world.tick()
    world.wanted = "C"
    due = min(p.gone_at for p in world.slots["b"].pods if p.gone_at is not None)
    while world.now < due + timedelta(seconds=30):
        assert world.last is not None
        assert world.last.blocked is None, "pods have their time to go"
        world.tick()
    assert world.last is not None
    assert world.last.blocked is not None
    assert world.last.blocked.reason == "SlotBusy"
    assert "Pod B-0 on node node-1 should be gone since 2026-01-01T" in world.last.blocked.message
    assert "kubectl delete node node-1" in world.last.blocked.message
    assert world.run(300).status.phase is P.ROLLING_BACK, "they may run still"
    world.dead_nodes = False
    world.run_until(P.PREPARING, 10)
    assert world.status.candidate == Assigned("C", "b")


def test_a_pod_that_does_not_go_is_looked_at_when_it_is_late() -> None:
    world = changing().run_until(P.FINALIZING)
    world.dead_nodes = True
    while world.slots["a"].exists:
        world.tick()
    (due,) = {pod.gone_at for pod in world.slots["a"].pods}
    assert due is not None
    world.run(29)
    assert world.last is not None
    assert world.last.again == due + timedelta(seconds=30)
    world.run(60)
    assert world.last.blocked is None, "nobody waits for the slot"
    assert world.last.again is None


def test_a_newer_revision_ends_the_delay_but_not_the_drain() -> None:
    world = changing()
    world.behaviors["A"] = Behavior(running=3)
    world.spec = replace(CANARY, scale_down_delay_s=100)
    world.run_until(P.FINALIZING)
    world.wanted = "C"
    world.run(20)
    assert world.status.phase is P.FINALIZING
    assert world.ready("a") == 2
    world.behaviors["A"].running = 0
    world.run_until(P.PREPARING, 10)
    assert world.status.candidate == Assigned("C", "a")


def test_a_candidate_that_never_had_traffic_goes_without_delay() -> None:
    world = changing().run_until(P.PREPARING)
    world.wanted = "A"
    world.run(6)
    assert world.status.phase is P.STABLE


def test_a_failure_is_forgotten_when_the_spec_moves_on_during_the_rollback() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.wanted = "A"
    world.run_until(P.STABLE)
    assert not world.status.failed


def test_a_rollback_is_not_reconsidered() -> None:
    world = changing(Behavior(says=Outcome.FAIL)).run_until(P.ROLLING_BACK)
    world.behaviors["B"].says = Outcome.PASS
    world.order("promote", "9")
    world.run(60)
    assert world.status.phase is P.FAILED


def test_a_frozen_service_is_not_touched() -> None:
    world = stepping_to(changing(Behavior(says=Outcome.FAIL)), 10)
    world.frozen = True
    before = world.stored
    world.run(100)
    assert world.stored == before
    assert world.last is not None
    assert world.last.arrangement is None
    world.frozen = False
    world.run_until(P.FAILED)


@pytest.mark.parametrize("phase", [P.PREPARING, P.STEPPING, P.PROMOTING])
def test_the_deadline_does_not_run_while_the_service_is_frozen(phase: RolloutPhase) -> None:
    world = changing(Behavior(ready_s=None)) if phase is P.PREPARING else growing(phase)
    world.run_until(phase).run(50)
    world.frozen = True
    world.run(200)
    world.frozen = False
    told = list(world.told)
    world.run(50)
    assert world.status.phase is phase, "it has all its time again"
    assert world.told == told
    world.run(20)
    assert world.status.cause is Cause.PROGRESS_DEADLINE


def test_a_freeze_and_its_end_in_one_second_are_seen_once() -> None:
    world = changing(Behavior(ready_s=None)).run(1)
    began = world.status.step_since
    assert began is not None
    seen = replace(world.observe(), paused_since=began + timedelta(seconds=1))
    moved = decide(CANARY, world.status, seen, began + timedelta(seconds=0.3))
    assert (moved.words, moved.news) == ("thawed", None)
    assert not decide(CANARY, moved.status, seen, began + timedelta(seconds=0.4)).moved


def idle(world: World, seconds: int) -> World:
    """All that is decided in this time is not done."""
    for _ in range(seconds):
        world.tick(effects=0)
    return world


@pytest.mark.parametrize("away", [100, 1000])
def test_what_no_operator_made_has_its_time_once_more(away: int) -> None:
    world = idle(changing(), 2)
    world.now += timedelta(seconds=away)
    world.tick()
    assert (world.status.phase, world.status.extended) == (P.PREPARING, True)
    world.run(200)
    assert P.ROLLING_BACK not in world.phases
    at_rest(world, "B")


def test_what_nobody_can_make_ends_at_twice_the_deadline() -> None:
    world = idle(changing(), 115)
    assert world.status.phase is P.PREPARING
    idle(world, 10)
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "not made within twice 60 s" in world.status.message


def test_what_was_made_and_is_not_ready_has_no_more_time() -> None:
    world = changing(Behavior(ready_s=None)).run(2)
    assert idle(world, 62).status.cause is Cause.PROGRESS_DEADLINE


@pytest.mark.parametrize("away", [100, 1000])
def test_a_weight_that_no_operator_wrote_has_its_time_once_more(away: int) -> None:
    world = idle(changing().run(2), 5)
    assert (world.status.phase, world.status.weight) == (P.STEPPING, 10)
    world.now += timedelta(seconds=away)
    world.run(200)
    assert P.ROLLING_BACK not in world.phases
    at_rest(world, "B")


def test_a_weight_that_nobody_can_write_ends_at_twice_the_deadline() -> None:
    world = idle(changing().run(2), 115)
    assert world.status.phase is P.STEPPING
    idle(world, 10)
    assert world.status.cause is Cause.ROUTE_DEADLINE
    assert "not given weight 10 within twice 60 s" in world.status.message


def test_a_lost_status_is_taken_from_what_serves() -> None:
    world = changing().run(200)
    seen = replace(world.observe(), serving=("b", "B"))
    decision = decide(CANARY, RolloutStatus(), seen, world.now)
    assert decision.status.stable == Assigned("B", "b")


def test_a_lost_status_with_two_slots_drains_the_other() -> None:
    world = stepping_to(changing(), 10)
    seen = replace(world.observe(), serving=("a", "A"))
    decision = decide(CANARY, RolloutStatus(), seen, world.now)
    assert decision.status.phase is P.FINALIZING
    assert decision.status.leaving is not None
    assert decision.status.leaving.revision == "B"


def test_readiness_lost_before_the_route_reports_takes_the_weight_as_well() -> None:
    world = changing()
    world.accepts = False
    while not world.status.weight:
        world.tick()
    world.lose("b")
    world.reconcile()
    assert world.status.phase is P.STEPPING
    assert world.weights.get("b", 0) == 0


def test_losses_count_over_the_steps() -> None:
    world = stepping_to(changing(), 10)
    world.lose("b")
    world.tick()
    world.mend()
    stepping_to(world, 50)
    world.lose("b")
    world.run_until(P.ROLLING_BACK, 2)
    assert world.status.cause is Cause.LOST_READINESS


def test_a_candidate_that_does_not_grow_in_time_is_rolled_back() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10), Step(50, replicas=5)))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None)
    world.run_until(P.ROLLING_BACK)
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    assert "1 of 5 replicas" in world.status.message


def test_a_candidate_that_does_not_reach_stables_size_is_not_promoted() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10),))
    stepping_to(world, 10)
    world.behaviors["B"] = Behavior(ready_s=None)
    world.run_until(P.FAILED)
    assert P.PROMOTING in world.phases
    assert world.status.cause is Cause.PROGRESS_DEADLINE
    at_rest(world, "A")


def test_a_route_that_does_not_take_the_last_weight_keeps_what_it_has() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(50),))
    world.run_until(P.PROMOTING)
    world.accepts = False
    world.run_until(P.ROLLING_BACK)
    assert world.status.cause is Cause.ROUTE_DEADLINE
    world.accepts = True
    world.run_until(P.FAILED)


def test_a_candidate_of_which_a_part_is_ready_is_promoted_once_it_has_its_size() -> None:
    world = changing()
    world.spec = replace(CANARY, steps=(Step(10, replicas=2), Step(100)))
    world.run_until(P.PREPARING)
    world.slots["b"].pods[0].ready_at = world.now
    world.order("promote")
    world.tick()
    assert world.status.phase is P.PROMOTING
    assert world.weights == {"a": 100}
    world.run_until(P.FINALIZING)
    assert world.ready("b") == 2


def test_a_user_holds_a_step_on_its_way() -> None:
    world = changing().run_until(P.STEPPING)
    world.spec = replace(CANARY, paused=True)
    world.reconcile()
    assert world.status.phase is P.PAUSED


@pytest.mark.parametrize("phase", list(P))
def test_an_order_that_means_nothing_is_refused_in_every_phase(phase: RolloutPhase) -> None:
    world = at(phase)
    world.orders = Orders(retry=Order("X", "5"))
    world.reconcile()
    refused = [n for n in world.told if n.reason == "OrderRefused"]
    assert len(refused) == 1
    assert world.status.handled.retry == "X/5"
    world.run(30)
    assert [n for n in world.told if n.reason == "OrderRefused"] == refused


def test_each_change_of_phase_is_told_once() -> None:
    world = changing().run(300)
    told = [n.reason for n in world.told if n.reason.startswith("Rollout")]
    assert told == [f"Rollout{phase}" for phase in world.phases]


def test_no_row_of_the_table_is_hidden_by_the_ones_before() -> None:
    rows = [(row.source, row.target, row.words) for row in TABLE]
    assert len(rows) == len(set(rows))
    assert {row.source for row in TABLE} == set(P)


def entered(phase: RolloutPhase) -> World:
    """A rollout of B that has just come to `phase`."""
    world = changing()
    if phase is P.PROMOTING:
        world.spec = replace(CANARY, steps=(Step(50),))
    if phase is P.PAUSED:
        world.spec = replace(CANARY, steps=(Step(10, pause_s=FOREVER), Step(100)))
    world.run_until(phase)
    world.spec = replace(CANARY, steps=world.spec.steps)
    return world


def at(phase: RolloutPhase) -> World:
    """A world in any phase."""
    match phase:
        case P.STABLE:
            return serving()
        case P.FAILED | P.ROLLING_BACK:
            return changing(Behavior(says=Outcome.FAIL)).run_until(phase)
        case P.SUPERSEDED:
            world = stepping_to(changing(), 10)
            world.wanted = "C"
            return world.run_until(phase)
        case P.FINALIZING:
            return changing().run_until(phase)
        case _:
            return entered(phase)
