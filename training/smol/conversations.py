"""Conversations as token ids: the format that the sampler writes and the trainer reads."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART_TOKENS = 8_000_000  # about 13 MB a part once compressed


class Kind(IntEnum):
    """Where a conversation comes from."""

    TEXT = 0  # the base made it up
    FACT = 1  # the base answered a checkable question, rightly
    TALK = 2  # written by hand: greetings, thanks, what this model is
    TASK = 3  # a program wrote it and can check it


@dataclass(frozen=True, slots=True)
class Conversations:
    """Rows of different length behind one another; each ends with the end-of-turn token."""

    tokens: NDArray[np.uint16]  # all rows
    ends: NDArray[np.int64]  # [N]
    starts: NDArray[np.int16]  # [N], where in its row the answer starts
    kinds: NDArray[np.int8]  # [N]

    def __len__(self) -> int:
        return len(self.ends)

    def row(self, at: int) -> NDArray[np.uint16]:
        """Return the tokens of one row."""
        begin = self.ends[at - 1] if at else 0
        return self.tokens[begin : self.ends[at]]

    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.ends, prepend=0)


def collect(rows: list[tuple[list[int], int, Kind]]) -> Conversations:
    """Lay rows of (tokens, answer start, kind) behind one another."""
    return Conversations(
        np.array([token for ids, _, _ in rows for token in ids], dtype=np.uint16),
        np.cumsum([len(ids) for ids, _, _ in rows], dtype=np.int64),
        np.array([start for _, start, _ in rows], dtype=np.int16),
        np.array([kind for _, _, kind in rows], dtype=np.int8),
    )


def join(parts: list[Conversations]) -> Conversations:
    """Put several sets behind one another."""
    shifts = np.cumsum([0, *(len(part.tokens) for part in parts[:-1])])
    return Conversations(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.ends + shift for part, shift in zip(parts, shifts, strict=True)]),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.kinds for part in parts]),
    )


def save(found: Conversations, path: Path) -> list[Path]:
    """Write `NAME.0.npz`, `NAME.1.npz`, … beside `path`, each small enough for any file store."""
    path.parent.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    first = 0
    while first < len(found):
        begin = int(found.ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(found.ends, begin + PART_TOKENS, "right")), first + 1)
        paths.append(path.with_name(f"{path.name}.{len(paths)}.npz"))
        np.savez_compressed(
            paths[-1],
            tokens=found.tokens[begin : found.ends[last - 1]],
            ends=found.ends[first:last] - begin,
            starts=found.starts[first:last],
            kinds=found.kinds[first:last],
        )
        first = last
    return paths


def load(paths: list[Path]) -> Conversations:
    """Read parts, or all parts of the given names, into memory."""
    files = [
        file
        for path in paths
        for file in ([path] if path.suffix == ".npz"
                     else sorted(path.parent.glob(f"{path.name}.*.npz")))
    ]  # fmt: skip
    if not files:
        raise FileNotFoundError(f"no conversations at {', '.join(map(str, paths))}")
    parts = []
    for file in files:
        with np.load(file) as held:
            arrays = {name: held[name] for name in ("tokens", "ends", "starts", "kinds")}
        parts.append(Conversations(**arrays))
    return join(parts)
