"""Weights from safetensors into our fused parameters, one tensor at a time.

All headers are read and checked first, so a wrong checkpoint is refused before memory is taken.
Then every published tensor is copied into its rows of a preallocated parameter, converted on the
way: the peak is the model plus one tensor. Pickles are never opened.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dfastllm.errors import CheckpointError
from dfastllm.models.config_fields import read_json
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.weights import WeightMap, weight_map

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), of the checkpoint as stored."""

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_SHOWN = 5  # names in a message before it counts the rest


@dataclass(frozen=True, slots=True)
class _Stored:
    """One tensor as a file's header announces it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def n_bytes(self) -> int:
        return prod(self.shape) * _DTYPES[self.dtype].itemsize


def load_weights(
    directory: Path,
    spec: NetworkSpec,
    dtype: torch.dtype,
    device: torch.device | str,
    progress: Progress | None = None,
) -> dict[str, Tensor]:
    """Our parameters by name (see `weights.py`), in `dtype` on `device`.

    Raises CheckpointError for files that are missing, damaged or pickled, and for tensors that are
    missing, surplus, of another shape or quantised.
    """
    names = weight_map(spec)
    stored = _read_headers(_weight_files(directory))
    _check(names, stored)
    parameters = {
        name: torch.empty(shape, dtype=dtype, device=device)
        for name, shape in names.parameters.items()
    }
    total = sum(tensor.n_bytes for tensor in stored.values())
    done = 0
    for name, tensor in _stream(stored, last=names.head_copies):
        if name in names.head_copies:
            _check_head_copy(name, tensor, parameters["embed.weight"])
        else:
            place = names.placements[name]
            parameters[place.parameter][place.start : place.start + place.shape[0]].copy_(tensor)
        done += stored[name].n_bytes
        if progress is not None:
            progress(done, total)
    return parameters


def stored_dtype(directory: Path) -> torch.dtype:
    """The dtype most of the weights are stored in, for `dtype: auto`.

    Raises CheckpointError as `load_weights` does for the files.
    """
    sizes: dict[str, int] = {}
    for tensor in _read_headers(_weight_files(directory)).values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.n_bytes
    return _DTYPES[max(sizes, key=lambda name: sizes[name])] if sizes else torch.float32


def _weight_files(directory: Path) -> list[Path]:
    if (directory / _INDEX).is_file():
        return _indexed_files(directory)
    if (directory / _SINGLE).is_file():
        return [directory / _SINGLE]
    others = sorted(path.name for path in directory.glob("*.safetensors"))
    if others:
        raise CheckpointError(
            f"{directory}: {_listed(others)} without {_INDEX}; a single file is called {_SINGLE}"
        )
    pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
    if pickles:
        raise CheckpointError(
            f"{directory} holds pickled weights only ({_listed(pickles)}); unpickling can run any "
            "code, so only safetensors are loaded: convert the checkpoint first"
        )
    raise CheckpointError(f"{directory} holds neither {_SINGLE} nor {_INDEX}")


def _indexed_files(directory: Path) -> list[Path]:
    index = directory / _INDEX
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{index}: weight_map is missing or empty")
    names = sorted({str(name) for name in shards.values()})
    # A name that leaves the directory would read files nobody meant to serve.
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise CheckpointError(f"{index} names files outside its directory: {_listed(outside)}")
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index} names {len(names)} shards, but {_listed(missing)} does not exist"
        )
    return [directory / name for name in names]


def _read_headers(files: list[Path]) -> dict[str, _Stored]:
    stored: dict[str, _Stored] = {}
    for file in files:
        with _opened(file) as handle:
            for name in handle.keys():  # noqa: SIM118 - the handle is no mapping
                if name in stored:
                    raise CheckpointError(f"{name} is in {stored[name].file.name} and {file.name}")
                header = handle.get_slice(name)
                dtype = str(header.get_dtype())
                if dtype not in _DTYPES:
                    raise CheckpointError(
                        f"{file}: {name} has dtype {dtype}; supported: {', '.join(_DTYPES)}"
                    )
                stored[name] = _Stored(file, tuple(header.get_shape()), dtype)
    return stored


def _check(names: WeightMap, stored: Mapping[str, _Stored]) -> None:
    problems = []
    if missing := [name for name in names.placements if name not in stored]:
        problems.append(f"{len(missing)} tensors are missing: {_listed(missing)}")
    known = {*names.placements, *names.head_copies}
    if surplus := [name for name in stored if name not in known]:
        problems.append(f"{len(surplus)} tensors are not part of this model: {_listed(surplus)}")
    head = names.parameters["embed.weight"]
    wanted = {name: place.shape for name, place in names.placements.items()}
    wanted |= dict.fromkeys(names.head_copies, head)
    wrong = [
        f"{name} is {list(stored[name].shape)}, config.json says {list(shape)}"
        for name, shape in wanted.items()
        if name in stored and stored[name].shape != shape
    ]
    if wrong:
        problems.append(f"{len(wrong)} tensors have another shape: {_listed(wrong)}")
    if problems:
        raise CheckpointError("the weights do not fit config.json: " + "; ".join(problems))


def _stream(stored: Mapping[str, _Stored], last: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor once, file by file; those in `last` after all others."""
    runs: dict[tuple[bool, Path], list[str]] = {}
    for name, tensor in stored.items():
        runs.setdefault((name in last, tensor.file), []).append(name)
    for key in sorted(runs):
        with _opened(key[1]) as handle:
            for name in runs[key]:
                yield name, handle.get_tensor(name)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A safetensors file on the CPU; whatever is wrong with it becomes a CheckpointError."""
    try:
        with safe_open(file, framework="pt", device="cpu") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged, truncated or no safetensors file: {error}{_pointer_hint(file)}"
        ) from error


def _pointer_hint(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            pointer = handle.read(24).startswith(b"version https://git-lfs")
    except OSError:
        return ""
    return " (it is a git-lfs pointer: run git lfs pull)" if pointer else ""


def _check_head_copy(name: str, tensor: Tensor, embedding: Tensor) -> None:
    if not torch.equal(tensor.to(embedding), embedding):
        raise CheckpointError(
            f"config.json ties the head to the embedding, but {name} differs from it"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
