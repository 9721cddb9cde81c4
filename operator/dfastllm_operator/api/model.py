"""`spec.model`: which checkpoint is served, where it lies and how large it is."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from dfastllm_operator.api.address import WITH_SECRET, Uri, address_rules
from dfastllm_operator.api.model_size import ModelSize
from dfastllm_operator.api.names import NameRef
from dfastllm_operator.api.structure import Rule, Struct, matches
from dfastllm_operator.api.verifier import Verifier, VerifierName

BUILTINS = ("builtin://smol", "builtin://tiny")
"""The models inside the server image. Each brings a verifier."""


class ModelFormat(StrEnum):
    """What a checkpoint is announced as to KServe; the server recognises the family itself."""

    DFASTLLM = "dfastllm"  # any family the server knows
    LLADA = "llada"
    DREAM = "dream"


class Dtype(StrEnum):
    """Number format of the weights."""

    AUTO = "auto"  # the checkpoint's own on a GPU
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Model(Struct):
    """Which model is served."""

    uri: Uri = Field(
        description="Where the model lies: `hf://OWNER/NAME` (Hugging Face hub), "
        "`pvc://CLAIM/PATH` (a volume of this namespace), `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, "
        "`oci://REGISTRY/NAME:TAG` (an image), `https://HOST/FILE.tar.gz`, or a model inside the "
        "server image: `builtin://smol` (English) or `builtin://tiny` (small exact tasks)."
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Branch, tag or commit of an `hf://` model; KServe takes none with a slash. "
        "Left out: the hub's default branch as it is when a pod starts; name a commit so that all "
        "replicas serve the same.",
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        description="Name of the model for clients (`model` in OpenAI requests). After a canary "
        "that changes it, the 8 latest former names are answered to as well. Left out: the name of "
        "this object.",
    )
    format: ModelFormat = Field(
        default=ModelFormat.DFASTLLM,
        description="Model format that is announced to KServe; it changes nothing in the server, "
        "which recognises the model family from the checkpoint.",
    )
    storage_secret_ref: NameRef | None = Field(
        default=None,
        description="Secret with the credentials for an `hf://`, `s3://`, `gs://` or `https://` "
        "model, and for its verifier, in the form KServe expects (for hf the key HF_TOKEN). Left "
        "out: none.",
    )
    verifier: Verifier | None = Field(
        default=None,
        description="Autoregressive model for adaptive parallel decoding (strategy apd). Left out: "
        "the one that a built-in model brings, else none.",
    )
    size: ModelSize | None = Field(
        default=None,
        description="Size of the model, for computing GPU and memory. Left out: read from a table "
        "of known models or, for `hf://`, from the model's config.json.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        *address_rules("model", BUILTINS, example="hf://GSAI-ML/LLaDA-8B-Instruct"),
        Rule(
            f"!has(self.storageSecretRef) || self.uri.matches('{WITH_SECRET}') || "
            "(has(self.verifier) && has(self.verifier.uri) && "
            f"self.verifier.uri.matches('{WITH_SECRET}'))",
            "model.storageSecretRef is used for hf://, s3://, gs:// and https:// only; leave it "
            "out (images of oci:// are pulled with imagePullSecrets)",
            lambda model: (
                model.storage_secret_ref is None
                or matches(model.uri, WITH_SECRET)
                or matches(model.verifier_uri or "", WITH_SECRET)
            ),
            ".storageSecretRef",
        ),
        Rule(
            "!self.uri.startsWith('builtin://') || !has(self.verifier) || "
            "!has(self.verifier.name) || self.verifier.name != 'self'",
            "model.verifier.name self needs a model of Dream's layout that reads its context "
            "itself, which no built-in one is: leave model.verifier out for the one it brings",
            lambda model: not (model.built_in and model.verifies_itself),
            ".verifier.name",
        ),
    )

    @property
    def built_in(self) -> bool:
        return self.uri in BUILTINS

    @property
    def verifies_itself(self) -> bool:
        return self.verifier is not None and self.verifier.name is VerifierName.SELF

    @property
    def verifier_uri(self) -> str | None:
        """Where the verifier lies that the spec names."""
        return self.verifier.uri if self.verifier is not None else None

    @property
    def verifies(self) -> bool:
        """Whether there is a verifier, so that strategy `apd` can be had."""
        if self.verifier is None:
            return self.built_in
        return self.verifier.name is not VerifierName.NONE

    @property
    def scheme(self) -> str:
        return self.uri.partition("://")[0]
