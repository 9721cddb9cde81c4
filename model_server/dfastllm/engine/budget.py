"""Room in the queue, reserved before a request is queued and given back when it leaves.

The one part of the engine that two threads touch: the one that submits and the engine's own.
"""

import threading

from dfastllm.engine.config import EngineConfig
from dfastllm.errors import Overloaded


class QueueBudget:
    """Counts requests in the engine and tokens that wait; refuses what exceeds the bounds."""

    def __init__(self, config: EngineConfig):
        self._config = config
        self._lock = threading.Lock()
        self._requests = 0
        self._waiting_tokens = 0

    def reserve(self, n_requests: int, n_tokens: int) -> None:
        """Room for all of them; raises Overloaded and reserves nothing when there is not enough.

        A request is never refused for its tokens when nothing else waits.
        """
        config = self._config
        with self._lock:
            if self._requests + n_requests > config.max_running + config.max_queued:
                raise Overloaded(
                    f"{self._requests} requests are running or queued; "
                    f"the server takes {config.max_running} and queues {config.max_queued}"
                )
            if self._waiting_tokens and (
                self._waiting_tokens + n_tokens > config.max_queued_tokens
            ):
                raise Overloaded(
                    f"{self._waiting_tokens} tokens are queued; "
                    f"the queue takes {config.max_queued_tokens}"
                )
            self._requests += n_requests
            self._waiting_tokens += n_tokens

    def admitted(self, n_tokens: int) -> None:
        """A request stopped waiting."""
        with self._lock:
            self._waiting_tokens -= n_tokens

    def left(self) -> None:
        """A request left the engine."""
        with self._lock:
            self._requests -= 1
