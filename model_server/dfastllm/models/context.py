"""The network that reads the context of a model which reads its blocks only.

It is a causal model in a folder of the checkpoint. The model attends to the keys and values that it
leaves, so both have as many layers and K/V heads, of the same size; and since both read one text,
their vocabularies and rotary positions are the same. Everything else may differ.
"""

from dataclasses import dataclass
from pathlib import Path

from dfastllm.errors import CheckpointError
from dfastllm.models.causal import load_causal, read_causal_spec
from dfastllm.models.config_fields import read_json
from dfastllm.models.context_fields import CONTEXT_MODEL
from dfastllm.models.source import is_download
from dfastllm.models.spec import ModelSpec, NetworkSpec
from dfastllm.models.transformer import Transformer

_SHARED = ("n_layers", "n_kv_heads", "head_dim", "vocab_size", "rope_theta")


@dataclass(frozen=True, slots=True)
class ContextNetwork:
    """The network, and the resolved folder that it was loaded from."""

    directory: Path
    network: Transformer[NetworkSpec]


def context_spec(directory: Path, spec: ModelSpec) -> tuple[Path, NetworkSpec] | None:
    """Where the context network of the checkpoint is, and what it is; None where there is none.

    Raises CheckpointError when it is missing, is no causal model or does not fit the model.
    """
    if spec.context_model is None:
        return None
    folder = directory / spec.context_model
    if not folder.is_dir():
        hint = "; of a hub repository no folders are fetched: serve it from a directory"
        raise _error(spec, f"but {folder} is no folder{hint if is_download(directory) else ''}")
    try:
        found = read_causal_spec(read_json(folder / "config.json"))
    except CheckpointError as error:
        raise _error(spec, f"which cannot read the context: {error}") from error
    for name in _SHARED:
        ours, theirs = getattr(spec, name), getattr(found, name)
        if ours != theirs:
            raise _error(spec, f"whose {name} is {theirs}; the model needs {ours}")
    return folder.resolve(), found


def load_context(directory: Path, model: Transformer) -> ContextNetwork | None:
    """The context network of the model of `directory`, in the model's number format, beside it.

    Raises CheckpointError as `context_spec` does, and for its weights.
    """
    found = context_spec(directory, model.spec)
    if found is None:
        return None
    folder, weight = found[0], model.embed.weight
    try:
        network = load_causal(folder, dtype=weight.dtype, device=weight.device)
    except CheckpointError as error:
        raise _error(model.spec, f"which cannot be loaded: {error}") from error
    return ContextNetwork(folder, network)


def _error(spec: ModelSpec, problem: str) -> CheckpointError:
    return CheckpointError(f"config.json: {CONTEXT_MODEL} is {spec.context_model!r}, {problem}")
