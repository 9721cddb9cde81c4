"""A cluster in miniature for rollouts: slots with pods, a route, a scaler and a clock. Pure.

The operator's part is played through as it is meant to be: the status goes through its spelling at
each decision, so every look is one after a restart; nothing else is remembered. Each write is held
against what must never happen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from dfastllm_operator.canary.decision import Arrangement, Bounds, Decision, News
from dfastllm_operator.canary.lingering import Going
from dfastllm_operator.canary.machine import decide
from dfastllm_operator.canary.observation import (
    Observation,
    Obstacle,
    Order,
    Orders,
    RouteSeen,
    SlotSeen,
)
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec, Strategy
from dfastllm_operator.canary.record import from_status, to_status
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import Json
from dfastllm_operator.gates.measurement import Check, Measurement, Outcome
from dfastllm_operator.gates.plan import Limits, Plan
from support.rollout_slots import Behavior, Moved, Pod, Slot

START = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = RolloutSpec(
    strategy=Strategy.CANARY,
    analysis=Plan(interval_s=5, warmup_s=0, limits=Limits(failures=2, errors=3, inconclusive=3)),
    progress_deadline_s=60,
    scale_down_delay_s=10,
    drain_timeout_s=30,
    gateway_lag_s=5,
)
SHOWN: Json = {"metric": "tokensPerSecond", "outcome": str(Outcome.SHOWN), "candidate": "80.00"}
"""Beside each measurement; it must not count for anything."""
NO_GATEWAY = Obstacle("GatewayApiMissing", "Install the Gateway API.")
NO_ORDERS = Orders()
NO_BOUNDS = Bounds()
LEAVING_S = 2.0
REPORT_S = 1.0
MOVES_AT_ONCE = 12


@dataclass
class World:
    """What there is, and the operator that works on it."""

    wanted: str = "A"
    spec: RolloutSpec = CANARY
    replicas: int = 2
    wish: int | None = None
    behaviors: dict[str, Behavior] = field(default_factory=dict)
    now: datetime = START
    stored: Json = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    written_at: datetime = START
    reported: dict[str, int] = field(default_factory=dict)
    accepts: bool = True
    gateway: bool = True
    address: str = ""
    switches: bool = True
    orders: Orders = NO_ORDERS
    obstacles: tuple[Obstacle, ...] = ()
    frozen: bool = False
    frozen_at: datetime | None = None
    served: str = ""
    scaler_healthy: bool | None = None
    bounds: Bounds = NO_BOUNDS
    told: list[News] = field(default_factory=list)
    phases: list[RolloutPhase] = field(default_factory=list)
    moves: list[Moved] = field(default_factory=list)
    last: Decision | None = None
    held: int = 0
    dead_nodes: bool = False

    @property
    def status(self) -> RolloutStatus:
        return from_status(self.stored)

    def behavior(self, revision: str) -> Behavior:
        return self.behaviors.get(revision, Behavior())

    def observe(self) -> Observation:
        return Observation(
            wanted=self.wanted,
            slots={name: self._seen(slot) for name, slot in self.slots.items()},
            route=RouteSeen(dict(self.weights), self._is_reported()) if self.weights else None,
            address=self.address,
            served=self.served,
            gpus={r: self.behavior(r).gpus for r in self._revisions()},
            obstacles=self.obstacles if self.gateway else (NO_GATEWAY, *self.obstacles),
            orders=self.orders,
            measurement=self._measurement(),
            scaler_healthy=self.scaler_healthy,
            frozen=self.frozen,
            paused_since=self._paused_since(),
        )

    def reconcile(self, *, effects: int = 99) -> None:
        """Decide until nothing moves, then carry out the first so many `effects`."""
        self.frozen_at = (self.frozen_at or self.now) if self.frozen else self.frozen_at
        for _ in range(MOVES_AT_ONCE):
            decision = decide(self.spec, self.status, self.observe(), self.now)
            self.last = decision
            if not decision.moved:
                break
            self.store(decision)
        else:
            raise AssertionError(f"does not come to rest: {self.phases[-MOVES_AT_ONCE:]}")
        self.frozen_at = self.frozen_at if self.frozen else None
        assert decision.again is None or decision.again > self.now
        if decision.arrangement is not None:
            for effect, _ in zip(self._effects(decision.arrangement), range(effects), strict=False):
                effect()
                self._check()

    def store(self, decision: Decision) -> None:
        self._check_delay(decision.status)
        stored = to_status(decision.status)
        assert from_status(stored) == decision.status, "nothing is lost on the way"
        assert stored != self.stored, "a move writes something"
        if decision.status.phase is not self.status.phase or not self.phases:
            self.phases.append(decision.status.phase)
        before = self.status
        ready = self.ready(before.stable.slot) if before.stable else 0
        self.moves.append(Moved(decision.words, before, decision.status, ready))
        self.stored = stored
        if decision.news:
            self.told.append(decision.news)

    def tick(self, seconds: float = 1.0, *, effects: int = 99) -> None:
        self.now += timedelta(seconds=seconds)
        self._live()
        self._rescale()
        self.reconcile(effects=effects)

    def run(self, seconds: float) -> "World":
        for _ in range(int(seconds)):
            self.tick()
        return self

    def run_until(self, phase: RolloutPhase, seconds: int = 400) -> "World":
        for _ in range(seconds):
            if self.status.phase is phase:
                return self
            self.tick()
        raise AssertionError(f"not {phase} within {seconds} s: {self.phases}")

    def order(self, kind: str, nonce: str = "1", revision: str = "") -> None:
        made = Order(revision or self.wanted, nonce)
        self.orders = replace(self.orders, **{kind: made})

    def scale(self, replicas: int) -> None:
        """What the autoscaler wishes from now on."""
        self.wish = replicas
        self._rescale()

    def _rescale(self) -> None:
        stable = self.status.stable
        if self.wish is None or stable is None or stable.slot not in self.slots:
            return
        slot, replicas = self.slots[stable.slot], self.wish
        if self.bounds.steady:
            replicas = max(replicas, slot.wanted)
        if self.bounds.floor is not None:
            replicas = max(replicas, self.bounds.floor)
        if self.bounds.cap is not None:
            replicas = min(replicas, self.bounds.cap)
        self.replicas = replicas
        self._set(slot, replicas)
        self._check()

    def lose(self, slot: str) -> None:
        """All pods of a slot stop being ready, and new ones will not be before it is mended."""
        if slot in self.slots:
            self.slots[slot].broken = True
            for pod in self.slots[slot].pods:
                pod.ready_at = None

    def lose_role(self, role: str) -> None:
        """The same for whoever is `stable` or `candidate` now."""
        found = getattr(self.status, role)
        if found is not None:
            self.lose(found.slot)

    def mend(self) -> None:
        for slot in self.slots.values():
            if slot.broken:
                slot.broken = False
                for pod in slot.pods:
                    pod.ready_at = self._ready_at(slot.revision)

    def ready(self, slot: str) -> int:
        found = self.slots.get(slot)
        return self._seen(found).ready if found else 0

    def _effects(self, wanted: Arrangement) -> Iterator[Callable[[], None]]:
        yield partial(self._allow, wanted.bounds)
        for one in wanted.slots:
            yield partial(self._apply, one.slot, one.revision, one.replicas)
        yield partial(self._switch, wanted.serving)
        yield partial(self._route, dict(wanted.weights), wanted)
        for slot in wanted.remove:
            yield partial(self._remove, slot)

    def _allow(self, bounds: Bounds) -> None:
        self.bounds = bounds
        stable = self.status.stable
        slot = self.slots.get(stable.slot) if stable is not None else None
        if slot is not None and bounds.cap is not None and slot.wanted > bounds.cap:
            self._set(slot, bounds.cap)

    def _apply(self, name: str, revision: str, replicas: int | None) -> None:
        slot = self.slots.get(name)
        if slot is None:
            slot = self.slots[name] = Slot(revision, 0)
        if slot.revision != revision:
            assert replicas is None, "only stable is ever updated in place"
            slot.revision, slot.was_ready = revision, False
            for pod in slot.live:
                pod.gpus = max(pod.gpus, self.behavior(revision).gpus)
            for pod in slot.pods:
                if pod.ready_at is None or self.behavior(revision).ready_s is not None:
                    pod.ready_at = self._ready_at(revision)
        slot.exists = True
        if replicas is not None:
            self._set(slot, replicas)
        elif not slot.wanted:
            cap = self.bounds.cap
            self._set(slot, self.replicas if cap is None else min(self.replicas, cap))

    def _set(self, slot: Slot, replicas: int) -> None:
        slot.wanted, live = replicas, slot.live
        for _ in range(replicas - len(live)):
            ready_at = None if slot.broken else self._ready_at(slot.revision)
            slot.pods.append(Pod(ready_at, self._largest(slot)))
        for pod in live[replicas:]:
            pod.gone_at = self.now + timedelta(seconds=LEAVING_S)

    def _switch(self, serving: str) -> None:
        """The address inside the cluster; somebody may have taken the right to it away."""
        if self.address == serving or (self.address and not self.switches):
            return
        if self.address in self.slots:
            self.slots[self.address].unaddressed_since = self.now
        self.slots[serving].unaddressed_since = None
        self.address = serving

    def _route(self, weights: dict[str, int], wanted: Arrangement) -> None:
        assert sum(weights.values()) == 100, weights
        assert all(0 <= weight <= 100 for weight in weights.values())
        for name, weight in weights.items():
            if name == wanted.serving:
                continue
            assert not weight or self.ready(name), f"weight {weight} to {name} without endpoints"
            assert self.slots[name].was_ready, f"{name} in the route, never ready"
        if weights != self.weights and self.gateway:
            self.weights, self.written_at = weights, self.now

    def _remove(self, name: str) -> None:
        slot = self.slots[name]
        assert name not in self.weights, "still in the route"
        assert name != self.address, "clients inside the cluster are still there"
        status = self.status
        assert status.stable is not None
        assert name != status.stable.slot
        assert status.leaving is not None
        assert status.leaving.drained
        slot.exists = False
        self._set(slot, 0)

    def _check_delay(self, moved: RolloutStatus) -> None:
        """When a slot is given up, it had no weight for long enough."""
        before, leaving = self.status, moved.leaving
        if leaving is None or not leaving.drained or (before.leaving and before.leaving.drained):
            return
        slot = self.slots.get(leaving.slot)
        left = [t for t in (slot.weightless_since, slot.unaddressed_since) if t] if slot else []
        if not left:
            return
        assert moved.stable is not None
        passed = (self.now - max(left)).total_seconds()
        waited_for = self.wanted not in (moved.stable.revision, leaving.revision)
        least = self.spec.gateway_lag_s if waited_for else self.spec.scale_down_delay_s
        assert passed >= least, f"{leaving.slot} given up {passed} s after its weight"

    def _live(self) -> None:
        for name, slot in list(self.slots.items()):
            slot.pods = [
                p for p in slot.pods if p.gone_at is None or p.gone_at > self.now or self.dead_nodes
            ]
            if not slot.exists and not slot.pods:
                del self.slots[name]
                self.reported.pop(name, None)
                continue
            ready = self.ready(name)
            if ready == len(slot.live) and self.behavior(slot.revision).ready_s is not None:
                for pod in slot.live:  # no pod of a former revision is left
                    pod.gpus = self.behavior(slot.revision).gpus
            slot.was_ready = slot.was_ready or ready > 0
            slot.unready_since = None if ready else slot.unready_since or self.now
            stable = self.status.stable
            if stable is not None and stable.slot == name and ready == slot.wanted:
                self.served = slot.revision
        self.held = self._gpus()
        self.weights = self.weights if self.gateway else {}
        if self._is_reported():
            for name, slot in self.slots.items():
                had, has = self.reported.get(name, 0), self.weights.get(name, 0)
                if had and not has:
                    slot.weightless_since = self.now
                elif has:
                    slot.weightless_since = None
            self.reported = dict(self.weights)

    def _is_reported(self) -> bool:
        if self.weights == self.reported:
            return True
        return self.accepts and self.now >= self.written_at + timedelta(seconds=REPORT_S)

    def _check(self) -> None:
        """No GPU is added beyond the limit; one that was lowered takes none away."""
        held, limit = self._gpus(), self.spec.max_gpus
        assert limit is None or held <= max(limit, self.held), f"{held} GPUs"
        self.held = held

    def _gpus(self) -> int:
        return sum(pod.gpus for slot in self.slots.values() for pod in slot.pods)

    def _largest(self, slot: Slot) -> int:
        """A Deployment whose pods are being replaced may still make some of the former size."""
        return max(self.behavior(slot.revision).gpus, *(pod.gpus for pod in slot.live), 0)

    def _seen(self, slot: Slot) -> SlotSeen:
        behavior = self.behavior(slot.revision)
        live = slot.live
        ready = [p for p in live if p.ready_at is not None and p.ready_at <= self.now]
        return SlotSeen(
            revision=slot.revision if slot.exists else "",
            wanted=slot.wanted,
            ready=len(ready),
            ready_pods=len(ready),
            pods=len(live),
            leaving=len(slot.pods) - len(live),
            gpus_each=self._largest(slot),
            gpus_leaving=sum(pod.gpus for pod in slot.pods if pod.gone_at is not None),
            going=tuple(
                Going(f"{slot.revision}-{number}", "node-1", pod.gone_at)
                for number, pod in enumerate(slot.pods)
                if pod.gone_at is not None
            ),
            running=behavior.running,
            unanswered=behavior.unanswered,
            symptom="" if len(ready) == len(live) else f"{slot.revision} is not ready",
            hopeless=behavior.hopeless,
            refused=behavior.refused,
            stopped=not slot.wanted,
            unready_since=slot.unready_since,
        )

    def _measurement(self) -> Measurement | None:
        status = self.status
        if status.candidate is None or status.confirmed_at is None:
            return None
        since = status.tally.measured_at or status.confirmed_at
        if self.now < since + timedelta(seconds=self.spec.analysis.interval_s):
            return None
        outcome = self.behavior(status.candidate.revision).says
        check = Check("errorRate", outcome, f"errorRate: {outcome}")
        entry = {"metric": "errorRate", "outcome": str(outcome)}
        return Measurement(self.now, status.confirmed_at, outcome, (check,), (entry, SHOWN))

    def _paused_since(self) -> datetime | None:
        """By a condition, which tells whole seconds and is written after the decision."""
        if self.frozen or self.frozen_at is None:
            return None
        return self.frozen_at.replace(microsecond=0) + timedelta(seconds=1)

    def _ready_at(self, revision: str) -> datetime | None:
        seconds = self.behavior(revision).ready_s
        return None if seconds is None else self.now + timedelta(seconds=seconds)

    def _revisions(self) -> set[str]:
        return {self.wanted, *(slot.revision for slot in self.slots.values())}
