"""`TextAssembler`: streamed text equals the decode, and stop strings cut where `str.find` says."""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfastllm.text import TextAssembler, TextUpdate
from dfastllm.tokenizer import Tokenizer
from dfastllm.tokenizer_files import TokenizerFiles
from support import vocabularies

BYTES, PIECES = (
    Tokenizer(TokenizerFiles(backend, None, {}, None), vocab_size=512, mask_id=270)
    for backend in (vocabularies.byte_level(), vocabularies.pieces())
)
TOKENIZERS = pytest.mark.parametrize("tokenizer", [BYTES, PIECES], ids=["bytes", "pieces"])

# All ids, and a few that meet often: parts of one character, stop-like letters, specials.
ANY_IDS = st.lists(st.integers(0, 285), max_size=30)
COMMON = [
    *BYTES.encode("abc the\n🙂é<|end|>"),
    *PIECES.encode("ab the\n🙂é<|end|>"),
    *(0xE2, 0x98, 0x83),
]
SOME_IDS = st.lists(st.sampled_from(COMMON), max_size=30)
CUTS = st.lists(st.integers(0, 30), max_size=6)
STOPS = st.lists(st.text("ab the\n\ufffd🙂", min_size=0, max_size=4), max_size=4).map(tuple)


def run(
    tokenizer: Tokenizer, feeds: Sequence[Sequence[int]], stop: tuple[str, ...], skip: bool
) -> list[TextUpdate]:
    assembler = TextAssembler(tokenizer, stop, skip)
    last = len(feeds) - 1
    return [assembler.feed(tokens, final=i == last) for i, tokens in enumerate(feeds)]


def split(ids: list[int], cuts: list[int]) -> list[list[int]]:
    edges = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    return [ids[a:b] for a, b in pairwise(edges)]


def where(text: str, stop: tuple[str, ...]) -> int:
    return min((at for s in stop if s and (at := text.find(s)) >= 0), default=-1)


@TOKENIZERS
@given(ids=ANY_IDS | SOME_IDS, cuts=CUTS, skip=st.booleans())
def test_streamed_text_adds_up_to_the_decode(
    tokenizer: Tokenizer, ids: list[int], cuts: list[int], skip: bool
) -> None:
    updates = run(tokenizer, split(ids, cuts), (), skip)
    text = "".join(update.text for update in updates)
    assert text == tokenizer.decode(ids, skip_special_tokens=skip)
    assert sum(update.consumed_tokens for update in updates) == len(ids)


@TOKENIZERS
@given(ids=SOME_IDS, cuts=CUTS, stop=STOPS, skip=st.booleans())
def test_stop_strings_cut_where_find_says_however_the_tokens_are_split(
    tokenizer: Tokenizer, ids: list[int], cuts: list[int], stop: tuple[str, ...], skip: bool
) -> None:
    whole = tokenizer.decode(ids, skip_special_tokens=skip)
    cut = where(whole, stop)
    updates = run(tokenizer, split(ids, cuts), stop, skip)
    assert "".join(update.text for update in updates) == (whole if cut < 0 else whole[:cut])
    assert updates[-1].stopped == (cut >= 0)
    once = run(tokenizer, [ids], stop, skip)[0]
    assert sum(update.consumed_tokens for update in updates) <= len(ids)
    if cut >= 0:
        kept = tokenizer.decode(ids[: once.consumed_tokens], skip_special_tokens=skip)
        assert where(kept, stop) == cut
    else:
        assert once.consumed_tokens == len(ids)


@TOKENIZERS
@given(ids=SOME_IDS, other=SOME_IDS, stop=STOPS)
def test_what_was_handed_out_is_final_whatever_follows(
    tokenizer: Tokenizer, ids: list[int], other: list[int], stop: tuple[str, ...]
) -> None:
    assembler = TextAssembler(tokenizer, stop, True)
    shown = assembler.feed(ids, final=False).text
    whole = tokenizer.decode(ids + other)
    cut = where(whole, stop)
    assert (whole if cut < 0 else whole[:cut]).startswith(shown)


def test_half_a_character_waits_for_the_other_half() -> None:
    first, second = BYTES.encode("🙂")
    assert [u.text for u in run(BYTES, [[first], [second], []], (), True)] == ["", "🙂", ""]
    assert [u.text for u in run(BYTES, [[first], []], (), True)] == ["", "\ufffd"]


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    feeds = [BYTES.encode(part) for part in ("x<", "|b", "<|e", "nd")]
    updates = run(BYTES, feeds, ("<|end",), True)
    assert [u.text for u in updates] == ["x", "<|b", "", ""]
    assert [u.stopped for u in updates] == [False, False, False, True]


def test_tokens_are_counted_up_to_the_one_that_completes_the_stop_string() -> None:
    ids = BYTES.encode("xy the z")
    at = [BYTES.token_text(i) for i in ids].index(" the")
    update = run(BYTES, [ids], ("th",), True)[0]
    assert update == TextUpdate("xy ", at + 1, True)


def test_a_stop_string_inside_a_longer_one_waits_for_the_longer() -> None:
    stop = ("xabcy", "b")
    letters = [BYTES.encode(c)[0] for c in "xabcz"]
    updates = run(BYTES, [[i] for i in letters], stop, True)
    assert [u.text for u in updates] == ["", "", "", "", "xa"]
    # The tokens after the one that completed "b" are not part of the answer.
    assert [u.consumed_tokens for u in updates] == [1, 1, 1, 1, 0]
    letters = [BYTES.encode(c)[0] for c in "wxabcy"]
    assert "".join(u.text for u in run(BYTES, [letters], stop, True)) == "w"


def test_nothing_comes_after_a_stop() -> None:
    assembler = TextAssembler(BYTES, ("b",), True)
    assert assembler.feed(BYTES.encode("xby"), final=False).text == "x"
    assert assembler.feed(BYTES.encode("more"), final=True) == TextUpdate("", 0, True)


@TOKENIZERS
def test_time_grows_with_the_answer_not_with_its_square(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a") * 4000

    def seconds(n: int) -> float:
        start = time.perf_counter()
        assembler = TextAssembler(tokenizer, ("ab" * 200, "the"), True)
        for token in ids[:n]:
            assembler.feed([token], final=False)
        return time.perf_counter() - start

    seconds(100)
    assert seconds(4000) < 40 * max(seconds(400), 0.001)  # a square would be 100
