"""A tokenizer directory read into the `tokenizers` library, without running code from it.

`tokenizer.json` is taken as it is. Dream's checkpoints ship `vocab.json` and `merges.txt` with
Python of their own; what that code builds is Qwen2's byte-level BPE, so we build that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from dfastllm.chat_template import pick_template
from dfastllm.errors import CheckpointError
from dfastllm.models.config_fields import read_json

# How Qwen2 cuts text into words before merging (its tokenizer.json, field pre_tokenizer).
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2_CLASSES = ("Qwen2Tokenizer", "Qwen2TokenizerFast", "DreamTokenizer", "DreamTokenizerFast")
_TOKEN_FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
_SPECIAL_NAMES = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What a directory says. `add_bos` None leaves it to the tokenizer's own post-processor."""

    backend: Backend
    chat_template: str | None
    special_tokens: Mapping[str, str]
    add_bos: bool | None


def read_tokenizer(directory: Path) -> TokenizerFiles:
    """Raises CheckpointError when there is no tokenizer we can read, or a damaged one."""
    config_path = directory / "tokenizer_config.json"
    config = read_json(config_path) if config_path.is_file() else {}
    backend = _read_backend(directory, config)
    # A saved training set-up may cut or pad; a server must see every prompt whole.
    backend.no_truncation()
    backend.no_padding()
    add_bos = config.get("add_bos_token")
    return TokenizerFiles(
        backend=backend,
        chat_template=_read_template(directory, config),
        special_tokens=_special_tokens(directory, config),
        add_bos=add_bos if isinstance(add_bos, bool) else None,
    )


def _read_backend(directory: Path, config: Mapping[str, Any]) -> Backend:
    path = directory / "tokenizer.json"
    if path.is_file():
        try:
            backend = Backend.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise CheckpointError(f"{path} cannot be read: {error}") from error
    elif (directory / "vocab.json").is_file() and (directory / "merges.txt").is_file():
        backend = _qwen2_backend(directory, config)
    elif (directory / "tokenizer.model").is_file():
        raise CheckpointError(
            f"{directory} holds tokenizer.model only; save its tokenizer.json beside it"
        )
    else:
        raise CheckpointError(
            f"{directory} holds no tokenizer: neither tokenizer.json nor vocab.json and merges.txt"
        )
    _add_tokens(backend, _declared_tokens(directory, config))
    return backend


def _qwen2_backend(directory: Path, config: Mapping[str, Any]) -> Backend:
    name = config.get("tokenizer_class")
    if name is not None and name not in _QWEN2_CLASSES:
        raise CheckpointError(
            f"tokenizer_config.json: tokenizer_class is {name!r}; without tokenizer.json "
            f"supported are {', '.join(_QWEN2_CLASSES)} (code in the checkpoint is never executed)"
        )
    try:
        bpe = models.BPE.from_file(str(directory / "vocab.json"), str(directory / "merges.txt"))
    except Exception as error:  # as above
        raise CheckpointError(f"{directory}: vocab.json and merges.txt: {error}") from error
    backend = Backend(bpe)
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _declared_tokens(directory: Path, config: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Added tokens by id, from `tokenizer_config.json` or the older `added_tokens.json`."""
    declared: dict[int, AddedToken] = {}
    legacy = directory / "added_tokens.json"
    try:
        if legacy.is_file():
            for content, token_id in read_json(legacy).items():
                declared[int(token_id)] = AddedToken(content, normalized=False, special=True)
        for token_id, fields in (config.get("added_tokens_decoder") or {}).items():
            flags = {flag: bool(fields.get(flag, False)) for flag in _TOKEN_FLAGS}
            declared[int(token_id)] = AddedToken(fields["content"], **flags)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{directory}: the added tokens cannot be read: {error}") from error
    return declared


def _add_tokens(backend: Backend, declared: Mapping[int, AddedToken]) -> None:
    """Add what the vocabulary lacks, in the order of the ids: the library numbers upwards."""
    present = {token.content for token in backend.get_added_tokens_decoder().values()}
    for token_id, token in sorted(declared.items()):
        if token.content not in present:
            (backend.add_special_tokens if token.special else backend.add_tokens)([token])
        found = backend.token_to_id(token.content)
        if found != token_id:
            raise CheckpointError(
                f"tokenizer_config.json gives {token.content!r} the id {token_id}, the "
                f"vocabulary gives it {found}"
            )


def _read_template(directory: Path, config: Mapping[str, Any]) -> str | None:
    path = directory / "chat_template.jinja"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error
    return pick_template(config.get("chat_template"))


def _special_tokens(directory: Path, config: Mapping[str, Any]) -> dict[str, str]:
    path = directory / "special_tokens_map.json"
    values = (read_json(path) if path.is_file() else {}) | dict(config)
    found = {}
    for name in _SPECIAL_NAMES:
        value = values.get(name)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            found[name] = content
    return found
