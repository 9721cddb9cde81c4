"""Tokens to text one at a time: everything handed out is final, and all of it equals the decode.

Two kinds of vocabulary need two ways. Byte-level tokens are bytes, so an incremental UTF-8 decoder
is exact and needs no window. Pieces (sentencepiece-like, with byte fallback) are decoded next to
the last piece before them, which is the bounded window that tells a leading space from none.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from typing import Protocol

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Detokenizer(Protocol):
    """Turns one answer's tokens into text; one object per answer."""

    def push(self, token_id: int) -> str:
        """Text that has become final with this token, possibly none."""

    def flush(self) -> str:
        """What is left when no token follows; half a character becomes U+FFFD."""


class ByteDetokenizer:
    """For byte-level vocabularies. `token_bytes` gives b"" for tokens that are not shown."""

    def __init__(self, token_bytes: Callable[[int], bytes]):
        self._token_bytes = token_bytes
        # "replace" puts one U+FFFD per maximal broken part, as the tokenizers library does.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        return self._decoder.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class PieceDetokenizer:
    """For vocabularies of pieces.

    `piece` gives the vocabulary's string of a token, None for tokens that are not shown. A run of
    byte pieces stays open until another piece ends it: whether it is text or all U+FFFD depends on
    the whole run.
    """

    def __init__(self, piece: Callable[[int], str | None], decode: Callable[[Sequence[int]], str]):
        self._piece = piece
        self._decode = decode
        self._context: list[int] = []  # the last piece already handed out, if any
        self._context_text = ""
        self._pending: list[int] = []

    def push(self, token_id: int) -> str:
        piece = self._piece(token_id)
        if piece is None:
            return ""
        self._pending.append(token_id)
        return "" if byte_of(piece) is not None else self.flush()

    def flush(self) -> str:
        if not self._pending:
            return ""
        text = self._decode(self._context + self._pending)[len(self._context_text) :]
        self._context = self._pending[-1:]
        self._context_text = self._decode(self._context)
        self._pending = []
        return text


def byte_of(piece: str) -> int | None:
    """The byte that a byte-fallback piece such as `<0xE4>` stands for; None for any other piece."""
    match = _BYTE_PIECE.fullmatch(piece)
    return int(match[1], 16) if match else None


def byte_level_alphabet() -> dict[str, int]:
    """The printable character that byte-level BPE writes for each byte, inverted.

    Printable Latin-1 stands for itself; the other bytes are numbered upwards from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(rest)}
