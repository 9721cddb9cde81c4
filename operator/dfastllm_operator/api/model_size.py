"""How large a model is, where the operator cannot look."""

from enum import StrEnum

from pydantic import Field

from dfastllm_operator.api.quantity import ParameterCount, parameters
from dfastllm_operator.api.structure import Struct


class WeightsDtype(StrEnum):
    """Number format in which the weights lie on disk."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class ModelSize(Struct):
    """What the resources are computed from when the operator cannot look into the checkpoint."""

    parameters: ParameterCount = Field(
        description="Number of parameters, as an integer or with K, M, B or T: `8B`, `135M`."
    )
    layers: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Number of transformer layers. Left out: estimated from the parameters.",
    )
    kv_heads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Number of key/value heads of a layer. Left out: estimated from the "
        "parameters.",
    )
    head_dim: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Size of an attention head. Left out: estimated from the parameters.",
    )
    vocab_size: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Number of tokens in the vocabulary, for the size of the logits. Left out: "
        "the largest of the published models is assumed.",
    )
    dtype: WeightsDtype = Field(
        default=WeightsDtype.BFLOAT16, description="Number format of the weights in the checkpoint."
    )

    @property
    def parameter_count(self) -> int:
        return parameters(self.parameters)
