"""How soon the operator repairs what others do to its objects, as a watch of ours sees it.

Counted from sending the damage to the event that shows the repair: with the time of the request,
of KServe's finalizer where there is one, and of the watch. Beside it stands the time from the event
that shows the damage, which can be nothing when a watch brings both at once.
"""

import asyncio
import random
import time
from typing import Any

from benchmarks.plain_client import WATCH, Json, PlainClient
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_RESOURCE,
    Kind,
)

REPAIRED_WITHIN_S = 60.0
_LABEL = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody-else"}}}
DAMAGE: dict[Kind, Json] = {
    CONTROLLER_REVISION: _LABEL,  # its data, like that of the ConfigMap, cannot be changed
    CONFIG_MAP: _LABEL,
    SERVICE_ACCOUNT: {"automountServiceAccountToken": True},
    INFERENCE_SERVICE: {"spec": {"predictor": {"timeout": 5}}},
    SERVICE: {"spec": {"selector": {"app": "somebody-else"}}},
    HTTP_ROUTE: {"spec": {"hostnames": ["somebody.else.example.org"]}},
}
CHILDREN = tuple(DAMAGE)

_At = tuple[str, str]


class Drift:
    """Damages children of the namespace's services one by one, and takes the time."""

    def __init__(self, client: PlainClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._heard: asyncio.Queue[tuple[float, _At, str, Json]] = asyncio.Queue()

    async def run(self, trials: int, seed: int = 0) -> list[dict[str, Any]]:
        """Half of them deletions; each object is damaged once at most, all kinds alike."""
        chance = random.Random(seed)
        watches, victims = [], []
        for kind in CHILDREN:
            objs, version = await self._client.list(kind, self._namespace)
            victims.append([(kind, obj) for obj in objs if _ours(obj)])
            watches.append(asyncio.create_task(self._listen(kind, version)))
        for of_kind in victims:
            chance.shuffle(of_kind)
        rounds = [v for several in zip(*victims, strict=False) for v in several][:trials]
        try:
            return [
                await self._trial(kind, obj, delete=(number + number // len(CHILDREN)) % 2 == 0)
                for number, (kind, obj) in enumerate(rounds)
            ]
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _trial(self, kind: Kind, obj: Json, *, delete: bool) -> dict[str, Any]:
        name, uid = obj["metadata"]["name"], obj["metadata"]["uid"]
        sent = time.perf_counter()
        if delete:
            await self._client.send("DELETE", kind, self._namespace, name)
        else:
            await self._client.merge(kind, self._namespace, name, DAMAGE[kind])
        damaged = 0.0
        async with asyncio.timeout(REPAIRED_WITHIN_S):
            while True:
                at, where, event, now = await self._heard.get()
                if where != (kind.kind, name):
                    continue
                if not damaged:
                    gone = event == "DELETED" and now["metadata"]["uid"] == uid
                    changed = not delete and _shows(DAMAGE[kind], now)
                    damaged = at if gone or changed else 0.0
                elif event != "DELETED" and not _shows(DAMAGE[kind], now):
                    break
        return {
            "kind": kind.kind,
            "damage": "delete" if delete else "edit",
            "seconds": at - sent,
            "seconds_since_seen": at - damaged,
        }

    async def _listen(self, kind: Kind, version: str) -> None:
        async for event, obj in self._client.watch(kind, self._namespace, version, WATCH):
            if event not in ("BOOKMARK", "ERROR"):
                at = kind.kind, obj["metadata"]["name"]
                self._heard.put_nowait((time.perf_counter(), at, event, obj))


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Percentiles over all trials, and the worst by kind and damage."""
    seconds = [trial["seconds"] for trial in trials]
    worst: dict[str, float] = {}
    for trial in trials:
        name = f"{trial['damage']} {trial['kind']}"
        worst[name] = round(max(worst.get(name, 0.0), trial["seconds"]), 4)
    return {
        "trials": len(trials),
        "p50_s": round(percentile(seconds, 0.5), 4),
        "p99_s": round(percentile(seconds, 0.99), 4),
        "max_s": round(max(seconds), 4),
        "p99_since_seen_s": round(percentile([t["seconds_since_seen"] for t in trials], 0.99), 4),
        "worst_s": worst,
    }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that is not below so many of them."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _ours(obj: Json) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == SERVICE_RESOURCE.kind for owner in owners)


def _shows(patch: Any, obj: Any) -> bool:
    """Whether the object has every value of the patch."""
    if isinstance(patch, dict):
        return isinstance(obj, dict) and all(_shows(v, obj.get(k)) for k, v in patch.items())
    return bool(patch == obj)
