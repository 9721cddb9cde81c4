"""The base's tokenizer as the base was trained with it, and a template that adds nothing."""

import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer as Backend

from dfastllm.builtin.vocabulary import write_tokenizer
from dfastllm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(published: GGUFReader, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    directory = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(published, directory)
    assert Backend.from_file(str(directory / "tokenizer.json")).get_vocab_size() == 49152
    return Tokenizer.load(directory, vocab_size=49152, mask_id=16)


def test_words_are_those_of_gpt2_and_digits_stand_alone(tokenizer: Tokenizer) -> None:
    pieces = [tokenizer.token_text(i) for i in tokenizer.encode("I don't owe 1024 euros.")]
    assert pieces == ["I", " don", "'t", " owe", " ", "1", "0", "2", "4", " euros", "."]


@pytest.mark.parametrize("text", ["", " a  b\n\n\tc ", "naïve 世界 👍🏽", "x" * 300, "½ ٣ 1e-5"])
def test_text_comes_back_as_it_was(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_conversation_gets_no_turn_that_nobody_wrote(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode_chat([{"role": "user", "content": "Hi"}])
    assert tokenizer.decode(ids, skip_special_tokens=False) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ids[:3] == [1, 4093, 198]
    assert ids[-4:] == [1, 520, 9531, 198]


def test_system_turns_and_spaces_are_kept(tokenizer: Tokenizer) -> None:
    turns = [("system", "Be brief."), ("user", " a\n"), ("assistant", "b"), ("user", "c")]
    ids = tokenizer.encode_chat([{"role": role, "content": text} for role, text in turns])
    said = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    assert tokenizer.decode(ids, skip_special_tokens=False) == said + "<|im_start|>assistant\n"


def test_control_tokens_stand_for_no_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.special_ids == frozenset(range(17))
    assert tokenizer.decode([0, 2, 16, *tokenizer.encode("a")]) == "a"
    assert tokenizer.encode("a") == tokenizer.encode("a", add_special_tokens=False)
