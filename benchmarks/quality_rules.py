"""The rules that quality is measured for, by the names that label their points."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dfastllm.core import CacheKind, DecodingParams
from dfastllm.presets import PresetName

USUAL_LENGTH = DecodingParams().block_length  # of a block, where the model's is not known


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to decode, as the fields of a request's `diffusion`; the model says the rest.

    With `per_step` the number of steps follows from the lengths of the answer and of its blocks.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    per_step: int = 0

    def diffusion(self, max_tokens: int, own_length: int = USUAL_LENGTH) -> dict[str, Any]:
        """The request's fields; `own_length` is that of the model's blocks, in tokens.

        Blocks share the steps evenly, the last and shorter one too, so each is given what a whole
        one needs for `per_step` tokens a step, by the mean over the block. One a step is what
        `fixed` does unasked.
        """
        if self.per_step < 2:
            return dict(self.options)
        length = min(self.options.get("block_length", own_length), max_tokens)
        blocks = -(-max_tokens // length)
        return {**self.options, "steps": blocks * -(-length // self.per_step)}

    @property
    def cache(self) -> str | None:
        """None where it is the model's own."""
        cache = self.options.get("cache")
        return None if cache is None else str(cache)


def fixed(per_step: int) -> Rule:
    return Rule(f"fixed {per_step}", {"strategy": "fixed"}, per_step)


def threshold(value: float) -> Rule:
    return Rule(f"threshold {value:g}", {"strategy": "threshold", "threshold": value})


def factor(value: float) -> Rule:
    return Rule(f"factor {value:g}", {"strategy": "factor", "factor": value})


def apd(r: float, *, window: int | None = None, lookahead: int | None = None) -> Rule:
    """Adaptive parallel decoding; the verifier is the server's or the model's own."""
    extra = {"window": window, "lookahead": lookahead}
    given = {name: value for name, value in extra.items() if value is not None}
    label = "".join(f" {name} {value}" for name, value in given.items())
    return Rule(f"apd {r:g}{label}", {"strategy": "apd", "r": r, **given})


def cached(rule: Rule, cache: CacheKind) -> Rule:
    """The same rule with a cache, or said to have none, which it is judged against."""
    name = "no" if cache is CacheKind.NONE else cache
    return replace(rule, name=f"{rule.name} {name} cache", options={**rule.options, "cache": cache})


def blocks(rule: Rule, length: int) -> Rule:
    """The same rule with blocks of so many tokens: what a forward costs, and how far it looks."""
    options = {**rule.options, "block_length": length}
    return replace(rule, name=f"{rule.name} block {length}", options=options)


def preset(name: PresetName) -> Rule:
    """What the model means by a preset."""
    return Rule(f"preset {name}", {"preset": str(name)})


DEFAULT = Rule("default")
BLOCKS = (8, 16, 32)
PRESETS = tuple(preset(name) for name in PresetName)
CACHED = tuple(cached(rule, cache) for rule in (fixed(1), threshold(0.9)) for cache in CacheKind)

GRIDS: dict[str, tuple[Rule, ...]] = {
    "ci": (fixed(1), fixed(4), threshold(0.9), apd(0.5)),
    "presets": PRESETS,
    "cache": CACHED,
    # What a model card shows. Blocks of 32 are said where the model may have shorter ones.
    "card": (
        DEFAULT,
        *PRESETS,
        *(fixed(k) for k in (1, 2, 4)),
        blocks(fixed(1), 32),
        *(threshold(t) for t in (0.9, 0.7)),
        *(apd(r) for r in (0.2, 0.5)),
    ),
    "full": (
        DEFAULT,
        *PRESETS,
        *(fixed(k) for k in (1, 2, 4, 8)),
        *(threshold(t) for t in (0.95, 0.9, 0.8, 0.7, 0.5)),
        *(factor(f) for f in (0.5, 1, 2)),
        *(blocks(rule, b) for rule in (fixed(1), threshold(0.9), threshold(0.7)) for b in BLOCKS),
        *(apd(r) for r in (0, 0.2, 0.5, 0.65, 0.8, 1)),
        *(apd(r, lookahead=m) for r in (0.2, 0.5, 0.65, 0.8) for m in (4, 8, 16, 32)),
        *(apd(0.5, window=w) for w in (0, 16)),
        *CACHED,
    ),
}


def rules_of(grid: str, names: list[str] | None = None) -> list[Rule]:
    """The rules of a grid, or of any by `names`. Raises ValueError for an unknown name."""
    if names is None:
        return list(GRIDS[grid])
    known = {rule.name: rule for rules in GRIDS.values() for rule in rules}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"--rules: there is no {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names]
