"""What a result is a result of: the checkpoint behind the name that a model was asked by."""

from pathlib import Path

from dfastllm.models.source import resolve_model

CAUSAL = "causal:"  # before the name of a model that writes one token at a time
REMOTE = ("http://", "https://")


def checkpoint_of(model: str) -> str | None:
    """The name of the directory that a model is read from; None of a server, which alone knows it.

    It ends in a hash of the contents where a built-in or a preview is put together, and is the
    commit of a hub repository. Through links, and without the path. Raises CheckpointError where
    there is no such model.
    """
    if model.startswith(REMOTE):
        return None
    name = model.removeprefix(CAUSAL)
    if model.startswith(CAUSAL) and not name.startswith("builtin:"):
        return Path(name).expanduser().resolve().name
    return resolve_model(name).directory.resolve().name
