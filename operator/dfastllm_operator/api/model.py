"""`spec.model`: which checkpoint is served, where it lies and how large it is."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.names import NameRef
from dfastllm_operator.api.quantity import ParameterCount, parameters
from dfastllm_operator.api.structure import Rule, Struct, matches

BUILTIN = "builtin://tiny"

_SCHEME = "^(hf|pvc|s3|gs|oci|https|builtin)://"
_HUB = "^hf://[^/:@]+/[^/:@]+$"
_CLAIM = "^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?$"
_BUCKET = "^(s3|gs)://[^/]+/.+$"
_IMAGE = "^oci://[^/]+/.+$"
_FILE = "^https://[^/]+/.+$"
_SECRET = "^(hf|s3|gs|https)://"


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


class WeightsDtype(StrEnum):
    """Number format in which the weights lie on disk."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


Uri = Annotated[str, StringConstraints(pattern="^[^ ]+$", min_length=1, max_length=1024)]


class Verifier(Struct):
    """The autoregressive model that adaptive parallel decoding checks its tokens with."""

    uri: Uri = Field(description="Where the verifying model lies. Not supported by this version.")


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


class Model(Struct):
    """Which model is served."""

    uri: Uri = Field(
        description="Where the model lies: `hf://OWNER/NAME` (Hugging Face hub), "
        "`pvc://CLAIM/PATH` (a volume of this namespace), `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, "
        "`oci://REGISTRY/NAME:TAG` (an image), `https://HOST/FILE.tar.gz`, or `builtin://tiny` "
        "(the small model inside the server image, for trying things out)."
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
        description="Name of the model for clients (`model` in OpenAI requests). Left out: the "
        "name of this object.",
    )
    format: ModelFormat = Field(
        default=ModelFormat.DFASTLLM,
        description="Model format that is announced to KServe; it changes nothing in the server, "
        "which recognises the model family from the checkpoint.",
    )
    storage_secret_ref: NameRef | None = Field(
        default=None,
        description="Secret with the credentials for an `hf://`, `s3://`, `gs://` or `https://` "
        "model, in the form KServe expects (for hf the key HF_TOKEN). Left out: none.",
    )
    verifier: Verifier | None = Field(
        default=None,
        description="Autoregressive model for adaptive parallel decoding (strategy apd). Not "
        "mounted by this version; leave it out.",
    )
    size: ModelSize | None = Field(
        default=None,
        description="Size of the model, for computing GPU and memory. Left out: read from a table "
        "of known models or, for `hf://`, from the model's config.json.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.uri.matches('{_SCHEME}')",
            "model.uri must begin with hf://, pvc://, s3://, gs://, oci://, https:// or "
            "builtin://, for example hf://GSAI-ML/LLaDA-8B-Instruct",
            lambda model: matches(model.uri, _SCHEME),
            ".uri",
        ),
        Rule(
            f"!self.uri.startsWith('builtin://') || self.uri == '{BUILTIN}'",
            f"the only built-in model is {BUILTIN}",
            lambda model: not model.uri.startswith("builtin://") or model.uri == BUILTIN,
            ".uri",
        ),
        Rule(
            f"!self.uri.startsWith('hf://') || self.uri.matches('{_HUB}')",
            "write hf://OWNER/NAME; a branch, tag or commit goes into model.revision",
            lambda model: not model.uri.startswith("hf://") or matches(model.uri, _HUB),
            ".uri",
        ),
        Rule(
            f"!self.uri.startsWith('pvc://') || self.uri.matches('{_CLAIM}')",
            "write pvc://CLAIM/PATH, CLAIM being a PersistentVolumeClaim of this namespace",
            lambda model: not model.uri.startswith("pvc://") or matches(model.uri, _CLAIM),
            ".uri",
        ),
        Rule(
            f"!self.uri.matches('^(s3|gs)://') || self.uri.matches('{_BUCKET}')",
            "write s3://BUCKET/PATH or gs://BUCKET/PATH",
            lambda model: not matches(model.uri, "^(s3|gs)://") or matches(model.uri, _BUCKET),
            ".uri",
        ),
        Rule(
            f"!self.uri.startsWith('oci://') || self.uri.matches('{_IMAGE}')",
            "write oci://REGISTRY/NAME:TAG or oci://REGISTRY/NAME@sha256:DIGEST",
            lambda model: not model.uri.startswith("oci://") or matches(model.uri, _IMAGE),
            ".uri",
        ),
        Rule(
            f"!self.uri.startsWith('https://') || self.uri.matches('{_FILE}')",
            "write https://HOST/PATH, PATH being a .tar.gz or .zip of the model's directory",
            lambda model: not model.uri.startswith("https://") or matches(model.uri, _FILE),
            ".uri",
        ),
        Rule(
            "!has(self.revision) || self.uri.startsWith('hf://')",
            "model.revision belongs to hf:// models; elsewhere the revision is part of the path "
            "or tag in model.uri",
            lambda model: model.revision is None or model.uri.startswith("hf://"),
            ".revision",
        ),
        Rule(
            f"!has(self.storageSecretRef) || self.uri.matches('{_SECRET}')",
            "model.storageSecretRef is used for hf://, s3://, gs:// and https:// only; leave it "
            "out (images of oci:// are pulled with imagePullSecrets)",
            lambda model: model.storage_secret_ref is None or matches(model.uri, _SECRET),
            ".storageSecretRef",
        ),
        Rule(
            "!has(self.verifier)",
            "model.verifier is not mounted by this version (0.1), so strategy apd needs a model "
            "that brings its own; leave it out",
            lambda model: model.verifier is None,
            ".verifier",
        ),
    )

    @property
    def built_in(self) -> bool:
        return self.uri == BUILTIN

    @property
    def scheme(self) -> str:
        return self.uri.partition("://")[0]
