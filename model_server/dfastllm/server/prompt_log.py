"""Prompts and answers in the log, at level debug, for whoever asked for it (`log_prompts`).

Wraps the generator, so that every protocol is covered and nothing is decoded unless it is wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from dfastllm.core import Chunk, Request
from dfastllm.server.context import AnswerStream, Generator, TextCodec

log = structlog.get_logger("dfastllm.prompts")


@dataclass(frozen=True, slots=True)
class PromptLog:
    """A Generator that tells what went in and what came out."""

    inner: Generator
    codec: TextCodec

    @property
    def ready(self) -> bool:
        return self.inner.ready

    @property
    def alive(self) -> bool:
        return self.inner.alive

    def submit(self, requests: Sequence[Request]) -> Sequence[AnswerStream]:
        streams = self.inner.submit(requests)
        for request in requests:
            text = self.codec.decode(request.prompt, skip_special_tokens=False)
            log.debug("prompt", request_id=request.request_id, text=text)
        return [_Told(r.request_id, s) for r, s in zip(requests, streams, strict=True)]


@dataclass(slots=True)
class _Told:
    """One answer, told when it ends or fails."""

    request_id: str
    stream: AnswerStream
    said: list[str] = field(default_factory=list)

    def listen(self, wake: Callable[[], None]) -> None:
        self.stream.listen(wake)

    def take(self) -> Chunk | None:
        try:
            chunk = self.stream.take()
        except Exception:
            self._tell()
            raise
        if chunk is not None:
            self.said.append(chunk.text)
            if chunk.finish_reason is not None:
                self._tell()
        return chunk

    def cancel(self) -> None:
        self.stream.cancel()

    def _tell(self) -> None:
        log.debug("answer", request_id=self.request_id, text="".join(self.said))
