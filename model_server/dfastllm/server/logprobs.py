"""Confidences in the two shapes of the OpenAI API.

A masked model has no left-to-right likelihood. What is given is how sure the model was of a token
at the step that committed it, which is the number its own decoding works with.
"""

import codecs
from collections.abc import Sequence
from typing import Any

from dfastllm.core import TokenLogprob
from dfastllm.server.context import TextCodec

_LEAST = -9999.0  # JSON knows no -inf; OpenAI's own number for "practically never"


class ChatLogprobs:
    """One entry for each completion token; the bytes of all entries are the bytes of the text."""

    def __init__(self, codec: TextCodec, *, skip_special_tokens: bool):
        self._codec = codec
        self._skip_special_tokens = skip_special_tokens

    def render(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        return {"content": [self._entry(token) for token in tokens], "refusal": None}

    def _entry(self, token: TokenLogprob) -> dict[str, Any]:
        top = [self._part(token_id, logprob) for token_id, logprob in token.top]
        return {**self._part(token.token, token.logprob), "top_logprobs": top}

    def _part(self, token_id: int, logprob: float) -> dict[str, Any]:
        return {
            "token": self._codec.token_text(token_id),
            "logprob": max(logprob, _LEAST),
            "bytes": list(visible_bytes(self._codec, token_id, self._skip_special_tokens)),
        }


class CompletionLogprobs:
    """Four parallel lists; `text_offset` counts characters from the start of the choice's text."""

    def __init__(self, codec: TextCodec, *, skip_special_tokens: bool):
        self._codec = codec
        self._skip_special_tokens = skip_special_tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def render(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        return {
            "tokens": [self._codec.token_text(token.token) for token in tokens],
            "token_logprobs": [max(token.logprob, _LEAST) for token in tokens],
            "top_logprobs": [self._top(token) for token in tokens],
            "text_offset": [self._advance(token.token) for token in tokens],
        }

    def _top(self, token: TokenLogprob) -> dict[str, float]:
        best: dict[str, float] = {}
        for token_id, logprob in (*token.top, (token.token, token.logprob)):
            best.setdefault(self._codec.token_text(token_id), max(logprob, _LEAST))
        return best

    def _advance(self, token_id: int) -> int:
        offset = self._offset
        piece = visible_bytes(self._codec, token_id, self._skip_special_tokens)
        self._offset += len(self._decoder.decode(piece))
        return offset


def visible_bytes(codec: TextCodec, token_id: int, skip_special_tokens: bool) -> bytes:
    """The token's part of the text: nothing for a special token that the text leaves out."""
    if skip_special_tokens and _is_special(codec, token_id):
        return b""
    return codec.token_bytes(token_id)


def _is_special(codec: TextCodec, token_id: int) -> bool:
    """Skipping it makes the difference: a piece that is one space decodes to nothing anyway."""
    ids = (token_id,)
    return not codec.decode(ids) and bool(codec.decode(ids, skip_special_tokens=False))
