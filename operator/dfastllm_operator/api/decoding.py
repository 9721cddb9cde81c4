"""`spec.decoding`: how masks become tokens; the server's `decoding` section under its own names.

A contract test holds names, bounds, defaults and words equal to the server's settings.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dfastllm_operator.api.structure import Rule, Struct


class Preset(StrEnum):
    """How much of an answer's quality may go for its speed."""

    QUALITY = "quality"  # as good as the model answers
    BALANCED = "balanced"  # faster, with hardly a loss
    FAST = "fast"  # as fast as is still of use


class Strategy(StrEnum):
    """The rule that picks the positions to commit after a forward."""

    FIXED = "fixed"  # a quota per step, best-ranked first
    THRESHOLD = "threshold"  # every position at least this confident, and always the best
    FACTOR = "factor"  # as many as the confidence of the n-th allows
    APD = "apd"  # left to right, as far as a causal verifier agrees


class Cache(StrEnum):
    """Which K/V entries are reused between two refreshes."""

    NONE = "none"  # every step feeds the whole sequence: exact
    PREFIX = "prefix"  # what precedes the active block is reused
    DUAL = "dual"  # what precedes and what follows the active block is reused


class Remasking(StrEnum):
    """How a fixed quota ranks the candidates."""

    LOW_CONFIDENCE = "low_confidence"  # probability of the candidate
    RANDOM = "random"  # uniformly, from the request's seed
    TOPK_MARGIN = "topk_margin"  # best minus second-best probability
    ENTROPY = "entropy"  # least entropy first


class Decoding(Struct):
    """How masks become tokens unless a request says otherwise, and what a request may ask for."""

    preset: Preset | None = Field(
        default=None,
        description="Named rule with its parameters, as the model defines them: `quality`, "
        "`balanced` or `fast`. What is set beside it goes first. Left out: none.",
    )
    strategy: Strategy | None = Field(
        default=None,
        description="Rule that picks the positions to commit after a forward: `fixed` (a quota "
        "per step), `threshold` (all that are confident enough), `factor` (as many as the "
        "confidences allow) or `apd` (as far as a verifier agrees). Left out: the model's own.",
    )
    block_length: int | None = Field(
        default=None,
        ge=1,
        description="Length of a block, in tokens; blocks are finished from left to right. Left "
        "out: the model's own.",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least confidence to commit, for strategy `threshold`, above 0 and up to 1; "
        "higher is slower and closer to one token a step. Left out: the model's own.",
    )
    factor: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Factor of strategy `factor`, above 0; lower is slower and more careful. Left "
        "out: the model's own.",
    )
    r: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The model's own weight against the verifier's under strategy `apd`: 1 accepts "
        "every draft, 0 has the verifier judge alone. Left out: the model's own.",
    )
    window: int | None = Field(
        default=None,
        ge=0,
        description="Under strategy `apd`, how many tokens left of the last commit are fed again; "
        "K/V of what lies further back are kept as they are. Left out: the model's own.",
    )
    remasking: Remasking | None = Field(
        default=None,
        description="How strategy `fixed` ranks the candidates. Left out: the model's own.",
    )
    lookahead: int | None = Field(
        default=None,
        ge=0,
        description="Masked positions kept right of the active block, in tokens; more are added "
        "as the answer fills. Fewer cost less, but a model that sees too few may end early. Under "
        "strategy `apd` the longest draft. Left out: the model's own.",
    )
    cache: Cache | None = Field(
        default=None,
        description="Which K/V entries are reused between refreshes: `none` (exact), `prefix` "
        "(faster) or `dual` (fastest). Left out: the model's own.",
    )
    default_max_tokens: int = Field(
        default=256, ge=1, description="Answer length when a request names none, in tokens."
    )
    allowed_strategies: Annotated[tuple[Strategy, ...], Field(min_length=1, max_length=8)] = Field(
        default=tuple(Strategy), description="Strategies a request may ask for."
    )
    allowed_caches: Annotated[tuple[Cache, ...], Field(min_length=1, max_length=8)] = Field(
        default=tuple(Cache), description="Caches a request may ask for."
    )
    max_steps: int = Field(default=4096, ge=1, description="Most `steps` of one answer.")
    max_block_length: int = Field(
        default=256, ge=1, description="Longest block a request may ask for, in tokens."
    )
    max_factor: float = Field(default=100.0, gt=0, description="Highest factor a request may use.")
    max_r: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Highest `r` a request may use. Left out: 1, which accepts every draft.",
    )
    max_window: int | None = Field(
        default=None,
        ge=0,
        description="Longest `window` a request may ask for. Left out: any.",
    )
    max_lookahead: int | None = Field(
        default=None,
        ge=1,
        description="Longest `lookahead` a request may ask for. Left out: any.",
    )
    min_threshold: float = Field(
        default=0.0, ge=0, le=1, description="Lowest threshold a request may use, from 0 to 1."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.strategy) || self.strategy in self.allowedStrategies",
            "decoding.strategy must be among decoding.allowedStrategies: add it there or choose "
            "another",
            lambda decoding: decoding.strategy in {None, *decoding.allowed_strategies},
            ".strategy",
        ),
        Rule(
            "!has(self.cache) || self.cache in self.allowedCaches",
            "decoding.cache must be among decoding.allowedCaches: add it there or choose another",
            lambda decoding: decoding.cache in {None, *decoding.allowed_caches},
            ".cache",
        ),
        Rule(
            "!has(self.blockLength) || self.blockLength <= self.maxBlockLength",
            "decoding.blockLength must not exceed decoding.maxBlockLength: raise that or lower "
            "this",
            lambda decoding: (decoding.block_length or 0) <= decoding.max_block_length,
            ".blockLength",
        ),
        Rule(
            "!has(self.r) || !has(self.maxR) || self.r <= self.maxR",
            "decoding.r must not exceed decoding.maxR: raise that or lower this",
            lambda decoding: _within(decoding.r, decoding.max_r),
            ".r",
        ),
        Rule(
            "!has(self.window) || !has(self.maxWindow) || self.window <= self.maxWindow",
            "decoding.window must not exceed decoding.maxWindow: raise that or lower this",
            lambda decoding: _within(decoding.window, decoding.max_window),
            ".window",
        ),
        Rule(
            "!has(self.lookahead) || !has(self.maxLookahead) || "
            "self.lookahead <= self.maxLookahead",
            "decoding.lookahead must not exceed decoding.maxLookahead: raise that or lower this",
            lambda decoding: _within(decoding.lookahead, decoding.max_lookahead),
            ".lookahead",
        ),
    )


def _within(value: float | None, most: float | None) -> bool:
    return value is None or most is None or value <= most
