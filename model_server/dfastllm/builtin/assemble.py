"""A built-in model that ships as a difference, put together as a checkpoint like any other.

Its folder holds a `config.json` with a block `base` (the fields of `Base`), its difference and
small files. The base becomes a checkpoint of its own in Llama's layout, which is also a verifier,
and reads the context of a model whose configuration names a `context_model`. What both share is
stored once. Weights are stored in bfloat16.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfastllm.builtin.base import Base, find_base, open_gguf, read_config, read_tensors
from dfastllm.builtin.difference import EMBEDDING, apply
from dfastllm.builtin.store import kept
from dfastllm.builtin.vocabulary import TOKENIZER_CONFIG, write_tokenizer
from dfastllm.errors import CheckpointError

if TYPE_CHECKING:
    from gguf import GGUFReader

_FORMAT = 2  # raise it when the same inputs make other files
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_DIFFERENCE = "difference-*.safetensors"
_CONTEXT = "context_model"  # of a configuration: the folder that is to be the base
_UNUSED = (_DIFFERENCE, "MODEL_CARD.md")  # of a folder, in what is made from it
_EMBEDDING_FILE, _REST_FILE = (f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
_BIASES = ("q_proj", "k_proj", "v_proj")


def prepare_model(folder: Path, store: Path | None = None) -> Path:
    """The checkpoint of a built-in's folder, made now if it is not there; see `store.kept`.

    Raises CheckpointError when the base is missing or the difference does not fit it.
    """
    return _Made(_origin(folder)).model(folder, store)


def prepare_base(folder: Path, store: Path | None = None) -> Path:
    """The untouched base of that built-in as a checkpoint in Llama's layout."""
    return _Made(_origin(folder)).base(store)


def model_entry(folder: Path) -> str:
    """The name of that built-in's entry in a store: the folder's name, and a hash.

    The hash is of all that the checkpoint is made of, the same whatever the folder is called.
    """
    files = sorted(path for path in folder.iterdir() if path.name != "MODEL_CARD.md")
    contents = [f"{path.name} {_digest(path)}" for path in files if path.is_file()]
    return _entry(folder.name, _origin(folder).sha256, json.dumps(TOKENIZER_CONFIG), *contents)


def _origin(folder: Path) -> Base:
    return Base(**_read_config(folder)["base"])


@dataclass
class _Made:
    """What is made of one base. The file is read once, when something is missing."""

    origin: Base

    @cached_property
    def _reader(self) -> "GGUFReader":
        return open_gguf(find_base(self.origin))

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        return read_tensors(self._reader)

    def base(self, store: Path | None) -> Path:
        parts = (self.origin.sha256, json.dumps(TOKENIZER_CONFIG))
        return kept(_entry(self.origin.package, *parts), self._write_base, store)

    def model(self, folder: Path, store: Path | None) -> Path:
        return kept(model_entry(folder), partial(self._write_model, folder), store)

    def _write_base(self, directory: Path) -> None:
        write_tokenizer(self._reader, directory)
        _write_json(directory / "config.json", read_config(self._reader))
        _write_weights(directory, self._tensors)

    def _write_model(self, folder: Path, directory: Path) -> None:
        base = self.base(directory.parent)
        difference = _read_difference(folder)
        config = _read_config(folder)
        tensors = _merged(self._tensors, difference, config)
        same = not any(name.startswith(EMBEDDING) for name in difference)
        _write_weights(directory, tensors, shared=base if same else None)
        for path in folder.iterdir():
            if path.is_file() and not any(path.match(pattern) for pattern in _UNUSED):
                shutil.copyfile(path, directory / path.name)
        for name in _TOKENIZER:
            if not (directory / name).exists():
                _link(directory / name, base / name)
        if _CONTEXT in config:
            _link(directory / config[_CONTEXT], base)


def _merged(
    base: Mapping[str, Tensor], difference: Mapping[str, Tensor], config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The base's tensors with the difference, of as many layers as the model has."""
    n_layers = config["num_hidden_layers"]
    taken = {name: t for name, t in base.items() if _layer(name) < n_layers}
    try:
        tensors = apply(taken, difference)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"the difference does not fit the base: {error}") from error
    if config["architectures"] == ["DreamModel"]:  # this layout has biases; Llama has none
        for i in range(n_layers):
            for part in _BIASES:
                prefix = f"model.layers.{i}.self_attn.{part}"
                tensors[f"{prefix}.bias"] = torch.zeros(len(tensors[f"{prefix}.weight"]))
    return tensors


def _layer(name: str) -> int:
    """The layer a tensor belongs to; -1 for those that belong to none."""
    return int(name.split(".")[2]) if name.startswith("model.layers.") else -1


def _read_difference(folder: Path) -> dict[str, Tensor]:
    paths = sorted(folder.glob(_DIFFERENCE))
    if not paths:
        raise CheckpointError(f"the built-in model {folder.name} has no weights")
    return {name: tensor for path in paths for name, tensor in load_file(path).items()}


def _write_weights(
    directory: Path, tensors: Mapping[str, Tensor], shared: Path | None = None
) -> None:
    """Two files and their index: the embedding, which `shared` may hold already, and the rest."""
    files = {n: _EMBEDDING_FILE if n.startswith(EMBEDDING) else _REST_FILE for n in tensors}
    for file in (_EMBEDDING_FILE, _REST_FILE):
        if file == _EMBEDDING_FILE and shared is not None:
            _link(directory / file, shared / file)
            continue
        halves = {n: t.bfloat16().contiguous() for n, t in tensors.items() if files[n] == file}
        save_file(halves, directory / file, metadata={"format": "pt"})
        (directory / file).chmod(0o644)  # the library keeps it to whoever wrote it
    total = sum(tensor.numel() for tensor in tensors.values()) * torch.bfloat16.itemsize
    index = {"metadata": {"total_size": total}, "weight_map": files}
    _write_json(directory / "model.safetensors.index.json", index)


def _link(link: Path, target: Path) -> None:
    """Relative, so that a store can be moved; `target` is of another entry, or is one."""
    store = link.parent.parent
    link.symlink_to(Path("..") / target.relative_to(store))


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _entry(name: str, *parts: str) -> str:
    whole = "\n".join((str(_FORMAT), *parts))
    return f"{name}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
