"""What the HTTP layer needs to know of the rest, as one frozen object and two protocols.

The routes receive a `ServerContext`; they see neither settings, nor torch, nor KServe. Tests and
the overhead benchmark hand in a scripted `Generator`; the real one is `engine.service`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dfastllm.core import CacheKind, Chunk, DecodingParams, Request, StrategyName
from dfastllm.presets import GENERIC, Preset, PresetName


class AnswerStream(Protocol):
    """One answer on its way, fetched by its reader on the event loop.

    The last chunk has a `finish_reason`; an answer that fails has none and raises instead.
    """

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is something to take, at once if there already is."""

    def take(self) -> Chunk | None:
        """What arrived since the last call, merged; None when nothing did.

        Raises the answer's error once, after what came before it was taken.
        """

    def cancel(self) -> None:
        """Stop the work within one engine step. Harmless when already finished."""


class Generator(Protocol):
    """The engine as the HTTP layer sees it."""

    @property
    def ready(self) -> bool:
        """Warmed up, alive and not draining."""

    @property
    def alive(self) -> bool:
        """False once the engine thread has died; never true again."""

    def submit(self, requests: Sequence[Request]) -> Sequence[AnswerStream]:
        """Queue all of them or none.

        Raises Overloaded, NotReady, PromptTooLong, InvalidRequest or EngineFailed.
        """


class TextCodec(Protocol):
    """Text to ids and back."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def mask_id(self) -> int: ...

    @property
    def longest_token_bytes(self) -> int:
        """No token stands for more bytes of text: bounds how few tokens a long text can be."""

    @property
    def has_chat_template(self) -> bool: ...

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Ids of a plain text; `add_special_tokens` puts BOS in front where the model wants one."""

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Ids of a conversation through the model's chat template, assistant turn opened.

        Raises InvalidRequest when the model has no template or the template refuses the messages.
        """

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str: ...

    def token_text(self, token_id: int) -> str:
        """One token as text for `logprobs`; lone bytes become U+FFFD."""

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes the token stands for; concatenated they are the bytes of the answer."""


@dataclass(frozen=True, slots=True)
class DecodingLimits:
    """What a request may ask for in `diffusion`; set by whoever runs the server."""

    strategies: tuple[StrategyName, ...] = tuple(StrategyName)
    caches: tuple[CacheKind, ...] = tuple(CacheKind)
    max_block_length: int = 256  # tokens
    max_steps: int = 4096  # denoising steps of one answer under a fixed schedule
    min_threshold: float = 0.0
    max_factor: float = 100.0
    max_r: float | None = None
    max_window: int | None = None  # tokens, as is
    max_lookahead: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request, as the authentication middleware found out.

    It lies in `scope["state"]["caller"]`; without authentication there is one anonymous caller per
    peer address. `min_priority` is the most urgent `priority` (lowest number) this caller may ask
    for; a request beyond it is refused.
    """

    name: str = "anonymous"
    min_priority: int = 0


@dataclass(frozen=True, slots=True)
class ServerContext:
    """Everything the OpenAI router depends on.

    `served_names`: the first is the one answers carry when a request names no other; none is ever
    a path. `created` is Unix seconds. `max_n` caps `n`, `max_choices` caps prompts x n, `max_stop`
    the stop strings, `max_logprobs` the alternatives. `timeout_s` is the cap and, where a request
    names none, the deadline (None: no deadline). `keepalive_s` is the longest silence of a stream
    before a comment line. `default_temperature`, `default_top_p` and `default_top_k` come from the
    model's generation_config, else they are greedy: confidence rules are made for that.
    `presets` has every name. `can_infill`: the model sees what stands right of an answer.
    `verifies`: there is a verifier, which strategy `apd` needs.
    """

    generator: Generator
    codec: TextCodec
    served_names: tuple[str, ...]
    created: int
    max_model_len: int
    eos_ids: tuple[int, ...]
    defaults: DecodingParams = field(default_factory=DecodingParams)
    presets: Mapping[PresetName, Preset] = field(default_factory=lambda: GENERIC)
    limits: DecodingLimits = field(default_factory=DecodingLimits)
    default_max_tokens: int = 256
    default_temperature: float = 0.0
    default_top_p: float = 1.0
    default_top_k: int = 0
    max_n: int = 16
    max_choices: int = 128
    max_stop: int = 16
    max_logprobs: int = 20
    timeout_s: float | None = None
    keepalive_s: float = 15.0
    can_infill: bool = True
    verifies: bool = False
