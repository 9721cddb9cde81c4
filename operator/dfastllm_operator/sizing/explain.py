"""The arithmetic of a size in words, for status and for refusals."""

from dataclasses import dataclass

from dfastllm_operator.sizing import arithmetic
from dfastllm_operator.sizing.arithmetic import Load, Work
from dfastllm_operator.sizing.quantity import shown
from dfastllm_operator.sizing.shape import BYTES, ModelShape


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything the words are made of."""

    shape: ModelShape
    source: str
    dtype: str
    load: Load
    gpu: bool
    weights: int
    kv_tokens: int
    work: Work

    @property
    def token_bytes(self) -> int:
        return self.shape.kv_bytes_per_token(self.dtype)

    @property
    def kv(self) -> int:
        return self.kv_tokens * self.token_bytes


def explain(sums: Sums) -> str:
    """The whole arithmetic in one line."""
    total = sums.weights + sums.kv + sums.work.total
    parts = [weights_words(sums), kv_words(sums), work_words(sums)]
    if not sums.gpu:
        pod = arithmetic.pod_bytes(sums.weights, sums.kv, sums.work.total, gpu=False)
        parts.append(
            f"with {shown(arithmetic.PROCESS_BYTES)} for the process, {shown(pod)} in the pod"
        )
        return "; ".join(parts)
    device = arithmetic.device_bytes(total, sums.load.memory_fraction)
    parts.append(
        f"together {shown(total)} = {sums.load.memory_fraction:g} (engine.memoryFraction) of a GPU "
        f"of {shown(device)}"
    )
    if sums.load.kv_cache_tokens is None:
        parts.append("on a smaller one the K/V cache is smaller and fewer long answers run at once")
    parts.append(
        f"in the pod {shown(arithmetic.GPU_PROCESS_BYTES)} for the process and the weights once"
    )
    return "; ".join(parts)


def weights_words(sums: Sums) -> str:
    return (
        f"weights {short(sums.shape.parameters)} x {BYTES[sums.dtype]} bytes ({sums.dtype}) = "
        f"{shown(sums.weights)}"
    )


def kv_words(sums: Sums) -> str:
    load = sums.load
    held = f"K/V {sums.kv_tokens} tokens"
    if sums.kv_tokens >= load.running * load.model_len:
        held += f" ({load.running} answers of {load.model_len})"
    return f"{held} x {shown(sums.token_bytes)} = {shown(sums.kv)}"


def work_words(sums: Sums) -> str:
    work = sums.work
    runtime = f" + runtime {shown(work.runtime)}" if work.runtime else ""
    return (
        f"overhead: logits {work.positions} positions x {sums.shape.vocab_size} tokens x "
        f"{arithmetic.LOGIT_BYTES} bytes = {shown(work.logits)} + activations "
        f"{shown(work.activations)}{runtime} = {shown(work.total)}"
    )


def short(parameters: int) -> str:
    """`8.02B`, `7.08M`."""
    for unit, suffix in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.2f}".rstrip("0").rstrip(".") + suffix
    return str(parameters)
