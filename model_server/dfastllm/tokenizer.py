"""Text to ids and back for one model: the `TextCodec` of the HTTP layer.

Built on the `tokenizers` library and Jinja alone: importing both takes a tenth of the time that
transformers takes, and no code of a checkpoint can run.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from dfastllm.chat_template import ChatTemplate
from dfastllm.detokenize import (
    ByteDetokenizer,
    Detokenizer,
    PieceDetokenizer,
    byte_level_alphabet,
    byte_of,
)
from dfastllm.errors import InvalidRequest
from dfastllm.tokenizer_files import TokenizerFiles, read_tokenizer

_SPACE = "\u2581"  # what sentencepiece writes for a space


class Tokenizer:
    """A checkpoint's tokenizer. Thread-safe: nothing changes after construction.

    `vocab_size` is the model's (ids the tokenizer does not know decode to nothing), `mask_id` the
    model's mask token.
    """

    def __init__(self, files: TokenizerFiles, *, vocab_size: int, mask_id: int):
        self._backend = files.backend
        self._vocab_size, self._mask_id = vocab_size, mask_id
        self._template = (
            ChatTemplate(files.chat_template, files.special_tokens)
            if files.chat_template is not None
            else None
        )
        self._prefix = _prefix_ids(files)
        self._alphabet = byte_level_alphabet() if _is_byte_level(files.backend) else None
        self._special_ids = frozenset(
            token_id
            for token_id, token in files.backend.get_added_tokens_decoder().items()
            if token.special
        )

    @classmethod
    def load(cls, directory: Path, *, vocab_size: int, mask_id: int) -> "Tokenizer":
        """Raises CheckpointError when the directory holds no tokenizer we can read."""
        return cls(read_tokenizer(directory), vocab_size=vocab_size, mask_id=mask_id)

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def mask_id(self) -> int:
        return self._mask_id

    @cached_property
    def longest_token_bytes(self) -> int:
        """No token stands for more bytes of text than this."""
        return max(len(piece.encode()) for piece in self._backend.get_vocab(True))

    @property
    def n_ids(self) -> int:
        """One more than the largest id this tokenizer can produce."""
        return max(self._backend.get_vocab(True).values()) + 1

    @property
    def ids(self) -> Mapping[str, int]:
        """Every token, added ones too, with its id."""
        return self._backend.get_vocab(True)

    @property
    def added_tokens(self) -> frozenset[str]:
        """Tokens beside the trained vocabulary: turns, masks, ends."""
        found = self._backend.get_added_tokens_decoder().values()
        return frozenset(token.content for token in found)

    @property
    def has_chat_template(self) -> bool:
        return self._template is not None

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that `skip_special_tokens` leaves out."""
        return self._special_ids

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Ids of a plain text; `add_special_tokens` puts BOS in front where the model wants one.

        Special tokens written in the text become their ids; BOS is never doubled. Raises
        InvalidRequest for text that is not valid Unicode.
        """
        ids = self._encode(text)
        if not add_special_tokens or ids[: len(self._prefix)] == self._prefix:
            return ids
        return self._prefix + ids

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        """Ids of a conversation through the chat template, assistant turn opened.

        BOS is the template's business and not added. Raises InvalidRequest when there is no
        template or it refuses the messages.
        """
        if self._template is None:
            raise InvalidRequest(
                "this model has no chat template; use a completion instead",
                param="messages",
                code="unsupported_parameter",
            )
        return self._encode(self._template.render(messages))

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)

    def detokenizer(self, *, skip_special_tokens: bool = True) -> Detokenizer:
        """A fresh incremental decoder whose pieces add up to what `decode` returns."""
        hidden = self._special_ids if skip_special_tokens else frozenset[int]()
        if self._alphabet is not None:
            return ByteDetokenizer(lambda i: b"" if i in hidden else self.token_bytes(i))
        return PieceDetokenizer(
            lambda i: None if i in hidden else self._backend.id_to_token(i),
            lambda ids: self.decode(ids, skip_special_tokens=False),
        )

    def token_text(self, token_id: int) -> str:
        """One token as text; lone bytes become U+FFFD."""
        return self.token_bytes(token_id).decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes the token stands for, b"" for an id without a token.

        Concatenated they are the bytes of the answer; only a vocabulary of pieces may open an
        answer with one space that `decode` takes away.
        """
        piece = self._backend.id_to_token(token_id)
        if piece is None:
            return b""
        if self._alphabet is None:
            byte = byte_of(piece)
            return piece.replace(_SPACE, " ").encode() if byte is None else bytes([byte])
        try:
            return bytes([self._alphabet[character] for character in piece])
        except KeyError:  # an added token that holds a character outside the alphabet
            return piece.encode()

    def _encode(self, text: str) -> list[int]:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"the text is not valid Unicode: {error.reason}") from error
        return self._backend.encode(text, add_special_tokens=False).ids


def _prefix_ids(files: TokenizerFiles) -> list[int]:
    """What stands before every plain text.

    Only what the post-processor puts in front counts: an EOS it may add behind would end the
    answer before it begins.
    """
    bos = files.special_tokens.get("bos_token")
    bos_id = None if bos is None else files.backend.token_to_id(bos)
    if files.add_bos is not None:
        return [bos_id] if files.add_bos and bos_id is not None else []
    plain = files.backend.encode("a", add_special_tokens=False).ids
    full = files.backend.encode("a", add_special_tokens=True).ids
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return full[:start]
    return []


def _is_byte_level(backend: Backend) -> bool:
    """Whether the decoder turns characters of the byte-level alphabet into bytes."""
    if backend.decoder is None:
        return False
    state = json.loads(backend.decoder.__getstate__())
    kinds = [step["type"] for step in state.get("decoders", [state])]
    return "ByteLevel" in kinds
