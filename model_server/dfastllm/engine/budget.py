"""Room in the queue, reserved before a request is queued and given back when it leaves.

The one part of the engine that two threads touch: the one that submits and the engine's own.
"""

import threading
from collections import Counter
from collections.abc import Sequence

from dfastllm.core import Request
from dfastllm.engine.config import EngineConfig
from dfastllm.errors import InvalidRequest, Overloaded


class QueueBudget:
    """Counts requests in the engine, by caller too, and tokens that wait; refuses the excess."""

    def __init__(self, config: EngineConfig):
        self._config = config
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._waiting_tokens = 0

    def reserve(self, requests: Sequence[Request], n_tokens: int) -> None:
        """Room for all of them; raises Overloaded and reserves nothing when there is not enough.

        A request is never refused for its tokens when nothing else waits.
        """
        config = self._config
        asked = Counter(request.key for request in requests)
        most = min(config.max_running + config.max_queued, config.max_per_key or len(requests))
        if len(requests) > most:
            raise InvalidRequest(
                f"{len(requests)} answers are asked for at once, this server takes {most}",
                param="n",
            )
        with self._lock:
            self._check_keys(asked)
            total = self._requests.total()
            if total + len(requests) > config.max_running + config.max_queued:
                raise Overloaded(
                    f"{total} requests are running or queued; "
                    f"the server takes {config.max_running} and queues {config.max_queued}"
                )
            if self._waiting_tokens and (
                self._waiting_tokens + n_tokens > config.max_queued_tokens
            ):
                raise Overloaded(
                    f"{self._waiting_tokens} tokens are queued; "
                    f"the queue takes {config.max_queued_tokens}"
                )
            self._requests += asked
            self._waiting_tokens += n_tokens

    def admitted(self, n_tokens: int) -> None:
        """A request stopped waiting."""
        with self._lock:
            self._waiting_tokens -= n_tokens

    def left(self, key: str) -> None:
        """A request left the engine."""
        with self._lock:
            self._requests[key] -= 1
            if not self._requests[key]:
                del self._requests[key]  # callers come and go; their names must not pile up

    def _check_keys(self, asked: Counter[str]) -> None:
        limit = self._config.max_per_key
        if limit is None:
            return
        for key, n_asked in asked.items():
            if self._requests[key] + n_asked > limit:
                raise Overloaded(
                    f"{self._requests[key]} of your requests are running or queued; "
                    f"{limit} are allowed",
                    scope="key",
                )
