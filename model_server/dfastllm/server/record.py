"""What is known of one HTTP request, for the log line and the metrics written at its end.

Routes fill it in as they learn; a middleware reads it when the response is over. It lies in
`scope["state"]["record"]` and is made there by whoever comes first.
"""

import time
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from dfastllm.server.context import AnswerStream


@dataclass(slots=True)
class RequestRecord:
    """One request, as far as it got.

    `route` is `chat`, `completions` or `models`; None for a path of somebody else. Times are
    seconds; `started` is on the `perf_counter` clock and `ttft_s` runs from there to the first
    text. `prompt_tokens` stays 0 until the engine has accepted the work: token rates are charged by
    it. `finish_reason` is the one of all choices, or `mixed`. `error_code` is the code (else the
    type) of the error answered and `error_status` its status, also of one sent inside a stream,
    where the status line stays 200; `cancelled` and 499 when the caller went away.
    """

    request_id: str = ""
    started: float = field(default_factory=time.perf_counter)
    route: str | None = None
    model: str | None = None
    caller: str | None = None
    stream: bool = False
    choices: int = 0
    priority: int = 0
    preset: str | None = None
    strategy: str | None = None
    cache: str | None = None
    ignored: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    forward_passes: int = 0
    refresh_passes: int = 0
    verifier_passes: int = 0
    drafted: int = 0
    accepted: int = 0
    queue_s: float = 0.0
    compute_s: float = 0.0
    ttft_s: float | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_status: int | None = None

    def first_text(self) -> None:
        if self.ttft_s is None:
            self.ttft_s = time.perf_counter() - self.started

    def count_unread(self, streams: Iterable[AnswerStream]) -> None:
        """Count what was computed for a caller who went away before it was fetched.

        Who waits for whole answers is woken at their end only, so all of it may still lie there.
        """
        for stream in streams:
            try:
                while (chunk := stream.take()) is not None:
                    self.completion_tokens += len(chunk.tokens)
                    if chunk.finish_reason is not None:
                        break
            except Exception:  # how it ended; the caller's going is the news
                continue


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record of the request with this ASGI scope."""
    state = scope.setdefault("state", {})
    record = state.get("record")
    if not isinstance(record, RequestRecord):
        record = state["record"] = RequestRecord(request_id=state.get("request_id", ""))
    return record
