"""How often something may happen over a whole process: a token bucket."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class RateLimit:
    """At most `per_s` turns a second in the long run, `burst` of them at once."""

    def __init__(
        self,
        per_s: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_s = per_s
        self._burst = max(1.0, per_s if burst is None else burst)
        self._clock = clock
        self._sleep = sleep
        self._tokens = self._burst
        self._at = clock()

    async def turn(self) -> None:
        """Wait for a turn. Waiters are served in the order they came."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        # The debt of those who wait is carried in the balance, so that each waits its own time.
        self._tokens -= 1
        if self._tokens < 0:
            await self._sleep(-self._tokens / self._per_s)
