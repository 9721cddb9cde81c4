"""All that happened to the objects of a namespace, from watches: nothing is missed between looks.

Each write of anybody is one entry, since the API server tells of each.
"""

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from cluster.rig import Rig
from dfastllm_operator.kinds import Kind
from support.loopthread import LoopThread

Json = dict[str, Any]
AGAIN_S = 0.1
LARGEST = 2**24


@dataclass(frozen=True, slots=True)
class Happened:
    """What an object was after a write; with `deleted`, before it went."""

    body: Json
    deleted: bool


class History:
    """Filled by a thread of its own, read by others."""

    def __init__(self) -> None:
        self._all: defaultdict[tuple[str, str], list[Happened]] = defaultdict(list)
        self._lock = threading.Lock()

    def of(self, kind: Kind, name: str) -> list[Happened]:
        with self._lock:
            return list(self._all[kind.plural, name])

    def latest(self, kind: Kind, name: str) -> Json | None:
        """The object as it was heard of last; None if it is gone."""
        found = self.of(kind, name)
        return found[-1].body if found and not found[-1].deleted else None

    def present(self, kind: Kind) -> list[Json]:
        """All objects of the kind that are there."""
        with self._lock:
            found = [past[-1] for (plural, _), past in self._all.items() if plural == kind.plural]
        return [last.body for last in found if not last.deleted]

    def named(self, kind: Kind, prefix: str) -> list[str]:
        """Names of all objects of the kind that ever were, as far as they begin so."""
        with self._lock:
            every = [name for plural, name in self._all if plural == kind.plural]
        return [name for name in every if name.startswith(prefix)]

    def note(self, kind: Kind, event: Json) -> None:
        body = event["object"]
        with self._lock:
            past = self._all[kind.plural, body["metadata"]["name"]]
            entry = Happened(body, event["type"] == "DELETED")
            if not past or past[-1] != entry:  # a watch that begins anew tells what there is
                past.append(entry)


@contextmanager
def remembering(rig: Rig, namespace: str, kinds: Sequence[Kind]) -> Iterator[History]:
    history, loop = History(), LoopThread("history")
    loop.start()
    try:
        tasks = loop.run(_start(rig, namespace, kinds, history))  # the loop holds them weakly
        yield history
        assert not any(task.done() for task in tasks), "a watch ended by itself"
    finally:
        loop.stop()


async def _start(
    rig: Rig, namespace: str, kinds: Sequence[Kind], history: History
) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(_follow(rig, namespace, kind, history)) for kind in kinds]


async def _follow(rig: Rig, namespace: str, kind: Kind, history: History) -> None:
    url = f"{rig.url}{kind.base}/namespaces/{namespace}/{kind.plural}?watch=1"
    endless = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=endless, read_bufsize=LARGEST) as session:
        while True:
            try:
                async with session.get(url, ssl=rig.plane.context) as answer:
                    answer.raise_for_status()
                    try:
                        await _listen(answer, kind, history)
                    finally:
                        _hang_up(answer)
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(AGAIN_S)


async def _listen(answer: aiohttp.ClientResponse, kind: Kind, history: History) -> None:
    async for line in answer.content:
        event = json.loads(line)
        if event["type"] == "ERROR":
            return
        history.note(kind, event)


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """Without the farewell of TLS, which takes longer than the loop may live."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
