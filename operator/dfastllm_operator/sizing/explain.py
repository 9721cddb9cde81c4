"""The arithmetic of a size in words, for status and for refusals."""

from dataclasses import dataclass

from dfastllm_operator.sizing import arithmetic
from dfastllm_operator.sizing.arithmetic import Load, Work
from dfastllm_operator.sizing.quantity import shown
from dfastllm_operator.sizing.shape import BYTES, ModelShape


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything the words are made of.

    `verifies_itself`: the verifier is the model, whose weights are there once. `reads_context`: it
    is the network that reads the model's context, whose K/V are there once.
    """

    shape: ModelShape
    verifier: ModelShape | None
    verifies_itself: bool
    reads_context: bool
    source: str
    dtype: str
    load: Load
    gpu: bool

    @property
    def networks(self) -> list[ModelShape]:
        """Those that give logits."""
        return [self.shape] if self.verifier is None else [self.shape, self.verifier]

    @property
    def memories(self) -> list[ModelShape]:
        """Those with K/V of their own."""
        return [self.shape] if self.reads_context else self.networks

    @property
    def context_weights(self) -> int:
        """Of a network that reads the context and does nothing else."""
        if self.shape.context is None or self.reads_context:
            return 0
        return arithmetic.weights_bytes(self.shape.context, self.dtype)

    @property
    def verifier_weights(self) -> int:
        if self.verifier is None or self.verifies_itself:
            return 0
        return arithmetic.weights_bytes(self.verifier, self.dtype)

    @property
    def weights(self) -> int:
        own = arithmetic.weights_bytes(self.shape, self.dtype)
        return own + self.context_weights + self.verifier_weights

    @property
    def token_bytes(self) -> int:
        return sum(shape.kv_bytes_per_token(self.dtype) for shape in self.memories)

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
    own = sums.weights - sums.verifier_weights - sums.context_weights
    each = f"x {BYTES[sums.dtype]} bytes"
    words = [f"weights {short(sums.shape.parameters)} {each} ({sums.dtype}) = {shown(own)}"]
    if sums.shape.context is not None and sums.context_weights:
        parameters = short(sums.shape.context.parameters)
        words.append(f"reader of the context {parameters} {each} = {shown(sums.context_weights)}")
    if sums.verifier is not None and sums.verifier_weights:
        name = "verifier and reader of the context" if sums.reads_context else "verifier"
        parameters = short(sums.verifier.parameters)
        words.append(f"{name} {parameters} {each} = {shown(sums.verifier_weights)}")
    return "; ".join(words)


def kv_words(sums: Sums) -> str:
    load = sums.load
    held = f"K/V {sums.kv_tokens} tokens"
    if sums.kv_tokens >= load.running * load.model_len:
        held += f" ({load.running} answers of {load.model_len})"
    of_each = " + ".join(shown(shape.kv_bytes_per_token(sums.dtype)) for shape in sums.memories)
    each = of_each if len(sums.memories) == 1 else f"({of_each} of the verifier)"
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
