"""One measured request to an OpenAI endpoint, streamed or whole."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from dfastllm.cli.remote import event_data


@dataclass(frozen=True, slots=True)
class Target:
    """What is sent where: `body` holds all fields but the prompt."""

    body: Mapping[str, Any]
    chat: bool = True
    stream: bool = True
    timeout_s: float = 120.0

    @property
    def path(self) -> str:
        return "chat/completions" if self.chat else "completions"

    def request(self, prompt: str) -> dict[str, Any]:
        asked: dict[str, Any] = {**self.body, "stream": self.stream}
        if self.stream:
            asked["stream_options"] = {"include_usage": True}
        if self.chat:
            return {**asked, "messages": [{"role": "user", "content": prompt}]}
        return {**asked, "prompt": prompt}


@dataclass(slots=True)
class Sample:
    """What became of one request. Times are seconds on one monotonic clock.

    `scheduled_s` is when it should have been sent; waiting times count from there. `chunks_s` are
    the arrivals of chunks with text. Counts are the server's own; None where it sends none.
    """

    scheduled_s: float
    sent_s: float = 0.0
    end_s: float = 0.0
    chunks_s: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    forwards: int | None = None
    verifier_passes: int = 0
    drafted: int = 0
    accepted: int = 0
    error: str | None = None

    @property
    def latency_s(self) -> float:
        return self.end_s - self.scheduled_s

    @property
    def first_text_s(self) -> float | None:
        return self.chunks_s[0] - self.scheduled_s if self.chunks_s else None

    @property
    def gaps_s(self) -> list[float]:
        return [b - a for a, b in zip(self.chunks_s, self.chunks_s[1:], strict=False)]


async def measure(
    client: httpx.AsyncClient, target: Target, prompt: str, scheduled_s: float
) -> Sample:
    """Send one request and read its answer; whatever goes wrong is a kind of error, not raised."""
    sample = Sample(scheduled_s, sent_s=time.perf_counter())
    try:
        async with asyncio.timeout(target.timeout_s):
            if target.stream:
                await _read_stream(client, target, prompt, sample)
            else:
                await _read_whole(client, target, prompt, sample)
    except TimeoutError:
        sample.error = "timeout"
    except httpx.HTTPError as error:
        sample.error = type(error).__name__
    except (ValueError, KeyError, TypeError, AttributeError):
        sample.error = "answer not understood"
    sample.end_s = time.perf_counter()
    return sample


async def _read_whole(
    client: httpx.AsyncClient, target: Target, prompt: str, sample: Sample
) -> None:
    reply = await client.post(target.path, json=target.request(prompt))
    if reply.status_code != httpx.codes.OK:
        sample.error = _refusal(reply)
        return
    body = reply.json()
    if not body["choices"]:
        raise ValueError("no choices")
    _count(sample, body)


async def _read_stream(
    client: httpx.AsyncClient, target: Target, prompt: str, sample: Sample
) -> None:
    async with client.stream("POST", target.path, json=target.request(prompt)) as reply:
        if reply.status_code != httpx.codes.OK:
            await reply.aread()
            sample.error = _refusal(reply)
            return
        async for line in reply.aiter_lines():
            data = event_data(line)
            if data == "[DONE]":
                return
            if data is not None:
                _take(sample, json.loads(data))
    sample.error = sample.error or "stream broke off"


def _take(sample: Sample, event: Mapping[str, Any]) -> None:
    if "error" in event:
        sample.error = f"error in stream: {event['error'].get('code') or 'unknown'}"
        return
    if any(_text(choice) for choice in event.get("choices", ())):
        sample.chunks_s.append(time.perf_counter())
    _count(sample, event)


def _text(choice: Mapping[str, Any]) -> str:
    delta = choice.get("delta")
    return str((choice.get("text") if delta is None else delta.get("content")) or "")


def _count(sample: Sample, body: Mapping[str, Any]) -> None:
    usage, report = body.get("usage"), body.get("diffusion")
    if usage:
        sample.prompt_tokens = int(usage["prompt_tokens"])
        sample.completion_tokens = int(usage["completion_tokens"])
    if report and "forward_passes" in report:
        sample.forwards = int(report["forward_passes"])
        for name in ("verifier_passes", "drafted", "accepted"):
            setattr(sample, name, int(report.get(name, 0)))


def _refusal(reply: httpx.Response) -> str:
    try:
        code = reply.json()["error"]["code"]
    except (ValueError, KeyError, TypeError):
        code = None
    return f"HTTP {reply.status_code}" + (f" {code}" if code else "")
