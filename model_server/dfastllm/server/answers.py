"""From chunks of the engine to the body of an answer, whole or in pieces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dfastllm.core import Chunk, FinishReason, RequestStats, TokenLogprob
from dfastllm.errors import RowFailed
from dfastllm.server.dialects import Dialect
from dfastllm.server.fanin import Batch, FanIn
from dfastllm.server.record import RequestRecord
from dfastllm.server.responses import canvas_report, diffusion_report, envelope, usage
from dfastllm.server.translate import Job

_DONE = b"data: [DONE]\n\n"


@dataclass(slots=True)
class _Choice:
    """One answer so far; of a streamed one only the end is kept."""

    texts: list[str] = field(default_factory=list)
    tokens: list[TokenLogprob] = field(default_factory=list)
    finish: FinishReason | None = None
    stats: RequestStats | None = None

    def end(self, chunk: Chunk) -> None:
        if chunk.finish_reason is not None:
            self.finish, self.stats = chunk.finish_reason, chunk.stats


class EchoStream:
    """The answer to `max_tokens: 0`: nothing follows the prompt, and no engine is asked."""

    def __init__(self, prompt_tokens: int):
        self._stats = RequestStats(prompt_tokens, 0, 0, 0, 0.0, 0.0)

    def listen(self, wake: Callable[[], None]) -> None:
        wake()

    def take(self) -> Chunk | None:
        return Chunk(finish_reason=FinishReason.LENGTH, stats=self._stats)

    def cancel(self) -> None:
        pass


async def collect(
    job: Job, dialect: Dialect, answers: FanIn, record: RequestRecord
) -> dict[str, Any]:
    """The whole answer. Raises what the answers raise."""
    choices = [_Choice() for _ in job.requests]
    async for batch in answers:
        for index, chunk in batch:
            choice = choices[index]
            if chunk.text:
                choice.texts.append(chunk.text)
            if chunk.stats is not None and chunk.stats.first_token_s is not None:
                first = chunk.stats.first_token_s
                record.ttft_s = first if record.ttft_s is None else min(first, record.ttft_s)
            choice.tokens.extend(chunk.tokens)
            record.completion_tokens += len(chunk.tokens)
            choice.end(chunk)
    stats = _totals(choices, record)
    return {
        **envelope(job, dialect.kind),
        **dialect.heading(),
        "choices": [
            dialect.whole(
                index, "".join(choice.texts), choice.tokens, choice.finish or FinishReason.STOP
            )
            for index, choice in enumerate(choices)
        ],
        "usage": usage(job, stats),
        "diffusion": diffusion_report(job, stats),
    }


class StreamWriter:
    """The events of one streamed answer, as bytes."""

    def __init__(self, job: Job, dialect: Dialect, record: RequestRecord):
        self._job = job
        self._dialect = dialect
        self._record = record
        self._choices = [_Choice() for _ in job.requests]
        self._shared = envelope(job, dialect.chunk_kind)
        if job.include_usage:
            self._shared["usage"] = None
        self._wants_tokens = job.logprobs or job.return_token_ids

    def opening(self) -> bytes:
        """What comes before the first token."""
        extra = self._dialect.heading()
        events = []
        for index in range(len(self._choices)):
            choice = self._dialect.opening(index)
            if choice is not None:
                events.append(self._event(choice, **extra))
                extra = {}
        return b"".join(events)

    def events(self, batch: Batch) -> bytes:
        return b"".join([event for index, chunk in batch for event in self._of(index, chunk)])

    def closing(self) -> bytes:
        """What comes after the last choice has finished."""
        if not self._job.include_usage:
            return _DONE
        stats = _totals(self._choices, self._record)
        final = {
            **self._shared,
            "choices": [],
            "usage": usage(self._job, stats),
            "diffusion": diffusion_report(self._job, stats),
        }
        return frame(final) + _DONE

    def _of(self, index: int, chunk: Chunk) -> list[bytes]:
        events = []
        self._record.completion_tokens += len(chunk.tokens)
        if chunk.canvas is not None:
            canvas = canvas_report(index, chunk.canvas)
            events.append(self._event(self._dialect.silent(index), diffusion=canvas))
        if chunk.text:
            self._record.first_text()
        if chunk.text or (chunk.tokens and self._wants_tokens):
            events.append(self._event(self._dialect.piece(index, chunk.text, chunk.tokens)))
        if chunk.finish_reason is not None:
            self._choices[index].end(chunk)
            closing = self._dialect.closing(index, chunk.finish_reason)
            events.append(self._event(closing, **self._report()))
        return events

    def _report(self) -> dict[str, Any]:
        """The report of the whole answer, on the last choice's last chunk if no usage follows."""
        if self._job.include_usage or any(choice.finish is None for choice in self._choices):
            return {}
        return {"diffusion": diffusion_report(self._job, _totals(self._choices, self._record))}

    def _event(self, choice: dict[str, Any], **extra: Any) -> bytes:
        return frame({**self._shared, **extra, "choices": [choice]})


def frame(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def _totals(choices: Sequence[_Choice], record: RequestRecord) -> list[RequestStats]:
    """What the choices cost, also noted in the record."""
    stats = [choice.stats for choice in choices if choice.stats is not None]
    if len(stats) < len(choices):
        raise RowFailed("an answer ended without its counts")
    record.completion_tokens = sum(row.completion_tokens for row in stats)
    record.forward_passes = sum(row.forward_passes for row in stats)
    record.refresh_passes = sum(row.refresh_passes for row in stats)
    record.verifier_passes = sum(row.verifier_passes for row in stats)
    record.drafted = sum(row.drafted for row in stats)
    record.accepted = sum(row.accepted for row in stats)
    record.queue_s = sum(row.queue_s for row in stats)
    record.compute_s = sum(row.compute_s for row in stats)
    reasons = {choice.finish.value for choice in choices if choice.finish is not None}
    record.finish_reason = reasons.pop() if len(reasons) == 1 else "mixed"
    return stats
