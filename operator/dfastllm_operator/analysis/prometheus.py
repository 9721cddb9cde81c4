"""Metrics from a Prometheus, or whatever speaks its HTTP API: instant queries for an exact moment.

Raw counters are asked for, no rates: `rate` and `increase` extrapolate, and lose the first increase
of a series. What is done with the counters is the same as for pages that are scraped.
"""

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from dfastllm_operator.analysis.series import NAMES, RUNNING, Flaw, Point, Reading, Unusable, read
from dfastllm_operator.analysis.source import SourceFailed, Targets, TooLarge, cause, whole_body
from dfastllm_operator.analysis.window import Look, Sample, Side

Labels = Mapping[str, str]
Entry = tuple[Labels, float]
NAME = "__name__"
OWN = frozenset({NAME, "route", "outcome", "kind", "le"})
"""Labels that the server gives; all others say who scraped it and where."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One HTTP API at `url`.

    Pods are found by the labels `namespace` and `pod`, as a PodMonitor gives them; `matchers` are
    more labels to ask for. A value that was scraped more than
    `stale_s` ago is stale: Prometheus itself would hand it out for five minutes. `headers` are for
    logging in.
    """

    url: str
    namespace: str
    matchers: Labels = field(default_factory=dict)
    headers: Labels = field(default_factory=dict)
    stale_s: float = 90.0
    timeout_s: float = 10.0
    most_bytes: int = 32 * 2**20
    remembers = True

    async def sample(self, targets: Targets, at: float) -> Sample:
        pods = sorted({pod.name for side in targets.values() for pod in side})
        if not pods:
            return Sample(at, {side: Look() for side in Side})
        chosen = _selector(self.namespace, pods, self.matchers)
        names = "|".join(NAMES)
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.timeout_s), headers=dict(self.headers)
        ) as session:
            values, times = await asyncio.gather(
                self._ask(session, f'{{{NAME}=~"{names}",{chosen}}}', at),
                self._ask(session, f"timestamp({RUNNING}{{{chosen}}})", at),
            )
        by_pod, scraped = _by_pod(values), _by_pod(times)
        looks = {}
        for side, wanted in targets.items():
            readings: dict[str, Reading] = {}
            unusable: dict[str, Unusable] = {}
            for pod in wanted:
                try:
                    entries, stamps = by_pod.get(pod.name, []), scraped.get(pod.name, [])
                    readings[pod.name] = self._reading(entries, stamps, at)
                except Unusable as problem:
                    unusable[pod.name] = problem
            looks[side] = Look(readings, unusable)
        return Sample(at, looks)

    def _reading(self, entries: list[Entry], stamps: list[Entry], at: float) -> Reading:
        if not entries:
            raise Unusable(
                Flaw.NO_DATA,
                f"Prometheus has nothing of it with namespace={self.namespace!r}: is it scraped, "
                "and with the labels namespace and pod?",
            )
        scrapers = {_scraper(labels) for labels, _ in entries}
        if len(scrapers) > 1:
            jobs = sorted({dict(scraper).get("job", "?") for scraper in scrapers})
            raise Unusable(
                Flaw.MALFORMED,
                f"it is scraped more than once (job {', '.join(jobs)}), which would count its "
                "requests more than once: two scrape jobs read the same pods, keep one of them",
            )
        newest = max((value for _, value in stamps), default=-math.inf)
        if not at - newest <= self.stale_s:
            age = f"{at - newest:.0f} s ago" if math.isfinite(newest) else "at no time that is told"
            raise Unusable(Flaw.STALE, f"Prometheus scraped it last {age}")
        found = read(Point(labels[NAME], labels, value) for labels, value in entries)
        return replace(found, at=newest)

    async def _ask(self, session: aiohttp.ClientSession, query: str, at: float) -> list[Entry]:
        form = {"query": query, "time": f"{at:.3f}", "timeout": f"{self.timeout_s:g}s"}
        url = f"{self.url.rstrip('/')}/api/v1/query"
        try:
            async with session.post(url, data=form, allow_redirects=False) as answer:
                status = answer.status
                body = await whole_body(answer.content, self.most_bytes)
        except TooLarge as error:
            raise SourceFailed(f"{url} sends {error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SourceFailed(f"{url}: {cause(error)}") from None
        try:
            return list(_entries(status, json.loads(body)))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            detail = f"HTTP {status}" if status != 200 else f"no answer of Prometheus ({error!r})"
            raise SourceFailed(f"{url}: {detail}") from None


def _selector(namespace: str, pods: Iterable[str], matchers: Labels) -> str:
    names = "|".join(pod.replace(".", r"\\.") for pod in pods)
    exact = {**matchers, "namespace": namespace}
    parts = [f"{label}={json.dumps(value)}" for label, value in sorted(exact.items())]
    return ",".join([*parts, f'pod=~"{names}"'])


def _entries(status: int, answer: Any) -> Iterator[Entry]:
    if answer["status"] != "success":
        raise SourceFailed(
            f"Prometheus refuses the query (HTTP {status}): {answer.get('error') or answer}"
        )
    if answer["data"]["resultType"] != "vector":
        raise ValueError(f"a {answer['data']['resultType']} instead of a vector")
    for entry in answer["data"]["result"]:
        yield entry["metric"], float(entry["value"][1])


def _by_pod(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for labels, value in entries:
        found[labels.get("pod", "")].append((labels, value))
    return found


def _scraper(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in labels.items() if k not in OWN))
