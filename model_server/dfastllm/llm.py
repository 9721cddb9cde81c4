"""Offline use: the same engine without a server.

    from dfastllm import LLM

    llm = LLM("builtin:tiny")
    print(llm.chat([{"role": "user", "content": "What is 27 + 48?"}]).text)

Synchronous; one thread at a time may use an `LLM`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from dfastllm.answers import Answer
from dfastllm.build import build
from dfastllm.core import (
    CanvasState,
    Chunk,
    DecodingParams,
    FinishReason,
    Request,
    RequestStats,
    SamplingParams,
    TokenLogprob,
)
from dfastllm.errors import InvalidRequest
from dfastllm.models.loader import Progress
from dfastllm.presets import PresetName
from dfastllm.settings import EngineSection, ModelSection, Settings

Prompt = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished answer."""

    text: str
    tokens: tuple[TokenLogprob, ...]
    finish_reason: FinishReason
    stats: RequestStats

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(token.token for token in self.tokens)


@dataclass(slots=True)
class _Open:
    answer: Answer
    chunks: list[Chunk] = field(default_factory=list)


class LLM:
    """A model with its engine, for scripts and notebooks.

    `model` is a built-in (`builtin:tiny`), a directory or a hub id; keyword arguments are settings
    of the sections `model` and `engine` by their names (`dtype`, `device`, `max_running_requests`,
    ...). Raises CheckpointError, or pydantic's ValidationError for an unknown or bad setting.
    """

    def __init__(
        self, model: str = "builtin:tiny", *, progress: Progress | None = None, **options: Any
    ):
        engine = {k: v for k, v in options.items() if k in EngineSection.model_fields}
        rest = {k: v for k, v in options.items() if k not in engine}
        engine.setdefault("max_queued_requests", 1_000_000)
        engine.setdefault("max_queued_tokens", 1 << 40)
        settings = Settings(model=ModelSection(model=model, **rest), engine=EngineSection(**engine))
        built = build(settings, progress=progress)
        self.engine = built.engine
        self.tokenizer = built.tokenizer
        self.defaults = built.defaults
        self._numbers = count()

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        *,
        max_tokens: int = 256,
        sampling: SamplingParams | None = None,
        decoding: DecodingParams | None = None,
        preset: PresetName | str | None = None,
        stop: Sequence[str] = (),
        ignore_eos: bool = False,
        on_canvas: Callable[[CanvasState], None] | None = None,
    ) -> list[Completion]:
        """Answers to `prompts` (texts or token ids), batched together, in order.

        `sampling` and `decoding` default to the model's; a `preset` (quality, balanced or fast)
        stands for the `decoding` that it is. `on_canvas` sees every canvas after each step. Raises
        the error of the first request that failed.
        """
        if decoding is not None and preset is not None:
            raise InvalidRequest(
                "decoding and preset say the same: give one of them; to change a preset, replace "
                "fields of what LLM.decoding gives",
                param="preset",
            )
        chosen = decoding or self.decoding(preset)
        requests = [
            Request(
                request_id=f"llm-{next(self._numbers)}",
                prompt=ids,
                max_tokens=max_tokens,
                sampling=sampling or self._sampling(),
                decoding=chosen,
                stop=tuple(stop),
                ignore_eos=ignore_eos,
                stream_canvas=on_canvas is not None,
            )
            for ids in self._ids_of(prompts)
        ]
        return self._run(requests, on_canvas)

    def chat(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> Completion:
        """The assistant's next turn; `options` as for `generate`."""
        return self.generate(self.tokenizer.encode_chat(messages), **options)[0]

    def decoding(self, preset: PresetName | str | None = None) -> DecodingParams:
        """The model's decoding, or what one of its presets is. Raises InvalidRequest."""
        if preset is not None and preset not in tuple(PresetName):
            raise InvalidRequest(
                f"there is no preset {preset!r}; there are {', '.join(PresetName)}", param="preset"
            )
        return self.defaults.decoding_of(None if preset is None else PresetName(preset))

    def _ids_of(self, prompts: Prompt | Sequence[Prompt]) -> list[tuple[int, ...]]:
        """Token ids of one prompt or of many: a list of numbers is one prompt."""
        if isinstance(prompts, str):
            return [tuple(self.tokenizer.encode(prompts))]
        ids = tuple(p for p in prompts if isinstance(p, int))
        many = [p for p in prompts if not isinstance(p, int)]
        if ids and many:
            raise InvalidRequest("prompts are texts or lists of token ids, not both in one list")
        return [ids] if ids else [entry for prompt in many for entry in self._ids_of(prompt)]

    def _sampling(self) -> SamplingParams:
        own = self.defaults
        return SamplingParams(temperature=own.temperature, top_p=own.top_p, top_k=own.top_k)

    def _run(
        self, requests: list[Request], on_canvas: Callable[[CanvasState], None] | None
    ) -> list[Completion]:
        answers = {r.request_id: _Open(Answer(r, self.tokenizer)) for r in requests}
        self.engine.add(requests)
        try:
            while self.engine.has_work:
                for delta in self.engine.step():
                    if delta.error is not None:
                        raise delta.error
                    entry = answers[delta.request_id]
                    chunk, must_end = entry.answer.feed(delta)
                    if must_end:
                        (ended,) = self.engine.finish(delta.request_id)
                        chunk = entry.answer.close(chunk, ended)
                    entry.chunks.append(chunk)
                    if on_canvas is not None and chunk.canvas is not None:
                        on_canvas(chunk.canvas)
        finally:
            for request in requests:  # nothing is left behind when one of them failed
                self.engine.cancel(request.request_id)
        return [_completion(answers[r.request_id].chunks) for r in requests]


def _completion(chunks: list[Chunk]) -> Completion:
    last = chunks[-1]
    assert last.finish_reason is not None
    assert last.stats is not None
    return Completion(
        text="".join(chunk.text for chunk in chunks),
        tokens=tuple(token for chunk in chunks for token in chunk.tokens),
        finish_reason=last.finish_reason,
        stats=last.stats,
    )
