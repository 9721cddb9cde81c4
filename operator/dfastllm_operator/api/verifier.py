"""`spec.model.verifier`: which causal model adaptive parallel decoding asks, and where it lies."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from dfastllm_operator.api.address import Uri, address_rules
from dfastllm_operator.api.model_size import ModelSize
from dfastllm_operator.api.structure import Rule, Struct

VERIFIERS = ("builtin://tiny-verifier", "builtin://smol-verifier")
"""Those inside the server image; a built-in model takes its own without being told."""


class VerifierName(StrEnum):
    """A verifier that lies nowhere."""

    SELF = "self"  # the model itself, read causally: only where an output predicts the next token
    NONE = "none"  # none, though a built-in model brings one


class Verifier(Struct):
    """The autoregressive model that adaptive parallel decoding checks its tokens with."""

    uri: Uri | None = Field(
        default=None,
        description="Where the verifying model lies: as `model.uri`, or `builtin://tiny-verifier` "
        "or `builtin://smol-verifier`. It is of Llama's or Qwen2's layout, has the model's own "
        "tokenizer, and is loaded in the model's number format. Left out: what `name` says.",
    )
    name: VerifierName | None = Field(
        default=None,
        description="Instead of `uri`: `self` reads the model itself causally (Dream's layout "
        "only, and no model whose context another network reads), `none` leaves out the one that a "
        "built-in model brings. Left out: `uri` says it.",
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Branch, tag or commit of an `hf://` verifier. Left out: as for "
        "`model.revision`.",
    )
    size: ModelSize | None = Field(
        default=None,
        description="Size of the verifier, as `model.size`; its `dtype` does not matter. Left out: "
        "read from a table of known models or, for `hf://`, from its config.json.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.uri) != has(self.name)",
            "model.verifier has either uri, for a verifying model, or name: self or none",
            lambda verifier: (verifier.uri is None) != (verifier.name is None),
        ),
        Rule(
            "!has(self.size) || has(self.uri)",
            "model.verifier.size belongs to model.verifier.uri: leave it out",
            lambda verifier: verifier.size is None or verifier.uri is not None,
            ".size",
        ),
        *address_rules("model.verifier", VERIFIERS, example="hf://Qwen/Qwen2.5-0.5B"),
    )

    @property
    def built_in(self) -> bool:
        return self.uri in VERIFIERS

    @property
    def apart(self) -> bool:
        """Whether its files have to be brought into the pod."""
        return self.uri is not None and not self.built_in
