"""Metrics from the pods themselves, by their addresses: nothing has to be installed for it.

It knows the present only. A pod that does not answer is no error of the source: others do.
"""

import asyncio
from dataclasses import dataclass

import aiohttp

from dfastllm_operator.analysis.exposition import points
from dfastllm_operator.analysis.series import Flaw, Reading, Unusable, read
from dfastllm_operator.analysis.source import (
    Pod,
    SourceFailed,
    Targets,
    TooLarge,
    cause,
    whole_body,
)
from dfastllm_operator.analysis.window import Look, Sample, Side

ACCEPT = {"Accept": "text/plain; version=0.0.4"}


@dataclass(frozen=True, slots=True)
class Scrape:
    """Asks every pod at once, but `at_once` at most; each has `timeout_s` and `most_bytes`."""

    port: int = 8080
    path: str = "/metrics"
    timeout_s: float = 5.0
    most_bytes: int = 4 * 2**20
    at_once: int = 16
    remembers = False

    async def sample(self, targets: Targets, at: float) -> Sample:
        """SourceFailed when there are pods and not one of them can be reached."""
        turns = asyncio.Semaphore(self.at_once)
        asked = [(side, pod) for side, pods in targets.items() for pod in pods]
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.timeout_s), trust_env=False
        ) as session:
            answers = await asyncio.gather(*(self._ask(session, turns, pod) for _, pod in asked))
        silent = [answer for answer in answers if isinstance(answer, _Unreachable)]
        if asked and len(silent) == len(asked):
            raise SourceFailed(f"no pod can be reached: {silent[0].message}")
        found = list(zip(asked, answers, strict=True))
        return Sample(at, {side: _look(side, found) for side in Side})

    async def _ask(
        self, session: aiohttp.ClientSession, turns: asyncio.Semaphore, pod: Pod
    ) -> Reading | Unusable:
        if not pod.ip:
            return Unusable(Flaw.NO_DATA, "it has no address yet")
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        url = f"http://{host}:{self.port}{self.path}"
        try:
            async with turns, session.get(url, headers=ACCEPT, allow_redirects=False) as answer:
                if answer.status != 200:
                    return Unusable(Flaw.NO_DATA, f"{url} answers HTTP {answer.status}")
                page = await whole_body(answer.content, self.most_bytes)
        except TooLarge as error:
            return Unusable(Flaw.MALFORMED, f"{url} sends {error}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _Unreachable(Flaw.NO_DATA, f"{url}: {cause(error)}")
        try:
            return read(points(page))
        except Unusable as problem:
            return problem


def _look(side: Side, found: list[tuple[tuple[Side, Pod], Reading | Unusable]]) -> Look:
    own = [(pod.name, answer) for (of, pod), answer in found if of is side]
    return Look(
        readings={pod: answer for pod, answer in own if isinstance(answer, Reading)},
        unusable={pod: answer for pod, answer in own if isinstance(answer, Unusable)},
    )


class _Unreachable(Unusable):
    """No answer at all."""
