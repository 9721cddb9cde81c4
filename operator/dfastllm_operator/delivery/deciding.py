"""One decision on the rollout of a service: asked for, seen and kept, put together. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from dfastllm_operator.api.rollout import RolloutStrategy
from dfastllm_operator.canary import machine
from dfastllm_operator.canary.arrange import arrange
from dfastllm_operator.canary.decision import Decision
from dfastllm_operator.canary.look import Look
from dfastllm_operator.canary.observation import Running
from dfastllm_operator.canary.policy import RolloutSpec
from dfastllm_operator.canary.record import kept_news, to_status, with_news
from dfastllm_operator.canary.state import Assigned, RolloutStatus
from dfastllm_operator.core import Json
from dfastllm_operator.decide import Plan
from dfastllm_operator.delivery.columns import columns
from dfastllm_operator.delivery.naming import with_names
from dfastllm_operator.delivery.placing import known_revisions, placed, remembering
from dfastllm_operator.delivery.policy import policy_of
from dfastllm_operator.delivery.seen import observation
from dfastllm_operator.delivery.sizes import range_of, replicas_of
from dfastllm_operator.gates.measurement import Measurement
from dfastllm_operator.observe import Observed


@dataclass(frozen=True, slots=True)
class Delivery:
    """The decision, and the plan that shows the cluster as the status wants it."""

    decision: Decision
    plan: Plan


def is_engaged(observed: Observed, plan: Plan) -> bool:
    """Whether the state machine has a say: for canaries, for what was one, and for `maxGPUs`.

    Not before a first revision has been recorded, since a rollout is told from it.
    """
    if not plan.placements:
        return False
    if observed.status.get("rollout"):
        return True
    asked = observed.service.spec.rollout
    serving = str(observed.status.get("updatedRevision"))
    if asked is None or serving not in plan.numbers:
        return False
    return asked.strategy is RolloutStrategy.CANARY or asked.max_gpus is not None


def deliver(
    observed: Observed,
    plan: Plan,
    policy: RolloutSpec,
    status: RolloutStatus,
    now: datetime,
    *,
    measurement: Measurement | None = None,
    running: Running | None = None,
) -> Delivery:
    """Decide; see `Delivery`.

    A revision is recorded before anything is decided on it: from then on it can be made again, even
    when the spec has moved on.
    """
    recorded = known_revisions(observed, plan)
    seen = observation(observed, plan, recorded, status, running=running, measurement=measurement)
    look = Look(policy, status, seen, now)
    revisions = with_names(observed, policy, status, seen.wanted, recorded)
    known = seen.wanted in plan.numbers and revisions is recorded
    if status.stable is not None and not known and not seen.frozen:
        decision = Decision(status, arrangement=arrange(look), recording=seen.wanted)
    else:
        decision = machine.decide(policy, status, seen, now)
    arrangement = decision.arrangement or arrange(look)
    if decision.moved or arrangement is None:
        return Delivery(decision, plan)
    limit = policy.revision_history_limit
    return Delivery(decision, placed(plan, arrangement, status, revisions, seen, limit=limit))


def undelivered(observed: Observed, plan: Plan, now: datetime) -> Plan:
    """The plan of a service that the state machine has no say in.

    It is within its `maxGPUs`, from the very first write on, and its former revisions are kept.
    """
    limit = policy_of(observed.service.spec).revision_history_limit
    bounded = _within_gpus(observed, plan, now)
    return remembering(bounded, known_revisions(observed, plan), limit=limit)


def moved_status(observed: Observed, decision: Decision, now: datetime) -> Json:
    """The status with the rollout moved on; what follows stable moves in the same write.

    So does what is to be told of it. It stays while others follow: who comes after an operator that
    dies here tells it, and so does this one if it cannot now.
    """
    old = dict(observed.raw.get("status") or {})
    before, news = old.get("rollout") or {}, decision.news
    stable = decision.status.stable
    serving = {"slot": stable.slot, "updatedRevision": stable.revision} if stable else {}
    shown = columns(policy_of(observed.service.spec), decision.status)
    latest = with_news(before, news, now) if news else kept_news(before)
    told = {"moves": latest} if latest else {}
    return {**old, **serving, "rollout": {**to_status(decision.status), **shown, **told}}


def _within_gpus(observed: Observed, plan: Plan, now: datetime) -> Plan:
    policy = policy_of(observed.service.spec)
    if policy.max_gpus is None or not plan.placements:
        return plan
    place = plan.placements[0]
    status = RolloutStatus(stable=Assigned(place.revision.hash, place.slot))
    seen = observation(observed, plan, known_revisions(observed, plan), status)
    arrangement = arrange(Look(policy, status, seen, now))
    assert arrangement is not None, "there is a stable"
    (slot,) = arrangement.slots
    replicas = replicas_of(slot, plan.spec, arrangement, status, seen)
    scaling = range_of(plan.spec, arrangement, seen)
    return replace(plan, placements=(replace(place, replicas=replicas),), scaling=scaling)
