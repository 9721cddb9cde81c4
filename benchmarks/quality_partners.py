"""Who answers the questions: a model in this process, or any server with an OpenAI API."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import httpx

from benchmarks.quality_rules import Rule
from benchmarks.quality_suites import Question
from dfastllm.cli.remote import api_base, error_text
from dfastllm.core import CacheKind, DecodingParams, FinishReason, StrategyName
from dfastllm.errors import InvalidRequest
from dfastllm.llm import LLM, Completion
from dfastllm.presets import goes_with

TIMEOUT_S = 900.0
# No row waits for its turn, however many run side by side.
_STEP_TOKENS, _ROW_TOKENS = 8192, 256
_KINDS: dict[str, Any] = {"strategy": StrategyName, "cache": CacheKind}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer and its cost; `forwards` is 0 where the server counts none.

    `tokens` are text and the end of the turn. `ended` says that the model ended by itself.
    """

    text: str
    tokens: int
    forwards: int
    ended: bool
    verifier_passes: int = 0
    drafted: int = 0
    accepted: int = 0
    context_passes: int = 0


class Partner(Protocol):
    """Answers many questions by one rule. Raises InvalidRequest for a rule it does not know.

    `resolves` says that `decoding` names all settings, so equal ones give equal answers.
    """

    resolves: bool

    def answer(
        self, questions: Sequence[Question], rule: Rule, max_tokens: int
    ) -> list[Answer]: ...

    def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
        """What the rule comes to, as far as it is known here: for the results, by plain values."""
        ...


class Offline:
    """A model of our own in this process; `rows` answers are computed side by side."""

    resolves = True

    def __init__(self, model: str, *, rows: int, **options: Any):
        given = {name: value for name, value in options.items() if value is not None}
        given["max_step_tokens"] = max(_STEP_TOKENS, rows * _ROW_TOKENS)
        self.llm = LLM(model, max_running_requests=rows, **given)

    def answer(self, questions: Sequence[Question], rule: Rule, max_tokens: int) -> list[Answer]:
        prompts = [self.llm.tokenizer.encode_chat(question.messages) for question in questions]
        decoding = self._decoding(rule, max_tokens)
        found = self.llm.generate(prompts, max_tokens=max_tokens, decoding=decoding)
        return [_of_completion(completion) for completion in found]

    def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
        return asdict(self._decoding(rule, max_tokens))

    def _decoding(self, rule: Rule, max_tokens: int) -> DecodingParams:
        own_length = self.llm.defaults.decoding.block_length
        return _decoding(rule.diffusion(max_tokens, own_length), self.llm)


class Served:
    """A server's chat route; `rows` questions are under way at any time.

    Rules are sent to a dfastllm server. Another has its own, and only `default` is asked of it.
    """

    resolves = False

    def __init__(
        self,
        url: str,
        *,
        rows: int,
        api_key: str = "",
        transport: httpx.BaseTransport | None = None,
    ):
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(
            base_url=api_base(url),
            headers=headers,
            timeout=TIMEOUT_S,
            trust_env=False,
            transport=transport,
        )
        served = self._client.get("models").raise_for_status().json()["data"]
        self._model = served[0]["id"]
        self._is_ours = served[0].get("owned_by") == "dfastllm"
        self._rows = rows

    def answer(self, questions: Sequence[Question], rule: Rule, max_tokens: int) -> list[Answer]:
        diffusion = rule.diffusion(max_tokens)
        if diffusion and not self._is_ours:
            raise InvalidRequest("this server takes no decoding rule", param="diffusion")
        body: dict[str, Any] = {"model": self._model, "max_tokens": max_tokens, "temperature": 0}
        if diffusion:
            body["diffusion"] = diffusion
        with ThreadPoolExecutor(self._rows) as pool:
            return list(pool.map(lambda q: self._ask({**body, "messages": q.messages}), questions))

    def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
        """What is asked for: the rest only the server knows."""
        return rule.diffusion(max_tokens)

    def _ask(self, body: Mapping[str, Any]) -> Answer:
        reply = self._client.post("chat/completions", json=body)
        if reply.status_code != httpx.codes.OK:
            raise InvalidRequest(error_text(reply))
        return _of_reply(reply.json())


def _decoding(options: Mapping[str, Any], llm: LLM) -> DecodingParams:
    """The rule on top of the model's own defaults, with the names a request uses."""
    typed: dict[str, Any] = dict(options)
    typed |= {name: kind(options[name]) for name, kind in _KINDS.items() if name in options}
    if "strategy" in options:
        typed.setdefault("steps", None)  # the model's own are those of its own strategy
    preset = typed.pop("preset", None)
    # Without either it is the model's default; a rule of its own finds values for every strategy.
    own = llm.defaults.decoding if typed and preset is None else llm.decoding(preset)
    try:
        decoding = replace(own, **typed)
    except TypeError as error:
        raise InvalidRequest(f"the engine does not know this rule: {error}") from None
    # The model's own cache, where the rule has a use for one.
    keeps = "cache" in options or goes_with("cache", decoding.strategy)
    return decoding if keeps else replace(decoding, cache=CacheKind.NONE)


def _of_completion(completion: Completion) -> Answer:
    stats = completion.stats
    return Answer(
        completion.text,
        stats.completion_tokens,
        stats.forward_passes,
        completion.finish_reason is FinishReason.STOP,
        stats.verifier_passes,
        stats.drafted,
        stats.accepted,
        stats.context_passes,
    )


def _of_reply(reply: Mapping[str, Any]) -> Answer:
    choice, report = reply["choices"][0], reply.get("diffusion") or {}
    costs = ("verifier_passes", "drafted", "accepted", "context_passes")
    return Answer(
        choice["message"]["content"] or "",
        int(reply["usage"]["completion_tokens"]),
        int(report.get("forward_passes", 0)),
        choice["finish_reason"] == FinishReason.STOP,
        **{name: int(report.get(name) or 0) for name in costs},
    )
