"""How large a replica of a spec is, with the arithmetic in words."""

from dataclasses import dataclass, replace

from dfastllm_operator.api import Spec
from dfastllm_operator.api.model import Dtype, Model
from dfastllm_operator.api.quantity import amount
from dfastllm_operator.api.verifier import Verifier, VerifierName
from dfastllm_operator.conditions import Reason
from dfastllm_operator.core import Json
from dfastllm_operator.errors import Refuse
from dfastllm_operator.sizing import arithmetic
from dfastllm_operator.sizing.arithmetic import Load
from dfastllm_operator.sizing.explain import (
    Sums,
    explain,
    kv_words,
    short,
    weights_words,
    work_words,
)
from dfastllm_operator.sizing.hub_config import HubConfig
from dfastllm_operator.sizing.known import is_context, known_shape, verifier_of
from dfastllm_operator.sizing.quantity import shown
from dfastllm_operator.sizing.shape import ASSUMED_POSITIONS, BYTES, ModelShape, estimated

DEFAULT_BLOCK_LENGTH = 32
"""What the server decodes in when neither the spec nor the model says a block length."""

DEFAULT_LOOKAHEAD = 128
"""The longest draft that the server makes when neither says one."""

BUILTIN_LOOKAHEAD = 64
"""The longest that a built-in model says, in its defaults or a preset; a test compares."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Sizes in bytes.

    `weights` (the verifier's among them, which are `verifier`), `kv_cache` and `overhead` lie on
    the device that computes; `pod_memory` is what the pod needs beside it. All are 0 when a size is
    not known and the spec names the resources itself. `source` says where the shape of the model
    is from.
    """

    source: str
    explanation: str
    gpu: bool
    parameters: int = 0
    dtype: str = ""
    weights: int = 0
    verifier: int = 0
    kv_cache: int = 0
    overhead: int = 0
    pod_memory: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.overhead

    def to_status(self) -> Json:
        status: Json = {"source": self.source, "explanation": self.explanation}
        if self.parameters:
            status |= {
                "parameters": short(self.parameters),
                "dtype": self.dtype,
                "weights": shown(self.weights),
                **({"verifier": shown(self.verifier)} if self.verifier else {}),
                "kvCache": shown(self.kv_cache),
                "overhead": shown(self.overhead),
                "total": shown(self.total),
            }
        return status


def size(spec: Spec, hub: HubConfig | None, verifier_hub: HubConfig | None = None) -> Sizing:
    """The size of one replica of `spec`; the hub's answers are for the model and its verifier.

    Raises Refuse("SizeUnknown") when nothing says how large one of them is, and
    Refuse("DoesNotFit") when `resources.gpu.memory` cannot hold them.
    """
    gpu = uses_gpu(spec)
    shape, source = _shape(spec.model, hub)
    if shape is None:
        return _as_the_spec_says(spec, spec.model, gpu=gpu)
    verifier = verifier_of(spec.model)
    itself = verifier is not None and verifier.name is VerifierName.SELF
    verifying = shape if itself else None
    if verifier is not None and not itself:
        verifying, _ = _shape(verifier, verifier_hub)
        if verifying is None:
            return _as_the_spec_says(spec, verifier, gpu=gpu)
    load = _load(spec, shape, verifies=verifier is not None)
    dtype = _dtype(spec, shape, gpu=gpu)
    shared = verifier is not None and is_context(verifier, shape)
    sums = Sums(shape, verifying, itself, shared, source, dtype, load, gpu)
    _check_fit(spec, sums)
    return Sizing(
        source=source,
        explanation=explain(sums),
        gpu=gpu,
        parameters=shape.parameters,
        dtype=dtype,
        weights=sums.weights,
        verifier=sums.verifier_weights,
        kv_cache=sums.kv,
        overhead=sums.work.total,
        pod_memory=arithmetic.pod_bytes(sums.weights, sums.kv, sums.work.total, gpu=gpu),
    )


def uses_gpu(spec: Spec) -> bool:
    """Whether a replica gets a GPU: as the spec says, else unless the model is built in."""
    gpu = spec.resources.gpu
    if gpu is None or gpu.count is None:
        return not spec.model.built_in
    return gpu.count > 0


def _shape(at: Model | Verifier, hub: HubConfig | None) -> tuple[ModelShape | None, str]:
    said = at.size
    known = known_shape(at.uri or "")
    if said is not None:
        shape = estimated(
            said.parameter_count,
            layers=said.layers,
            kv_heads=said.kv_heads,
            head_dim=said.head_dim,
            vocab_size=said.vocab_size,
            dtype=said.dtype.value,
        )
        # What is said is the model's own size: a reader of its context is there all the same.
        return replace(shape, context=known and known.context), "model.size"
    if known is not None:
        return known, "built-in model" if at.built_in else "table of known models"
    if hub is not None:
        return hub.shape, f"config.json of {hub.repository}"
    return None, ""


def _as_the_spec_says(spec: Spec, unknown: Model | Verifier, *, gpu: bool) -> Sizing:
    """Without the size of `unknown`: the spec names the memory itself, or all stops here."""
    verifies = unknown is not spec.model
    what = "verifier" if verifies else "model"
    if "memory" in spec.resources.requests:
        return Sizing(
            source="resources",
            explanation=f"the size of the {what} is not known; resources are as the spec says",
            gpu=gpu,
        )
    raise Refuse(Reason.SIZE_UNKNOWN, _unknown(unknown, what))


def _dtype(spec: Spec, shape: ModelShape, *, gpu: bool) -> str:
    """As the server chooses; on a CPU the larger of what it may, by what the processor can."""
    if spec.engine.dtype != Dtype.AUTO:
        return spec.engine.dtype.value
    return shape.dtype if gpu else "float32"


def _load(spec: Spec, shape: ModelShape, *, verifies: bool) -> Load:
    """With a verifier a step may be one of strategy apd, where a whole draft gets logits."""
    engine, decoding = spec.engine, spec.decoding
    block = decoding.block_length or DEFAULT_BLOCK_LENGTH
    draft = decoding.lookahead or (BUILTIN_LOOKAHEAD if spec.model.built_in else DEFAULT_LOOKAHEAD)
    return Load(
        running=engine.max_running_requests,
        model_len=engine.max_model_len or shape.max_position or ASSUMED_POSITIONS,
        block_length=max(block, draft if verifies else 0),
        step_tokens=engine.max_step_tokens,
        kv_cache_tokens=engine.kv_cache_tokens,
        memory_fraction=engine.memory_fraction,
    )


def _unknown(at: Model | Verifier, what: str) -> str:
    tried = (
        f"the config.json of {at.uri} could not be read"
        if (at.uri or "").startswith("hf://")
        else f"{at.uri} cannot be looked into"
    )
    field = "spec.model.size" if what == "model" else f"spec.model.{what}.size"
    return (
        f"the size of the {what} is not known: {tried}. Set {field}.parameters, for example "
        "8B, and if you know them layers, kvHeads, headDim and dtype; or set "
        "spec.resources.requests.memory and spec.resources.gpu yourself."
    )


def _check_fit(spec: Spec, sums: Sums) -> None:
    """Refuse what cannot start. K/V memory that nobody asked for by number may be less."""
    offered = spec.resources.gpu.memory if spec.resources.gpu is not None else None
    if not sums.gpu or offered is None:
        return
    fixed_kv = sums.kv if sums.load.kv_cache_tokens is not None else 0
    needed = sums.weights + sums.work.total + fixed_kv
    usable = int(amount(offered) * 1000) * sums.load.memory_fraction / 1000
    if needed <= usable:
        return
    least = shown(arithmetic.device_bytes(needed, sums.load.memory_fraction))
    ways = [f"ask for a GPU of at least {least}", "lower engine.maxStepTokens"]
    if fixed_kv:
        ways.append("lower engine.kvCacheTokens")
    if BYTES[sums.dtype] > 2:
        ways.append("set engine.dtype to bfloat16")
    raise Refuse(
        Reason.DOES_NOT_FIT,
        f"spec.resources.gpu.memory is {offered}, of which engine.memoryFraction "
        f"{sums.load.memory_fraction:g} leaves {shown(int(usable))}, but a replica needs "
        f"{shown(needed)}: {weights_words(sums)}; {work_words(sums)}"
        + (f"; {kv_words(sums)}" if fixed_kv else "")
        + f". Some of this helps: {', '.join(ways)}.",
    )
