"""The arithmetic of a size in words, for status and for refusals."""

from dataclasses import dataclass

from dfastllm_operator.sizing import arithmetic
from dfastllm_operator.sizing.arithmetic import Load, Work
from dfastllm_operator.sizing.quantity import shown
from dfastllm_operator.sizing.shape import BYTES, ModelShape


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything the words are made of.

    `verifies_itself`: the verifier is the model, whose weights are there once.
    """

    shape: ModelShape
    verifier: ModelShape | None
    verifies_itself: bool
    source: str
    dtype: str
    load: Load
    gpu: bool

    @property
    def networks(self) -> list[ModelShape]:
        return [self.shape] if self.verifier is None else [self.shape, self.verifier]

    @property
    def verifier_weights(self) -> int:
        if self.verifier is None or self.verifies_itself:
            return 0
        return arithmetic.weights_bytes(self.verifier, self.dtype)

    @property
    def weights(self) -> int:
        return arithmetic.weights_bytes(self.shape, self.dtype) + self.verifier_weights

    @property
    def token_bytes(self) -> int:
        return sum(shape.kv_bytes_per_token(self.dtype) for shape in self.networks)

    @property
    def kv_tokens(self) -> int:
        return arithmetic.kv_tokens(self.token_bytes, self.load, gpu=self.gpu)

    @property
    def work(self) -> Work:
        return arithmetic.work(self.networks, self.load, self.dtype, gpu=self.gpu)

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
    own = sums.weights - sums.verifier_weights
    each = f"x {BYTES[sums.dtype]} bytes"
    words = f"weights {short(sums.shape.parameters)} {each} ({sums.dtype}) = {shown(own)}"
    if sums.verifier is None or not sums.verifier_weights:
        return words
    verifier = f"verifier {short(sums.verifier.parameters)} {each} = {shown(sums.verifier_weights)}"
    return f"{words}; {verifier}"


def kv_words(sums: Sums) -> str:
    load = sums.load
    held = f"K/V {sums.kv_tokens} tokens"
    if sums.kv_tokens >= load.running * load.model_len:
        held += f" ({load.running} answers of {load.model_len})"
    of_each = " + ".join(shown(shape.kv_bytes_per_token(sums.dtype)) for shape in sums.networks)
    each = of_each if sums.verifier is None else f"({of_each} of the verifier)"
    return f"{held} x {each} = {shown(sums.kv)}"


def work_words(sums: Sums) -> str:
    work = sums.work
    widths = " + ".join(str(shape.vocab_size) for shape in sums.networks)
    vocabulary = widths if sums.verifier is None else f"({widths})"
    runtime = f" + runtime {shown(work.runtime)}" if work.runtime else ""
    return (
        f"overhead: logits {work.positions} positions x {vocabulary} tokens x "
        f"{arithmetic.LOGIT_BYTES} bytes = {shown(work.logits)} + activations "
        f"{shown(work.activations)}{runtime} = {shown(work.total)}"
    )


def short(parameters: int) -> str:
    """`8.02B`, `7.08M`."""
    for unit, suffix in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.2f}".rstrip("0").rstrip(".") + suffix
    return str(parameters)
