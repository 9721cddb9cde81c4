"""One look at a rollout, and the plain questions that a decision asks of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dfastllm_operator import names
from dfastllm_operator.canary.observation import Observation, Order, SlotSeen
from dfastllm_operator.canary.policy import RolloutSpec, Step
from dfastllm_operator.canary.state import Leaving, RolloutStatus
from dfastllm_operator.gates.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Look:
    """What was asked for, what is kept, what is there, and when."""

    spec: RolloutSpec
    status: RolloutStatus
    seen: Observation
    now: datetime

    @property
    def stable_seen(self) -> SlotSeen:
        stable = self.status.stable
        return self.seen.slot(stable.slot) if stable else SlotSeen()

    @property
    def candidate_seen(self) -> SlotSeen:
        """The candidate's slot; nothing while the slot is not that candidate's yet."""
        candidate = self.status.candidate
        if candidate is None:
            return SlotSeen()
        seen = self.seen.slot(candidate.slot)
        return seen if seen.revision == candidate.revision else SlotSeen()

    @property
    def free_slot(self) -> str:
        stable = self.status.stable
        return next(s for s in names.SLOTS if stable is None or s != stable.slot)

    @property
    def step(self) -> Step:
        """The present step; the steps may have been edited to fewer."""
        return self.spec.steps[min(self.status.step, len(self.spec.steps) - 1)]

    @property
    def in_last_step(self) -> bool:
        return self.status.step >= len(self.spec.steps) - 1

    @property
    def moved_on(self) -> bool:
        """The spec asks for another revision than stable."""
        stable = self.status.stable
        return stable is not None and self.seen.wanted != stable.revision

    @property
    def coming_back(self) -> bool:
        """Stable has served as it is, and its pods may be ready again at any time."""
        stable, seen = self.status.stable, self.stable_seen
        if stable is None or seen.stopped or self.seen.served != stable.revision:
            return False
        return not self.past(seen.unready_since, self.spec.progress_deadline_s)

    @property
    def lost(self) -> bool:
        return self.status.weight > 0 and not self.candidate_seen.ready

    @property
    def sized(self) -> bool:
        """The candidate has the size that is recorded."""
        return self.candidate_seen.ready >= max(1, self.status.replicas)

    @property
    def reported(self) -> bool:
        """The route reports the wanted weight, for its present generation."""
        return self._shares(self.status.weight)

    @property
    def made(self) -> bool:
        """The InferenceService of the candidate is there, as that revision."""
        return bool(self.candidate_seen.revision)

    @property
    def written(self) -> bool:
        """The route asks for the wanted weight, whether or not anybody has reported it."""
        return self._asks(self.status.weight)

    @property
    def routeless(self) -> bool:
        """There is no route, and something is in the way of one."""
        return self.seen.route is None and bool(self.seen.obstacles)

    @property
    def without_weight(self) -> bool:
        """The candidate gets no request any more, as far as anybody can tell.

        A route that never accepted any weight may never accept this one.
        """
        status = self.status
        if status.candidate is not None and self.leads_to(status.candidate.slot):
            return False  # it was stable for a while, and clients inside the cluster are there
        if not status.exposed or self.seen.route is None or self._shares(0):
            return True
        return status.confirmed == 0 and self.past(status.since, self.spec.progress_deadline_s)

    @property
    def fresh(self) -> Measurement | None:
        """A measurement of the present window that was not counted yet."""
        found, status = self.seen.measurement, self.status
        if found is None or found.window != status.confirmed_at:
            return None
        if status.weight == 0 or status.weight != status.confirmed:
            return None
        last = status.tally.measured_at
        return found if last is None or found.at > last else None

    @property
    def idle_from(self) -> datetime | None:
        """When gateways have surely left the leaving slot alone.

        A newer revision that waits for the slot ends the delay, but for the gateways' lag.
        """
        leaving = self.status.leaving
        if leaving is None:
            return None
        waited_for = self.moved_on and self.seen.wanted != leaving.revision
        delay = self.spec.gateway_lag_s if waited_for else self.spec.scale_down_delay_s
        return leaving.since + timedelta(seconds=max(delay, self.spec.gateway_lag_s))

    @property
    def idle(self) -> bool:
        """The leaving slot can go: nothing runs on it, or the time for that is over."""
        leaving, idle_from = self.status.leaving, self.idle_from
        if leaving is None or idle_from is None or self.now < idle_from:
            return False
        if self.share_of(leaving.slot) or self.leads_to(leaving.slot):
            return False
        seen = self.seen.slot(leaving.slot)
        empty = seen.running == 0 and not seen.unanswered
        return empty or self.past(idle_from, self.spec.drain_timeout_s)

    @property
    def gone(self) -> bool:
        leaving = self.status.leaving
        return leaving is not None and leaving.drained and self.seen.slot(leaving.slot).empty

    @property
    def former_stands(self) -> bool:
        """What the spec asks for is the former stable, and it still can serve."""
        leaving = self.status.leaving
        return leaving is not None and self._stands(leaving) and not leaving.drained

    def past(self, since: datetime | None, seconds: float) -> bool:
        if since is None or seconds == float("inf"):
            return False
        return self.now >= since + timedelta(seconds=seconds)

    def gpus_of(self, revision: str) -> int:
        return self.seen.gpus.get(revision, 0)

    def share_of(self, slot: str) -> int:
        """The weight of a slot in the route as it is written."""
        return self.seen.route.weights.get(slot, 0) if self.seen.route else 0

    def leads_to(self, slot: str) -> bool:
        """The address inside the cluster does."""
        return self.seen.address == slot

    def order(self, kind: str) -> Order | None:
        """An order that nobody has handled yet."""
        found: Order | None = getattr(self.seen.orders, kind)
        return found if found and str(found) != getattr(self.status.handled, kind) else None

    def order_for(self, kind: str, revision: str) -> Order | None:
        """An order that can be carried out: for that revision, and one that can be told again."""
        found = self.order(kind)
        return found if found and found.nonce and found.revision == revision else None

    def order_for_candidate(self, kind: str) -> bool:
        candidate = self.status.candidate
        return candidate is not None and self.order_for(kind, candidate.revision) is not None

    def _shares(self, weight: int) -> bool:
        return self.seen.route is not None and self.seen.route.current and self._asks(weight)

    def _asks(self, weight: int) -> bool:
        route, candidate = self.seen.route, self.status.candidate
        if route is None or candidate is None:
            return False
        total = sum(route.weights.values())
        return total > 0 and route.weights.get(candidate.slot, 0) * 100 == weight * total

    def _stands(self, leaving: Leaving) -> bool:
        seen = self.seen.slot(leaving.slot)
        return self.seen.wanted == leaving.revision == seen.revision and seen.ready > 0
