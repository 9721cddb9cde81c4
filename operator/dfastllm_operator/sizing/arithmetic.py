"""The sums: bytes of weights, K/V cache and work on the device, and memory of the pod.

Pure numbers in, numbers out; `size` says which and puts them into words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dfastllm_operator.sizing.quantity import GI, MI
from dfastllm_operator.sizing.shape import BYTES, ModelShape

PAGE_TOKENS = 32
"""The server hands out K/V memory in pages of this many positions."""

CPU_KV_BYTES = GI
"""What the server keeps for K/V on a CPU, unless engine.kvCacheTokens says otherwise."""

GPU_RUNTIME_BYTES = GI
"""CUDA context, kernels and what the allocator cannot use."""

PROCESS_BYTES = GI
"""Python, torch and KServe's server on a CPU: 0.8Gi were measured with the built-in model."""

GPU_PROCESS_BYTES = 4 * GI
"""The same with CUDA's host libraries and the buffers that weights are read through."""

LOGIT_BYTES = 8
"""Per position and token: the logits in float32, and one pass over them of the same size."""

ACTIVATION_VECTORS = 16
"""Vectors of the model's width that are alive per position in a forward pass, at most."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much work a replica takes on; numbers are answers and tokens."""

    running: int
    model_len: int
    block_length: int
    step_tokens: int
    kv_cache_tokens: int | None
    memory_fraction: float


@dataclass(frozen=True, slots=True)
class Work:
    """Memory beside weights and K/V: `positions` are those that get logits in one step."""

    positions: int
    logits: int
    activations: int
    runtime: int

    @property
    def total(self) -> int:
        return self.logits + self.activations + self.runtime


def weights_bytes(shape: ModelShape, dtype: str) -> int:
    return shape.parameters * BYTES[dtype]


def kv_tokens(token_bytes: int, load: Load, *, gpu: bool) -> int:
    """Positions whose K/V are kept: every running answer at full length, or less if capped.

    `token_bytes` are those of one position, the verifier's among them: it keeps as many.
    """
    pages = -(-load.model_len // PAGE_TOKENS)
    most = load.running * pages * PAGE_TOKENS
    if load.kv_cache_tokens is not None:
        return min(load.kv_cache_tokens, most)
    if not gpu:
        return min(CPU_KV_BYTES // token_bytes, most)
    return most


def work(networks: Sequence[ModelShape], load: Load, dtype: str, *, gpu: bool) -> Work:
    """What a step needs: logits of the masked positions of all blocks, activations of all fed.

    A verifier's logits are compared with the model's; it is run after the model, not beside it.
    """
    positions = min(load.running * load.block_length, load.step_tokens)
    fed = min(load.step_tokens, load.running * load.model_len)
    width = max(shape.hidden_size for shape in networks)
    return Work(
        positions=positions,
        logits=positions * sum(shape.vocab_size for shape in networks) * LOGIT_BYTES,
        activations=fed * width * ACTIVATION_VECTORS * BYTES[dtype],
        runtime=GPU_RUNTIME_BYTES if gpu else 0,
    )


def device_bytes(needed: int, memory_fraction: float) -> int:
    """Memory of a GPU of which `needed` is the share that the server may use."""
    return -(-int(needed / memory_fraction) // MI) * MI


def pod_bytes(weights: int, kv: int, overhead: int, *, gpu: bool) -> int:
    """Memory of the pod: with a GPU the weights pass through it, without one all stays in it."""
    if gpu:
        return GPU_PROCESS_BYTES + weights
    return PROCESS_BYTES + weights + kv + overhead
