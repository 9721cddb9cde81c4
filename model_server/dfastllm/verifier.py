"""The verifier of a model: which one, loaded, and refused unless it speaks the model's tokens."""

import logging
from collections.abc import Mapping
from pathlib import Path

from dfastllm.builtin.store import same_entry
from dfastllm.errors import CheckpointError
from dfastllm.models.causal import load_causal
from dfastllm.models.context import ContextNetwork
from dfastllm.models.source import ModelSource, resolve_model
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer
from dfastllm.tokenizer import Tokenizer
from dfastllm.tokenizer_files import read_tokenizer

NONE, SELF = "none", "self"
_BUILTIN = "builtin:"
_SHIPPED = Path(__file__).parent / "builtin"
_SHOWN = 3  # tokens in a message

_log = logging.getLogger(__name__)


def find_verifier(
    name: str | None,
    model_name: str,
    model: Transformer,
    tokenizer: Tokenizer,
    context: ContextNetwork | None = None,
) -> Transformer[NetworkSpec] | None:
    """The verifier called `name` in the model's own number format, on its device; None for none.

    Left out, it is the one that a built-in model brings, or else the network which reads the
    model's context, if any. This network is loaded once, whatever name it is asked for by. Raises
    CheckpointError when it cannot be found or loaded, or when its tokens are not the model's.
    """
    if name == NONE:
        return None
    if name == SELF:
        return _itself(model)
    found = _brought_by(model_name) if name is None else resolve_model(name)
    if context is not None and (found is None or same_entry(found.directory, context.directory)):
        _log.info("verifier: the network that reads the context")
        return context.network
    if found is None:
        return None
    check_tokens(f"verifier {found.name}", _tokens_of(found, tokenizer), tokenizer)
    weight = model.embed.weight
    verifier = load_causal(found.directory, dtype=weight.dtype, device=weight.device)
    _log.info("verifier %s: %d layers", found.name, verifier.spec.n_layers)
    return verifier


def _brought_by(model_name: str) -> ModelSource | None:
    """What stands beside a built-in model."""
    if not model_name.startswith(_BUILTIN):
        return None
    try:
        return resolve_model(f"{model_name}-verifier")
    except CheckpointError as error:
        _log.info("%s brings no verifier: %s", model_name, error)
        return None


def _tokens_of(found: ModelSource, tokenizer: Tokenizer) -> Mapping[str, int]:
    """Its token ids; one that ships beside its model may leave the tokenizer to that."""
    directory = found.tokenizer_directory
    if directory.parent == _SHIPPED and not (directory / "tokenizer.json").exists():
        return tokenizer.ids
    return read_tokenizer(directory).backend.get_vocab(True)


def check_tokens(name: str, theirs: Mapping[str, int], tokenizer: Tokenizer) -> None:
    """Raise CheckpointError unless both give the same ids to the same tokens.

    A token that only one of them has must be an added one: a mask, or a turn of another chat.
    """
    ours = tokenizer.ids
    other = [t for t, i in theirs.items() if t in ours and ours[t] != i]
    missing = [t for t in ours.keys() - theirs.keys() if t not in tokenizer.added_tokens]
    for problem, tokens in (("other ids for", other), ("no ids for", missing)):
        if tokens:
            shown = ", ".join(repr(t) for t in sorted(tokens)[:_SHOWN])
            raise CheckpointError(
                f"{name} has {problem} {len(tokens)} of the model's tokens ({shown}): "
                "it needs the model's own tokenizer"
            )


def _itself(model: Transformer) -> Transformer[NetworkSpec]:
    if model.spec.context_model is not None:
        raise CheckpointError(
            "verifier 'self' needs a model that reads its context itself; here another network "
            f"does ({model.spec.context_model}), which verifies where no verifier is named"
        )
    if not model.spec.shift_logits:
        raise CheckpointError(
            "verifier 'self' needs a model whose output at a position predicts the next one "
            f"(Dream); this one ({model.spec.family}) predicts the position itself"
        )
    return model
