"""Readers who keep asking: OpenAI's own client, streaming, until they are told to stop.

    with asking(endpoint, model="tiny") as readers:
        readers.wait_for(8)  # answers, before anything is changed
        ...
    assert not readers.tally.lost, readers.tally

Every request is counted, and none is repeated: the client's own retries are off, so what a user of
it would see as an error is one here. What they ask is drawn by a seed.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from e2e.tally import Asked, Outcome, Tally
from support.process import until

READERS = 4
PAUSE_S = 0.3  # between an answer and the next question: readers read
AFTER_FAILURE_S = 0.5  # a service that is away is not hammered
TIMEOUT_S = 120.0
CONNECT_S = 5.0
LONG_TOKENS = 48
LONG = {"diffusion": {"strategy": "fixed", "block_length": 4}, "ignore_eos": True}
LIKE_TOKENS = 96
LIKE = {"diffusion": {"block_length": 4}}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is: `url` as it calls itself. `via` is the gateway's HOST:PORT.

    Names of services are in nobody's DNS here: with `via` the connection goes there and the request
    is as if the name had led there.
    """

    url: str
    via: str = ""
    timeout_s: float = TIMEOUT_S  # of silence

    def http(self) -> httpx2.Client:
        """For what is no OpenAI route."""
        timeout = httpx2.Timeout(self.timeout_s, connect=CONNECT_S)
        return httpx2.Client(base_url=self.url, transport=_Through(self.via), timeout=timeout)

    def openai(self, api_key: str = "none", base: str = "/v1") -> openai.OpenAI:
        """Without retries. Close it."""
        return openai.OpenAI(
            base_url=self.url + base, api_key=api_key, max_retries=0, http_client=self.http()
        )


class _Through(httpx2.HTTPTransport):
    """Takes every request to one address, whatever its host is called."""

    def __init__(self, address: str) -> None:
        super().__init__(trust_env=False)
        self._address = address

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._address:  # the Host header was made from the name before
            host, _, port = self._address.rpartition(":")
            request.url = request.url.copy_with(host=host, port=int(port))
        return super().handle_request(request)


@dataclass(frozen=True, slots=True)
class Question:
    """`right` is in the answer of a model that can count; empty where any answer will do."""

    messages: list[dict[str, str]]
    right: str
    options: dict[str, Any]


def draw(rng: random.Random) -> Question:
    """A sum, of a chunk or two; or a long answer of one token a step, a stream of seconds."""
    if rng.random() < 0.5:
        a, b = rng.randrange(10, 100), rng.randrange(10, 100)
        return Question(user(f"What is {a} + {b}?"), str(a + b), {})
    first = rng.randrange(1, 10)
    options = {"max_tokens": LONG_TOKENS, "extra_body": LONG}
    return Question(user(f"Count from {first} to {first + 12}."), "", options)


def draw_alike(rng: random.Random) -> Question:
    """Two rounds or dozens of them, but about as many tokens in each of them: what a comparison of
    tokens per forward measures is the rule of the service, and not which questions it got.
    """
    kind = rng.random()
    if kind < 0.5:
        a, b = rng.randrange(10, 100), rng.randrange(10, 100)
        return Question(user(f"What is {a} + {b}?"), str(a + b), {"extra_body": LIKE})
    first = rng.randrange(1, 10)
    options: dict[str, Any] = {"extra_body": LIKE}
    if kind > 0.75:
        options = {"max_tokens": LIKE_TOKENS, "extra_body": {**LIKE, "ignore_eos": True}}
    return Question(user(f"Count from {first} to {first + 12}."), "", options)


def ask(client: openai.OpenAI, model: str, question: Question) -> Asked:
    """One question, streamed; errors become outcomes."""
    began, text, reason, chunks, rule = time.monotonic(), "", None, 0, ""

    def asked(outcome: Outcome, detail: str = "") -> Asked:
        wrong = outcome is Outcome.FINISHED and question.right not in text
        return Asked(began, time.monotonic(), outcome, detail, chunks, wrong=wrong, rule=rule)

    try:
        create: Any = client.chat.completions.create
        asks = {"model": model, "messages": question.messages, "stream": True, **question.options}
        with create(**asks) as stream:
            for chunk in stream:
                chunks += 1
                rule = ((chunk.model_extra or {}).get("diffusion") or {}).get("strategy", rule)
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    reason = choice.finish_reason or reason
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        return asked(Outcome.BROKEN if chunks else Outcome.FAILED, _words(error))
    if reason is None:
        return asked(Outcome.UNFINISHED, f"no finish_reason after {chunks} chunks")
    return asked(Outcome.FINISHED)


@dataclass
class Readers:
    """Those that ask now, and what they have seen so far."""

    tally: Tally
    draw: Callable[[random.Random], Question] = draw
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, endpoint: Endpoint, model: str, count: int, seed: int, api_key: str) -> None:
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            arguments = (endpoint, model, rng, api_key)
            thread = threading.Thread(target=self._read, args=arguments, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_for(self, more: int, within_s: float = TIMEOUT_S) -> None:
        """Until so many further answers have come in full."""
        goal = self.tally.finished + more
        until(lambda: self.tally.finished >= goal, f"{more} answers", within_s, every_s=0.1)

    def stop(self) -> None:
        """What is being answered is still read to its end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + CONNECT_S)
            assert not thread.is_alive(), "a stream neither ends nor times out"

    def _read(self, endpoint: Endpoint, model: str, rng: random.Random, api_key: str) -> None:
        with endpoint.openai(api_key) as client:
            while not self._stop.is_set():
                asked = ask(client, model, self.draw(rng))
                self.tally.add(asked)
                wait_s = PAUSE_S if asked.outcome is Outcome.FINISHED else AFTER_FAILURE_S
                self._stop.wait(wait_s * (0.5 + rng.random()))


@contextmanager
def asking(
    endpoint: Endpoint,
    model: str,
    *,
    count: int = READERS,
    seed: int = 0,
    api_key: str = "none",
    draw: Callable[[random.Random], Question] = draw,
) -> Iterator[Readers]:
    """They have stopped, and the tally is complete, when the block is left."""
    readers = Readers(Tally(), draw)
    readers.start(endpoint, model, count, seed, api_key)
    try:
        yield readers
    finally:
        readers.stop()


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _words(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    cause = f" ({error.__cause__})" if error.__cause__ else ""
    return f"{type(error).__name__} {status or ''}: {error}{cause}"
