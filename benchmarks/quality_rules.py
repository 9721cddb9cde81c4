"""The rules that quality is measured for, by the names that label their points."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dfastllm.core import CacheKind


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to decode, as the fields of a request's `diffusion`.

    With `per_step` the number of steps follows from the length of the answer.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    per_step: int = 0

    def diffusion(self, max_tokens: int) -> dict[str, Any]:
        steps = {"steps": -(-max_tokens // self.per_step)} if self.per_step else {}
        return {**self.options, **steps}

    @property
    def cache(self) -> str:
        return str(self.options.get("cache", CacheKind.NONE))


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
    """The same rule between refreshes of a cache; judged against the rule without."""
    return replace(
        rule, name=f"{rule.name} {cache} cache", options={**rule.options, "cache": cache}
    )


DEFAULT = Rule("default")
CACHES = (CacheKind.PREFIX, CacheKind.DUAL)
PLAIN = (fixed(1), threshold(0.9))

GRIDS: dict[str, tuple[Rule, ...]] = {
    "ci": (fixed(1), fixed(4), threshold(0.9), apd(0.5)),
    "small": (fixed(1), threshold(0.9), apd(0.5)),
    "full": (
        DEFAULT,
        *(fixed(k) for k in (1, 2, 4, 8)),
        *(threshold(t) for t in (0.95, 0.9, 0.8, 0.7, 0.5)),
        *(factor(f) for f in (0.5, 1, 2)),
        *(apd(r) for r in (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1)),
        *(apd(0.5, lookahead=m) for m in (16, 32, 64)),
        *(apd(0.5, window=w) for w in (4, 16, 64)),
        *(cached(rule, cache) for rule in PLAIN for cache in CACHES),
    ),
    "cache": (*PLAIN, *(cached(rule, cache) for rule in PLAIN for cache in CACHES)),
}


def rules_of(grid: str, names: list[str] | None = None) -> list[Rule]:
    """The rules of a grid; with `names` those, from the full grid. Raises KeyError."""
    if names is None:
        return list(GRIDS[grid])
    known = {rule.name: rule for rules in GRIDS.values() for rule in rules}
    return [known[name] for name in names]
