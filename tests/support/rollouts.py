"""CRs in the middle of a rollout, as the operator leaves them."""

from typing import Any

Json = dict[str, Any]

GOOD: Json = {
    "metric": "errorRate",
    "outcome": "Pass",
    "bound": "max 1 %",
    "candidate": "0 %",
    "samples": 61,
}
BAD: Json = {
    "metric": "tokensPerForward",
    "outcome": "Fail",
    "bound": "maxRegression 30 %",
    "candidate": "1.00",
    "stable": "3.85",
    "samples": 61,
    "reason": "OutOfBounds",
    "message": "tokensPerForward 1.00 is 74.0 % below stable's 3.85 (allowed: 30 %)",
}
MEASURED: Json = {"measuredAt": "2026-11-28T20:01:30Z"}
"""In a tally: there was a look in this step."""
STEPS = [{"weight": 10}, {"weight": 50}, {"weight": 100}]


def service(rollout: Json | None, **spec: Any) -> Json:
    """A canary service with that `status.rollout`."""
    wanted: Json = {"strategy": "Canary", "steps": STEPS, "analysis": {"failureLimit": 2}}
    return {
        "metadata": {
            "name": "chat",
            "namespace": "team",
            "uid": "uid-chat",
            "resourceVersion": "7",
        },
        "spec": {"model": {"uri": "builtin://tiny"}, "rollout": wanted, **spec},
        "status": {"revision": "aaaa111111", **({"rollout": rollout} if rollout else {})},
    }


def under_way(phase: str = "Analyzing", **changed: Any) -> Json:
    """`status.rollout` at the first step."""
    return {
        "phase": phase,
        "since": "2026-11-28T20:00:00Z",
        "stepSince": "2026-11-28T19:57:00Z",
        "stable": {"revision": "aaaa111111", "slot": "a"},
        "candidate": {"revision": "bbbb222222", "slot": "b"},
        "step": 0,
        "weight": 10,
        "confirmed": 10,
        **changed,
    }


def failed(**changed: Any) -> Json:
    """`status.rollout` after a rollback."""
    return {
        "phase": "Failed",
        "since": "2026-11-28T20:00:00Z",
        "stable": {"revision": "aaaa111111", "slot": "a"},
        "weight": 0,
        "confirmed": 0,
        "failed": "bbbb222222",
        "cause": "MetricsFailed",
        "message": BAD["message"],
        **changed,
    }


def said(cr: Json, *conditions: tuple[str, str, str]) -> Json:
    """The CR with conditions: type, status and reason."""
    found = [{"type": t, "status": s, "reason": r, "message": "because"} for t, s, r in conditions]
    return {**cr, "status": {**cr["status"], "conditions": found}}
