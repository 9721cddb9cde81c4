"""K/V memory in pages of one block, handed out whole and accounted exactly.

A row gets the pages of its whole length at admission, since a canvas of masks exists from the
first step. Position p of a row lives in slot `pages[p // PAGE] * PAGE + p % PAGE` of every layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

PAGE_TOKENS = 32


class KVPool:
    """Keys and values of all layers: two tensors of [n_layers, n_slots, n_kv_heads, head_dim].

    On a GPU the memory is taken at construction, so that nothing else grows into it; on a CPU on
    first use, since many a server never caches.
    """

    def __init__(
        self,
        *,
        n_layers: int,
        n_pages: int,
        n_kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ):
        self.n_pages = n_pages
        self._shape = (n_layers, n_pages * PAGE_TOKENS, n_kv_heads, head_dim)
        self._dtype, self._device = dtype, device
        self._storage = self._allocate() if device.type == "cuda" else None
        self._free = list(range(n_pages - 1, -1, -1))

    @property
    def used_pages(self) -> int:
        return self.n_pages - len(self._free)

    @property
    def page_bytes(self) -> int:
        """Bytes of one page over all layers, keys and values."""
        n_layers, _, n_kv_heads, head_dim = self._shape
        return 2 * n_layers * PAGE_TOKENS * n_kv_heads * head_dim * self._dtype.itemsize

    @staticmethod
    def pages_for(n_tokens: int) -> int:
        return -(-n_tokens // PAGE_TOKENS)

    def take(self, n_pages: int) -> tuple[int, ...] | None:
        """Pages for one row, or None when not enough are free."""
        if n_pages > len(self._free):
            return None
        return tuple(self._free.pop() for _ in range(n_pages))

    def give_back(self, pages: Sequence[int]) -> None:
        self._free.extend(pages)

    def layer(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of one layer, each [n_slots, n_kv_heads, head_dim]."""
        if self._storage is None:
            self._storage = self._allocate()
        keys, values = self._storage
        return keys[index], values[index]

    def _allocate(self) -> tuple[torch.Tensor, torch.Tensor]:
        keys = torch.empty(self._shape, dtype=self._dtype, device=self._device)
        return keys, torch.empty_like(keys)


@dataclass(slots=True)
class RowKV:
    """One row's part of a pool: its pages, and how many of its positions have final K/V there.

    These are the first `kept`; what lies behind them is of masks or of tokens that were refused.
    """

    pages: tuple[int, ...] = ()
    kept: int = 0

    def crop(self, length: int) -> None:
        """Forget what lies right of the row's `length` tokens: draft that was not accepted.

        Nothing else is cut when all of it was: its last token was never fed, and is the first of
        the next feed.
        """
        self.kept = min(self.kept, length)


def slots(pages: Sequence[int], start: int, end: int) -> np.ndarray:
    """Slots of positions [start, end) of the row that owns `pages`; int64 [end - start]."""
    positions = np.arange(start, end)
    table = np.asarray(pages, dtype=np.int64)
    return table[positions // PAGE_TOKENS] * PAGE_TOKENS + positions % PAGE_TOKENS
