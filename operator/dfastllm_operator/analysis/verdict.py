"""Judges a candidate by what both sides did in a window. Pure.

Nothing passes without data, and what is known of a part of the pods can fail but not pass.
"""

from collections.abc import Iterator
from math import isfinite

from dfastllm_operator.analysis.compare import Bound, bounds, certain, violated, words
from dfastllm_operator.analysis.measure import (
    Measured,
    Pair,
    finished,
    measure,
    tokens_per_second,
)
from dfastllm_operator.analysis.outcome import PROGRESS, RATE, SAMPLES, Check, Finding, Report
from dfastllm_operator.analysis.series import Unusable
from dfastllm_operator.analysis.window import Side, SideWindow, Window
from dfastllm_operator.gates.measurement import Outcome
from dfastllm_operator.gates.metric import MetricName, Unit
from dfastllm_operator.gates.plan import Plan

ALL = 100

Found = tuple[Outcome, str, str]
"""An outcome, its sentence and its reason."""


def judge(
    plan: Plan, window: Window, *, weight: int, restarts: int = 0, trouble: str = ""
) -> Report:
    """All checks after the latest look. `trouble`: why the source could not be asked just now.

    `weight` is the candidate's share: at 100 stable has no traffic, and nothing is compared with
    it. `restarts` are those of the candidate since it got that weight, as Kubernetes counts them: a
    process that died reports nothing itself. So a step before 100 that asks for nothing else asks
    for requests all the same.
    """
    applying = [
        bound
        for gate in plan.gates
        for bound in bounds(gate)
        if not (bound.compares and weight >= ALL)
    ]
    checks = [
        *_hang(plan, window),
        *(_check(bound, plan, window, restarts, trouble) for bound in applying),
    ]
    if weight < ALL and all(bound.metric is MetricName.RESTARTS for bound in applying):
        checks.append(_samples(plan, window, trouble))
    shown = () if trouble else tuple(_shown(window))
    return Report(tuple(checks), window.at, window.began_at, shown)


def _shown(window: Window) -> Iterator[Check]:
    if window.at is None or window.began_at is None:
        return
    seconds = window.at - window.began_at
    told = [side for side in Side if window.side(side).answered]
    rates = {side: tokens_per_second(window.side(side), seconds) for side in told}
    known = {side: rate for side, rate in rates.items() if rate is not None and isfinite(rate)}
    if Side.CANDIDATE in known:
        stable = known.get(Side.STABLE)
        candidate = known[Side.CANDIDATE]
        yield Check(RATE, Outcome.SHOWN, "", candidate=candidate, stable=stable, unit=Unit.TOKENS)


def _hang(plan: Plan, window: Window) -> Iterator[Check]:
    side = window.side(Side.CANDIDATE)
    if window.at is None or not side.answered or side.running <= 0:
        return
    stuck_s = window.at - side.progress_at
    if stuck_s >= plan.request_timeout_s:
        text = (
            f"the candidate has {side.running:.0f} requests running and has finished none for "
            f"{stuck_s:.0f} s, longer than a request may take: it hangs"
        )
        yield Check(PROGRESS, Outcome.FAIL, text, reason=Finding.HANGS)


def _check(bound: Bound, plan: Plan, window: Window, restarts: int, trouble: str) -> Check:
    if bound.metric is MetricName.RESTARTS:
        return _restarts(bound, restarts)
    if trouble:
        return bound.check(Outcome.ERROR, trouble, reason=Finding.SOURCE_FAILED)
    if window.at is None:
        return bound.check(Outcome.WAITING, "the warm-up is not over", reason=Finding.WARM_UP)
    return _of_bound(bound, plan, window)


def _restarts(bound: Bound, restarts: int) -> Check:
    failed = restarts > bound.limit
    times = "once" if restarts == 1 else f"{restarts} times"
    return bound.check(
        Outcome.FAIL if failed else Outcome.PASS,
        f"the candidate restarted {times}" if restarts else "no restarts",
        reason=Finding.RESTARTED if failed else "",
        pair=Pair(Measured(restarts, 0)),
    )


def _of_bound(bound: Bound, plan: Plan, window: Window) -> Check:
    pair = None
    try:
        pair = _pair(bound, window)
        enough = pair.samples >= max(plan.min_samples, 1)
        if violated(bound, pair) if enough else certain(bound, pair, plan.min_samples):
            return bound.check(
                Outcome.FAIL, words(bound, pair), reason=Finding.OUT_OF_BOUNDS, pair=pair
            )
    except Unusable as problem:
        text = f"{bound.metric}: {problem.message}"
        return bound.check(Outcome.INCONCLUSIVE, text, reason=problem.flaw, pair=pair)
    if not enough:
        outcome, text, reason = _too_few(bound.metric, pair, plan, window)
        return bound.check(outcome, text, reason=reason, pair=pair)
    sides = (Side.CANDIDATE, Side.STABLE) if bound.compares else (Side.CANDIDATE,)
    if silent := _silent(window, *sides):
        return bound.check(Outcome.INCONCLUSIVE, silent, reason=Finding.SILENT_PODS, pair=pair)
    return bound.check(Outcome.PASS, words(bound, pair), pair=pair)


def _samples(plan: Plan, window: Window, trouble: str) -> Check:
    outcome, text, reason = _traffic(plan, window, trouble)
    count = finished(window.side(Side.CANDIDATE))
    least = max(plan.min_samples, 1)
    return Check(SAMPLES, outcome, text, reason, "min", limit=least, candidate=count, samples=count)


def _traffic(plan: Plan, window: Window, trouble: str) -> Found:
    if trouble:
        return Outcome.ERROR, trouble, Finding.SOURCE_FAILED
    if window.at is None:
        return Outcome.WAITING, "the warm-up is not over", Finding.WARM_UP
    side = window.side(Side.CANDIDATE)
    try:
        _needs_answer(side, Side.CANDIDATE)
    except Unusable as problem:
        return Outcome.INCONCLUSIVE, f"{SAMPLES}: {problem.message}", problem.flaw
    pair = Pair(Measured(None, finished(side)))
    if pair.samples < max(plan.min_samples, 1):
        return _too_few(SAMPLES, pair, plan, window)
    if silent := _silent(window, Side.CANDIDATE):
        return Outcome.INCONCLUSIVE, silent, Finding.SILENT_PODS
    return Outcome.PASS, f"{pair.samples} requests on {Side.CANDIDATE}", ""


def _pair(bound: Bound, window: Window) -> Pair:
    candidate = _measured(bound.metric, window.side(Side.CANDIDATE), Side.CANDIDATE)
    if not bound.compares:
        return Pair(candidate)
    return Pair(candidate, _measured(bound.metric, window.side(Side.STABLE), Side.STABLE))


def _measured(metric: MetricName, side: SideWindow, which: Side) -> Measured:
    _needs_answer(side, which)
    measured = measure(metric, side)
    if measured.value is None and measured.samples:
        raise Unusable.empty(which)
    return measured


def _needs_answer(side: SideWindow, which: Side) -> None:
    """Of pods that told something in the latest look; what they told before is old."""
    if not side.answered:
        for pod, problem in sorted(side.unusable.items()):
            raise Unusable(problem.flaw, f"no metrics of {which}: pod {pod}: {problem.message}")
        raise Unusable.no_pods(which)


def _too_few(name: str, pair: Pair, plan: Plan, window: Window) -> Found:
    """Slow traffic is waited for; none at all is not."""
    lacking = [
        (side, measured.samples)
        for side, measured in ((Side.CANDIDATE, pair.candidate), (Side.STABLE, pair.stable))
        if measured is not None and measured.samples < max(plan.min_samples, 1)
    ]
    counts = " and ".join(f"{count} on {side}" for side, count in lacking)
    text = f"{name}: {counts} of the {max(plan.min_samples, 1)} requests it takes"
    for side, _ in lacking:
        has = window.side(side)
        if has.finished_at != window.at and has.running <= 0:
            text += f"; none came to {side} since the last look"
            return Outcome.INCONCLUSIVE, text, Finding.NO_TRAFFIC
    return Outcome.WAITING, text, Finding.FEW_SAMPLES


def _silent(window: Window, *sides: Side) -> str:
    for which in sides:
        unusable = window.side(which).unusable
        if unusable:
            pod, problem = min(unusable.items(), key=lambda item: item[0])
            others = f" and {len(unusable) - 1} more" if len(unusable) > 1 else ""
            return f"no metrics of {which}: pod {pod}{others}: {problem.message}"
    return ""
