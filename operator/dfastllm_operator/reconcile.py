"""The spine: observe, decide, render, apply, say how it is.

Level-triggered: every event of a service or of anything it owns comes to the same function, which
looks at all there is and does what is missing. Nothing it needs is remembered between two calls
that a restart would miss.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from dfastllm_operator.apply import Applied, Applier
from dfastllm_operator.canary.decision import Decision
from dfastllm_operator.census import Census
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.conditions import Reason
from dfastllm_operator.contest import Contest
from dfastllm_operator.core import Json, Key, Platform
from dfastllm_operator.decide import Plan, decide
from dfastllm_operator.delivery.deciding import Delivery, deliver, is_engaged, undelivered
from dfastllm_operator.delivery.policy import policy_of
from dfastllm_operator.delivery.seen import stored_status
from dfastllm_operator.errors import Departed, Refuse
from dfastllm_operator.judge import Situation
from dfastllm_operator.kinds import (
    SERVICE_RESOURCE,
)
from dfastllm_operator.measuring import DRAIN_POLL_S, Measuring
from dfastllm_operator.observe import Hub, Observed, observe
from dfastllm_operator.pinning import pin, pins
from dfastllm_operator.reporting import Reporter
from dfastllm_operator.rollout import Rollout, rollout, started
from dfastllm_operator.status import compose, refused
from dfastllm_operator.store import Store
from dfastllm_operator.wanted import judged_children, spared_kinds, wanted_children

logger = structlog.get_logger("reconcile")


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Brings one service at a time to what its spec asks for.

    `platform` is asked anew at each call, since CRDs come and go. `recheck_s` is the pace of
    looking again at what no watch reports: a Secret, a hub, a name that is taken, an Event that was
    refused. `clock` is the time of day.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        hub: Hub,
        platform: Callable[[], Platform],
        census: Census,
        *,
        reporter: str,
        recheck_s: float = 15.0,
        clock: Callable[[], datetime] = wall_clock,
        measuring: Measuring | None = None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._hub = hub
        self._platform = platform
        self._census = census
        self._reporter = Reporter(cluster, store, census, reporter)
        self._recheck_s = recheck_s
        self._clock = clock
        self._measuring = measuring or Measuring()
        self._contest = Contest(time.monotonic)
        self._applier = Applier(cluster, store, self._contest)

    async def reconcile(self, key: Key) -> float | None:
        """One look at `key`. Returns after how many seconds to look again, None: when woken.

        Raises `errors.ApiError` when the API server cannot be used; the queue tries again.
        """
        raw = self._store.service(key)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            self._census.forget(key)
            self._applier.forget(key)
            self._measuring.forget(key)
            self._reporter.forget(key)
            return None
        all_told = await self._reporter.tell(raw, self._clock())
        again_s = await self._look(raw)
        if all_told:
            return again_s
        return self._recheck_s if again_s is None else min(again_s, self._recheck_s)

    async def _look(self, raw: Json) -> float | None:
        try:
            observed = await observe(raw, self._platform(), self._store, self._cluster, self._hub)
        except Refuse as problem:
            status = refused(raw, Reason.named(problem.reason), problem.message, self._now())
            await self._reporter.report(raw, status, self._now())
            return None
        plan, decision = decide(observed), None
        if is_engaged(observed, plan):
            delivery = await self._deliver(observed, plan)
            plan, decision = delivery.plan, delivery.decision
            if decision.moved:
                return 0.0 if await self._reporter.move(observed, decision, self._clock()) else None
        else:
            plan = undelivered(observed, plan, self._clock())
        try:
            applied = await self._carry_out(observed, plan)
        except Refuse as problem:  # the record of a newer operator
            plan, applied = replace(plan, problem=problem), Applied()
        except Departed as news:
            self._hear(raw, news.present)
            return 0.0
        again_s = await self._conclude(observed, plan, applied, decision)
        return again_s if decision is None else self._soonest(observed, applied, decision, again_s)

    async def _deliver(self, observed: Observed, plan: Plan) -> Delivery:
        """The decision on a canary rollout, with the metrics if they are due."""
        policy, status, now = (
            policy_of(observed.service.spec),
            stored_status(observed),
            self._clock(),
        )
        measurement = await self._measuring.look(observed, policy, status, now)
        if measurement is not None:
            self._census.measured(observed.service.key, measurement)
        running = await self._measuring.running(observed, policy, status, now)
        return deliver(
            observed, plan, policy, status, now, measurement=measurement, running=running
        )

    def _soonest(
        self, observed: Observed, applied: Applied, decision: Decision, again_s: float | None
    ) -> float | None:
        """When time alone, the next look at the metrics or a drain asks for another look."""
        if observed.service.spec.paused:
            return again_s
        if applied.writes and not applied.troubles:
            return 0.0
        now, status = self._clock(), decision.status
        due = self._measuring.due(observed.service.key, policy_of(observed.service.spec), status)
        moments = [m for m in (decision.again, due) if m is not None]
        waits = [max(0.0, (moment - now).total_seconds()) for moment in moments]
        if status.leaving is not None and not status.leaving.drained:
            waits.append(DRAIN_POLL_S)
        if again_s is not None:
            waits.append(again_s)
        return min(waits, default=None)

    async def _carry_out(self, observed: Observed, plan: Plan) -> Applied:
        service = observed.service
        if service.spec.paused or (not plan.placements and plan.problem is not None):
            return Applied()
        wanted = wanted_children(observed, plan)
        seen = judged_children(observed, plan, wanted)
        done = await self._applier.apply(
            service.key, service.uid, wanted, seen, spared=spared_kinds(observed)
        )
        await pin(self._cluster, self._contest, service.key, list(pins(observed, plan)), done)
        return done

    async def _conclude(
        self, observed: Observed, plan: Plan, applied: Applied, decision: Decision | None
    ) -> float | None:
        """Status, Events, one log line if something changed, and when to look again."""
        if applied.writes:  # judge what is there now, not what was there before the writes
            children = self._store.children(observed.service.key)
            observed = observed.seeing(children)
        now = self._clock()
        progress = rollout(observed, plan)
        deadline = _deadline(observed, plan, progress, now)
        situation = Situation(
            observed=observed,
            plan=plan,
            rollout=progress,
            troubles=tuple(applied.troubles),
            overdue=deadline is not None and now >= deadline,
            canary=decision,
            now=now,
        )
        status = compose(situation, _text(now))
        await self._reporter.report(observed.raw, status, _text(now), applied)
        if applied.busy is not None:
            raise applied.busy  # said in the status; the queue tries again, later and later
        if any(status.get(k) != observed.status.get(k) for k in ("revision", "updatedRevision")):
            return 0.0  # what the revision before needed can go now
        if _waits_for_others(situation):
            return self._recheck_s
        if deadline is not None and now < deadline:
            return (deadline - now).total_seconds() + 1.0
        return None

    def _hear(self, raw: Json, present: Json | None) -> None:
        """What the watch has yet to say of a service."""
        if present is None:
            self._store.remove(SERVICE_RESOURCE, raw)
        else:
            self._store.put(SERVICE_RESOURCE, present)

    def _now(self) -> str:
        return _text(self._clock())


def _deadline(observed: Observed, plan: Plan, progress: Rollout, now: datetime) -> datetime | None:
    """When the present rollout is overdue; from the stored time, so a restart changes nothing."""
    if not plan.placements or progress.complete:
        return None
    began = started(observed.status, plan.placements[0].revision.hash, progress, _text(now))
    return (_parsed(began) or now) + timedelta(seconds=plan.spec.startup_timeout_s)


def _waits_for_others(situation: Situation) -> bool:
    return (
        situation.plan.problem is not None
        or situation.observed.rival is not None
        or bool(situation.observed.blind)
        or bool(situation.troubles)
    )


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _parsed(text: Any) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
