"""How a model reads its context, as its `config.json` says it."""

from pathlib import PurePosixPath

from dfastllm.models.config_fields import ConfigFields

CONTEXT_MODEL = "context_model"
_ATTENTION, _CAUSAL = "context_attention", "causal"


def causal_context(fields: ConfigFields) -> bool:
    """Whether a context position sees nothing right of itself."""
    return bool(fields.get(_ATTENTION) == _CAUSAL)


def context_model(fields: ConfigFields) -> str | None:
    """The folder of the network that reads the context, inside of the checkpoint; None for none.

    Raises CheckpointError for what is no plain name, and where the context is not read causally.
    """
    name = fields.get(CONTEXT_MODEL)
    if name is None:
        return None
    # A path that leaves the checkpoint would load what nobody meant to serve.
    if not isinstance(name, str) or name in ("", ".", "..") or PurePosixPath(name).name != name:
        raise fields.error(
            CONTEXT_MODEL, f"is {name!r}; the name of a folder inside the checkpoint is needed"
        )
    if not causal_context(fields):
        raise fields.error(
            CONTEXT_MODEL,
            f"is {name!r}, but {_ATTENTION} is {fields.get(_ATTENTION) or 'full'!r}: another "
            f"network can read the context only where {_ATTENTION} is {_CAUSAL!r}",
        )
    return name
