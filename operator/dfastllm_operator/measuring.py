"""Looks at the metrics of a rollout, at the pace of its analysis. The only memory of a rollout.

It is lost in a restart: the window begins anew then, which counts as nothing, and so does the time
before it. Only restarts of the candidate are counted on from what the status says.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from dfastllm_operator.analysis import (
    Pod,
    Prometheus,
    Scrape,
    Side,
    Source,
    SourceFailed,
    Window,
    judge,
    measurement,
    opening,
    replay,
    restarts_of,
)
from dfastllm_operator.api.duration import seconds
from dfastllm_operator.api.rollout import AnalysisSource, Rollout
from dfastllm_operator.canary.observation import Running
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.policy import RolloutSpec
from dfastllm_operator.canary.state import RolloutStatus
from dfastllm_operator.core import Json, Key
from dfastllm_operator.delivery.restarts import restarts_since
from dfastllm_operator.delivery.seen import pods_of
from dfastllm_operator.gates.measurement import Measurement, Outcome
from dfastllm_operator.observe import Observed
from dfastllm_operator.pod_lifecycle import is_present, is_ready, never_ready

logger = structlog.get_logger("rollout")

LOOKED_AT = (
    RolloutPhase.STEPPING,
    RolloutPhase.ANALYZING,
    RolloutPhase.PAUSED,
    RolloutPhase.PROMOTING,
)
"""Phases of a candidate that may have weight."""
DRAIN_POLL_S = 2.0
FRESH_S = 90.0
"""Three scrapes at the usual pace: what Prometheus has is no older, or not older than a look."""


def source_of(asked: Rollout | None, namespace: str) -> Source:
    """What the spec says the metrics are read from."""
    if asked is not None and asked.analysis.source is AnalysisSource.PROMETHEUS:
        stale_s = max(FRESH_S, seconds(asked.analysis.interval))
        return Prometheus(str(asked.analysis.server_address), namespace, stale_s=stale_s)
    return Scrape()


@dataclass(slots=True)
class _Kept:
    """Of one service: the window of `confirmed_at`, when was looked at it first and last.

    The candidate restarted `restarted` times until `counted_until`, as an operator before this one
    wrote it; `restarts` are those by pod that count no more. `served` are pods that were ready at
    one of the looks: they are asked until they go, or what they do not say would not be missed.
    """

    confirmed_at: datetime
    window: Window
    began_at: datetime
    counted_until: datetime
    looked_at: datetime | None = None
    restarted: int = 0
    restarts: Mapping[str, int] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)


class Measuring:
    """The windows of all rollouts under way."""

    def __init__(self, source: Callable[[Rollout | None, str], Source] = source_of) -> None:
        self._source = source
        self._kept: dict[Key, _Kept] = {}
        self._drains: dict[Key, tuple[datetime, Running]] = {}

    def forget(self, key: Key) -> None:
        self._kept.pop(key, None)
        self._drains.pop(key, None)

    def due(self, key: Key, policy: RolloutSpec, status: RolloutStatus) -> datetime | None:
        """When to look next; None while there is nothing to look at."""
        if not _looked_at(status) or status.confirmed_at is None:
            return None
        opens_at = _opens_at(policy, status.confirmed_at)
        kept, last = self._kept.get(key), status.tally.measured_at
        if kept is not None and kept.confirmed_at == status.confirmed_at and kept.looked_at:
            last = kept.looked_at if last is None else max(last, kept.looked_at)
        if last is None:
            return opens_at
        return max(opens_at, last + timedelta(seconds=policy.analysis.interval_s))

    async def look(
        self, observed: Observed, policy: RolloutSpec, status: RolloutStatus, now: datetime
    ) -> Measurement | None:
        """A measurement, when one is due."""
        key = observed.service.key
        due = self.due(key, policy, status)
        if due is None:
            self._kept.pop(key, None)
            return None
        if now < due or observed.service.spec.paused:
            return None
        assert status.confirmed_at is not None, "or nothing would be due"
        assert status.stable is not None
        assert status.candidate is not None
        pods = pods_of(observed, status.candidate.slot)
        kept = self._kept.get(key)
        if kept is None or kept.confirmed_at != status.confirmed_at:
            kept = _begun(status, policy, pods, now)
            self._kept[key] = kept
        sides = {Side.STABLE: pods_of(observed, status.stable.slot), Side.CANDIDATE: pods}
        kept.served.update(_name(p) for side in sides.values() for p in side if is_ready(p))
        targets = {side: _targets(its, kept.served) for side, its in sides.items()}
        trouble = ""
        source = self._source(observed.service.spec.rollout, key.namespace)
        try:
            kept.window = await _seen(source, targets, kept.window, now.timestamp())
        except SourceFailed as error:
            trouble = str(error)
        kept.looked_at = now
        since = restarts_since(pods, kept.counted_until, kept.restarts)
        restarted = kept.restarted + sum(since.values())
        report = judge(
            policy.analysis,
            kept.window,
            weight=status.weight,
            restarts=restarted,
            trouble=trouble,
        )
        logger.debug("measured", service=str(key), outcome=report.outcome, why=report.message)
        found = measurement(report, status.confirmed_at, now.timestamp())
        opens_at = _opens_at(policy, status.confirmed_at)
        from_when = opens_at if source.remembers else max(opens_at, kept.began_at)
        return impatient(found, policy, from_when, now)

    async def running(
        self, observed: Observed, policy: RolloutSpec, status: RolloutStatus, now: datetime
    ) -> Running | None:
        """Requests on the slot that leaves; None when it is too early to ask.

        What was there while gateways may still have sent it some says nothing. Asked once in
        `DRAIN_POLL_S`, however often somebody wants to know.
        """
        key, leaving = observed.service.key, status.leaving
        if leaving is None or leaving.drained:
            self._drains.pop(key, None)
            return Running()
        alone_from = leaving.since + timedelta(seconds=policy.gateway_lag_s)
        if now < alone_from:
            return None
        last = self._drains.get(key)
        if last is None or now >= last[0] + timedelta(seconds=DRAIN_POLL_S):
            last = now, await self._count(observed, leaving.slot, alone_from, now)
            self._drains[key] = last
        return last[1]

    async def _count(
        self, observed: Observed, slot: str, alone_from: datetime, now: datetime
    ) -> Running:
        """What answered; what was told of a moment before the slot was left alone is no answer."""
        pods = _targets(pods_of(observed, slot))
        if not pods:
            return Running()
        source = self._source(observed.service.spec.rollout, observed.service.namespace)
        try:
            sample = await source.sample({Side.CANDIDATE: pods}, now.timestamp())
        except SourceFailed:
            return Running(unanswered=len(pods))
        early = alone_from.timestamp()
        told = [
            r for r in sample.looks[Side.CANDIDATE].readings.values() if (r.at or early) >= early
        ]
        requests = round(sum(reading.running for reading in told))
        return Running(requests, unanswered=len(pods) - len(told))


def impatient(
    found: Measurement, policy: RolloutSpec, since: datetime, now: datetime
) -> Measurement:
    """Slow traffic is waited for, but not for ever: beyond the deadline it is inconclusive.

    `since` is from when on its requests were counted.
    """
    late = now >= since + timedelta(seconds=policy.progress_deadline_s)
    if found.outcome is not Outcome.WAITING or not late:
        return found
    said = f"not enough requests within progressDeadline of {policy.progress_deadline_s:g} s"
    checks = tuple(
        replace(check, outcome=Outcome.INCONCLUSIVE, text=f"{check.text}: {said}")
        if check.outcome is Outcome.WAITING
        else check
        for check in found.checks
    )
    return replace(found, outcome=Outcome.INCONCLUSIVE, checks=checks)


def _begun(
    status: RolloutStatus, policy: RolloutSpec, pods: Iterable[Json], now: datetime
) -> _Kept:
    """Nothing is known yet but what the status says of a look that another operator had."""
    confirmed_at, last = status.confirmed_at, status.tally.measured_at
    assert confirmed_at is not None, "or nothing would be due"
    until, restarted = confirmed_at, 0
    if last is not None and last > confirmed_at:
        until, restarted = last, restarts_of(status.measurements)
    window = opening(confirmed_at.timestamp(), policy.analysis.warmup_s)
    before = restarts_since(pods, None, {})
    return _Kept(confirmed_at, window, now, until, restarted=restarted, restarts=before)


async def _seen(source: Source, targets: Any, window: Window, now: float) -> Window:
    if window.at is None and source.remembers:
        return await replay(source, targets, window, now)
    return window.after(await source.sample(targets, now))


def _opens_at(policy: RolloutSpec, confirmed_at: datetime) -> datetime:
    return confirmed_at + timedelta(seconds=policy.analysis.warmup_s)


def _looked_at(status: RolloutStatus) -> bool:
    believed = status.weight == status.confirmed and status.weight > 0
    return status.phase in LOOKED_AT and believed and status.candidate is not None


def _targets(pods: list[Json], served: Collection[str] = ()) -> list[Pod]:
    """Pods that may have had a request: one that is still loading has nothing to tell."""
    return [
        Pod(_name(pod), str((pod.get("status") or {}).get("podIP") or ""))
        for pod in pods
        if is_present(pod) and (_name(pod) in served or not never_ready(pod))
    ]


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])
