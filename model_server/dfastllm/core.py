"""The nouns every layer speaks: what is asked, what comes back, how it is counted.

Frozen dataclasses only. Nothing here knows HTTP, text encoding, torch or the scheduler.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class FinishReason(StrEnum):
    """Why an answer ended well; errors are exceptions, not reasons."""

    STOP = "stop"  # the model ended its turn, or a stop string was met
    LENGTH = "length"  # max_tokens was reached


class CacheKind(StrEnum):
    """Which K/V entries are reused between two refreshes (Fast-dLLM, arXiv 2505.22618)."""

    NONE = "none"  # every step feeds the whole sequence: exact
    PREFIX = "prefix"  # feeds the block and all that follows; what precedes it is reused
    DUAL = "dual"  # feeds the block only; prefix and suffix are reused


class StrategyName(StrEnum):
    """The rule that picks the positions to commit after a forward."""

    FIXED = "fixed"  # a quota per step, best-ranked first
    THRESHOLD = "threshold"  # every position at least this confident, and always the best
    FACTOR = "factor"  # as many as the confidence of the n-th allows (Fast-dLLM, section 3.3)
    APD = "apd"  # left to right, as far as a causal verifier agrees (arXiv 2506.00413)


class Remasking(StrEnum):
    """How a fixed quota ranks the candidates (the rest stay masked)."""

    LOW_CONFIDENCE = "low_confidence"  # probability of the candidate (Dream: maskgit_plus)
    RANDOM = "random"  # uniformly, from the request's seed
    TOPK_MARGIN = "topk_margin"  # best minus second-best probability
    ENTROPY = "entropy"  # least entropy first


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a token is drawn at one position.

    `temperature` 0 is argmax; `top_k` 0 and `top_p` 1 filter nothing. Draws depend on
    (seed, position, step) alone, never on the batch.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class DecodingParams:
    """How masks become tokens.

    `steps` counts denoising steps for the whole answer under `fixed` (None: one token a step);
    `block_length` is in tokens; `threshold` belongs to `threshold`, `factor` to `factor`. With
    `lookahead` only that many masks stand right of the active block and more are added as the
    answer fills; None keeps the whole canvas from the start, as the published loops do. A canvas
    much longer than what a model was trained on spoils its answers, unless it reads its context
    causally: then it sees no mask right of the block.

    `apd` knows no blocks: its drafts span the `lookahead` masks right of what is committed. `r` is
    the drafter's weight in the target, 1 accepting everything; `window` freezes the K/V of tokens
    that lie further back, and None keeps none.
    """

    strategy: StrategyName = StrategyName.THRESHOLD
    block_length: int = 32
    steps: int | None = None
    threshold: float = 0.9
    factor: float = 1.0
    remasking: Remasking = Remasking.LOW_CONFIDENCE
    cache: CacheKind = CacheKind.NONE
    lookahead: int | None = None
    r: float = 0.5
    window: int | None = None

    @property
    def keeps_kv(self) -> bool:
        """Whether the model's K/V are kept between forwards."""
        if self.strategy is StrategyName.APD:
            return self.window is not None
        return self.cache is not CacheKind.NONE


@dataclass(frozen=True, slots=True)
class Request:
    """One answer to compute, in token ids.

    `suffix` (ids) stands right of the answer and is never changed: infilling, for which the whole
    canvas stands from the start (models that read their context causally refuse it). `max_tokens`
    is exact. `ignore_eos` treats end-of-turn tokens as text. `stop` strings are matched on decoded
    text by the service. `deadline_s` is seconds from arrival. A lower `priority` number is served
    earlier. `key` names the caller for fair queueing. `repeats_prompt`: another row of the same
    call has the same prompt and counts its tokens. Without `stream` the answer is handed out whole,
    at its end. `top_logprobs` asks for that many alternatives per committed token.
    """

    request_id: str
    prompt: tuple[int, ...]
    max_tokens: int
    sampling: SamplingParams = field(default_factory=SamplingParams)
    decoding: DecodingParams = field(default_factory=DecodingParams)
    suffix: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    deadline_s: float | None = None
    priority: int = 0
    key: str = ""
    top_logprobs: int = 0
    repeats_prompt: bool = False
    stream: bool = True
    stream_canvas: bool = False
    skip_special_tokens: bool = True


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One committed token and how sure the model was when it was committed.

    `logprob` is the natural log of the un-tempered softmax at the step of the commit; `top` holds
    the best (token id, logprob) pairs of the same step, at most as many as were asked for.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RequestStats:
    """What one answer cost.

    `prompt_tokens` counts the suffix of an infilled request too. `completion_tokens` is text plus
    one end-of-turn token, never filler. `forward_passes` counts the forwards this row took part in;
    `refresh_passes` are those among them that fed everything and reused no K/V. `verifier_passes`
    counts the verifier's forwards apart; `drafted` tokens were proposed to it (up to the end of the
    turn) and `accepted` ones committed, the first of each draft always. `context_passes` counts the
    forwards of another network that reads the context, those in which it verifies left out. Times
    are seconds; `first_token_s` runs from arrival to the first token that was final.
    """

    prompt_tokens: int
    completion_tokens: int
    forward_passes: int
    refresh_passes: int
    queue_s: float
    compute_s: float
    first_token_s: float | None = None
    verifier_passes: int = 0
    drafted: int = 0
    accepted: int = 0
    context_passes: int = 0

    @property
    def tokens_per_forward(self) -> float:
        return self.completion_tokens / self.forward_passes if self.forward_passes else 0.0


@dataclass(frozen=True, slots=True)
class Delta:
    """What one engine step changed in one row, in token ids.

    `tokens` extend the committed prefix (final, in order). The last delta of a row carries either
    `finish_reason` or `error`, and `stats`. `canvas` is the whole answer after the step, masks
    included, when the request asked for it.
    """

    request_id: str
    tokens: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    error: Exception | None = None
    stats: RequestStats | None = None
    canvas: tuple[int, ...] | None = None

    @property
    def done(self) -> bool:
        return self.finish_reason is not None or self.error is not None


@dataclass(frozen=True, slots=True)
class CanvasState:
    """The answer after one denoising step, for people who want to watch it.

    `token_ids` holds the mask id where nothing is committed yet; `text` shows those as `mask_text`.
    """

    step: int
    token_ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the engine service hands to a reader: text that is final, in order.

    `text` may be empty while `tokens` are held back for a stop string or half a character.
    `finish_reason` and `stats` come together, in the last chunk. Errors are raised, not carried.
    """

    text: str = ""
    tokens: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    stats: RequestStats | None = None
    canvas: CanvasState | None = None
