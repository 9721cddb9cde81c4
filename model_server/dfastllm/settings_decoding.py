"""The settings of section `decoding`."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from dfastllm.core import CacheKind, Remasking, StrategyName
from dfastllm.presets import PresetName
from dfastllm.settings_section import Section, one_or_many


class DecodingSection(Section):
    """How masks become tokens unless a request says otherwise, and what a request may ask for.

    What is left out comes from the model's generation_config.json.
    """

    preset: PresetName | None = Field(
        default=None,
        description="Named rule with its parameters, as the model's generation_config.json defines "
        "them; what is set beside it goes first. `quality` answers best, `fast` soonest.",
    )
    strategy: StrategyName | None = Field(
        default=None, description="Rule that picks the positions to commit after a forward."
    )
    block_length: int | None = Field(
        default=None, ge=1, description="Length of a block, in tokens."
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least confidence to commit, for strategy `threshold`.",
    )
    factor: float | None = Field(
        default=None, gt=0, le=100, description="Factor of strategy `factor`."
    )
    r: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The model's own weight against the verifier's under strategy `apd`: 1 accepts "
        "every draft, 0 has the verifier judge alone.",
    )
    window: int | None = Field(
        default=None,
        ge=0,
        description="Under strategy `apd`, how many tokens left of the last commit are fed again; "
        "K/V of what lies further back are kept as they are. Left out: none are kept, which is "
        "exact.",
    )
    remasking: Remasking | None = Field(
        default=None, description="How strategy `fixed` ranks the candidates."
    )
    lookahead: int | None = Field(
        default=None,
        ge=0,
        description="Masked positions kept right of the active block, in tokens; more are added as "
        "the answer fills. Fewer cost less, but a model that sees too few may end early. Under "
        "strategy `apd` the longest draft.",
    )
    cache: CacheKind | None = Field(
        default=None, description="Which K/V entries are reused between refreshes."
    )
    default_max_tokens: int = Field(
        default=256, ge=1, description="Answer length when a request names none, in tokens."
    )
    allowed_strategies: Annotated[tuple[StrategyName, ...], BeforeValidator(one_or_many)] = Field(
        default=tuple(StrategyName), min_length=1, description="Strategies a request may ask for."
    )
    allowed_caches: Annotated[tuple[CacheKind, ...], BeforeValidator(one_or_many)] = Field(
        default=tuple(CacheKind), min_length=1, description="Caches a request may ask for."
    )
    max_steps: int = Field(default=4096, ge=1, description="Most `steps` of one answer.")
    max_block_length: int = Field(
        default=256, ge=1, description="Longest block a request may ask for."
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
        default=0.0, ge=0, le=1, description="Lowest threshold a request may use."
    )

    @model_validator(mode="after")
    def _defaults_are_allowed(self) -> Self:
        if self.strategy is not None and self.strategy not in self.allowed_strategies:
            raise ValueError(f"strategy {self.strategy} is not among allowed_strategies")
        if self.cache is not None and self.cache not in self.allowed_caches:
            raise ValueError(f"cache {self.cache} is not among allowed_caches")
        if self.block_length is not None and self.block_length > self.max_block_length:
            raise ValueError("block_length is larger than max_block_length")
        for name in ("r", "window", "lookahead"):
            value, most = getattr(self, name), getattr(self, f"max_{name}")
            if value is not None and most is not None and value > most:
                raise ValueError(f"{name} is larger than max_{name}")
        return self
