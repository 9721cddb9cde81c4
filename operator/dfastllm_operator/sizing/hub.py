"""The door to the Hugging Face hub: a model's config.json over HTTP.

Nothing depends on it: whatever goes wrong is no answer, and no answer is remembered for a while so
that a hub that is not there costs one request now and then. Credentials are never sent; of a gated
model the size has to be said.
"""

import json
import math
import time
from collections.abc import Callable
from urllib.parse import quote

import aiohttp
import structlog

from dfastllm_operator.sizing.hub_config import HubConfig, read_config

LARGEST_CONFIG = 2**20  # bytes
FOUND_S = 3600.0
MISSED_S = 120.0
MOST_REMEMBERED = 1024

logger = structlog.get_logger("hub")


class Hub:
    """Reads configurations from `endpoint`; None as endpoint means the network is not asked."""

    def __init__(
        self,
        endpoint: str | None,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, HubConfig | None]] = {}
        self._unreachable_until = -math.inf

    async def config(self, repository: str, revision: str | None) -> HubConfig | None:
        """What the config.json of `repository` says, None when it cannot be had or understood."""
        if self._endpoint is None:
            return None
        key = (repository, revision or "main")
        until, known = self._known.get(key, (0.0, None))
        if self._clock() < until:
            return known
        if self._clock() < self._unreachable_until:
            return None  # asked for another model just now; each try would hold a worker up
        found = await self._fetch(*key)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = (self._clock() + (MISSED_S if found is None else FOUND_S), found)
        return found

    async def _fetch(self, repository: str, revision: str) -> HubConfig | None:
        url = f"{self._endpoint}/{quote(repository)}/resolve/{quote(revision, safe='')}/config.json"
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout, trust_env=True) as session,
                session.get(url) as answer,
            ):
                status = answer.status
                body = await _beginning(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._unreachable_until = self._clock() + MISSED_S
            logger.info("hub not reached", url=url, error=f"{type(error).__name__}: {error}")
            return None
        found = _read(repository, body) if status == 200 else None
        if found is None:
            logger.info("no size from the hub", url=url, status=status)
        return found


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """The whole body, or one byte more than is looked at."""
    body = b""
    while len(body) <= LARGEST_CONFIG:
        chunk = await content.read(LARGEST_CONFIG + 1 - len(body))
        if not chunk:
            break
        body += chunk
    return body


def _read(repository: str, body: bytes) -> HubConfig | None:
    if len(body) > LARGEST_CONFIG:
        return None
    try:
        config = json.loads(body)
    except ValueError:
        return None
    return read_config(repository, config) if isinstance(config, dict) else None
