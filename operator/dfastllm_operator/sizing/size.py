"""How large a replica of a spec is, with the arithmetic in words."""

from dataclasses import dataclass

from dfastllm_operator.api import Spec
from dfastllm_operator.api.model import Dtype
from dfastllm_operator.api.quantity import amount
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
from dfastllm_operator.sizing.known import known_shape
from dfastllm_operator.sizing.quantity import shown
from dfastllm_operator.sizing.shape import ASSUMED_POSITIONS, BYTES, ModelShape, estimated

DEFAULT_BLOCK_LENGTH = 32
"""What the server decodes in when neither the spec nor the model says a block length."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Sizes in bytes.

    `weights`, `kv_cache` and `overhead` lie on the device that computes; `pod_memory` is what the
    pod needs beside it. All are 0 when the size is not known and the spec names the resources
    itself. `source` says where the shape of the model is from.
    """

    source: str
    explanation: str
    gpu: bool
    parameters: int = 0
    dtype: str = ""
    weights: int = 0
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
                "kvCache": shown(self.kv_cache),
                "overhead": shown(self.overhead),
                "total": shown(self.total),
            }
        return status


def size(spec: Spec, hub: HubConfig | None) -> Sizing:
    """The size of one replica of `spec`.

    Raises Refuse("SizeUnknown") when nothing says how large the model is, and Refuse("DoesNotFit")
    when `resources.gpu.memory` cannot hold it.
    """
    gpu = uses_gpu(spec)
    shape, source = _shape(spec, hub)
    if shape is None:
        if "memory" in spec.resources.requests:
            return Sizing(
                source="resources",
                explanation="the size of the model is not known; resources are as the spec says",
                gpu=gpu,
            )
        raise Refuse(Reason.SIZE_UNKNOWN, _unknown(spec))
    dtype = _dtype(spec, shape, gpu=gpu)
    load = _load(spec, shape)
    weights = arithmetic.weights_bytes(shape, dtype)
    tokens = arithmetic.kv_tokens(shape, load, dtype, gpu=gpu)
    work = arithmetic.work(shape, load, dtype, gpu=gpu)
    sums = Sums(shape, source, dtype, load, gpu, weights, tokens, work)
    _check_fit(spec, sums)
    return Sizing(
        source=source,
        explanation=explain(sums),
        gpu=gpu,
        parameters=shape.parameters,
        dtype=dtype,
        weights=weights,
        kv_cache=sums.kv,
        overhead=work.total,
        pod_memory=arithmetic.pod_bytes(weights, sums.kv, work.total, gpu=gpu),
    )


def uses_gpu(spec: Spec) -> bool:
    """Whether a replica gets a GPU: as the spec says, else unless the model is built in."""
    gpu = spec.resources.gpu
    if gpu is None or gpu.count is None:
        return not spec.model.built_in
    return gpu.count > 0


def _shape(spec: Spec, hub: HubConfig | None) -> tuple[ModelShape | None, str]:
    said = spec.model.size
    if said is not None:
        shape = estimated(
            said.parameter_count,
            layers=said.layers,
            kv_heads=said.kv_heads,
            head_dim=said.head_dim,
            vocab_size=said.vocab_size,
            dtype=said.dtype.value,
        )
        return shape, "model.size"
    known = known_shape(spec)
    if known is not None:
        return known, "built-in model" if spec.model.built_in else "table of known models"
    if hub is not None:
        return hub.shape, f"config.json of {hub.repository}"
    return None, ""


def _dtype(spec: Spec, shape: ModelShape, *, gpu: bool) -> str:
    """As the server chooses: on a CPU float32, where half precision is slow."""
    if spec.engine.dtype != Dtype.AUTO:
        return spec.engine.dtype.value
    return shape.dtype if gpu else "float32"


def _load(spec: Spec, shape: ModelShape) -> Load:
    engine = spec.engine
    return Load(
        running=engine.max_running_requests,
        model_len=engine.max_model_len or shape.max_position or ASSUMED_POSITIONS,
        block_length=spec.decoding.block_length or DEFAULT_BLOCK_LENGTH,
        step_tokens=engine.max_step_tokens,
        kv_cache_tokens=engine.kv_cache_tokens,
        memory_fraction=engine.memory_fraction,
    )


def _unknown(spec: Spec) -> str:
    tried = (
        f"the config.json of {spec.model.uri} could not be read"
        if spec.model.scheme == "hf"
        else f"{spec.model.uri} cannot be looked into"
    )
    return (
        f"the size of the model is not known: {tried}. Set spec.model.size.parameters, for example "
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
