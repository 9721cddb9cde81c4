"""Which bytes a token has its part in the text with."""

from dfastllm.server.logprobs import visible_bytes
from dfastllm.tokenizer import Tokenizer
from dfastllm.tokenizer_files import TokenizerFiles
from support import vocabularies

_BACKEND = vocabularies.pieces()
PIECES = Tokenizer(TokenizerFiles(_BACKEND, None, {}, None), vocab_size=512, mask_id=270)


def id_of(piece: str) -> int:
    found = _BACKEND.token_to_id(piece)
    assert found is not None
    return int(found)


def test_a_piece_that_is_one_space_is_no_special_token() -> None:
    space = id_of("\u2581")
    assert PIECES.decode((space,)) == "", "alone it would be the answer's first space"
    assert visible_bytes(PIECES, space, skip_special_tokens=True) == b" "


def test_special_tokens_have_bytes_only_where_they_are_shown() -> None:
    end = id_of("<|end|>")
    assert visible_bytes(PIECES, end, skip_special_tokens=True) == b""
    assert visible_bytes(PIECES, end, skip_special_tokens=False) == b"<|end|>"
