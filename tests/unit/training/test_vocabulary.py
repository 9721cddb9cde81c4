"""The tokenizer is lossless, keeps digits and quoted letters apart, and agrees on the chat form."""

import jinja2
import pytest
from tokenizers import Tokenizer

from training.chat import render
from training.examples import Example, Turn
from training.vocabulary import ASSISTANT, CHAT_TEMPLATE, EOS, EOT, MASK, NAMED, SIZE, load


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load()


@pytest.mark.parametrize(
    "text",
    ["27 + 48 = 75", '{"name": "Zoe", "age": 5}', "a\nb\n\n c", "日本語 héllo 🙂", "| a | b |", " ",
     "Sort: pear, apple", "\t\x00"],
)  # fmt: skip
def test_any_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_vocabulary_has_512_tokens_and_the_special_ones_come_first(
    tokenizer: Tokenizer,
) -> None:
    assert tokenizer.get_vocab_size() == SIZE
    assert [tokenizer.token_to_id(name) for name in NAMED] == list(range(len(NAMED)))
    assert (MASK, EOS, EOT, ASSISTANT) == (0, 1, 3, 5)


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("4096").tokens == ["4", "0", "9", "6"]


def test_quoted_and_joined_letters_are_never_merged(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode('"melon"').tokens == ['"', *"melon", '"']
    assert tokenizer.encode("m-e-l-o-n").tokens == [*"m-e-l-o-n"]


def test_the_chat_template_writes_what_training_wrote() -> None:
    example = Example("Add 1 and 2.", "3", history=(Turn("Hi", "Hello!"),), system="Be brief.")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Add 1 and 2. "},
    ]
    template = jinja2.Environment().from_string(CHAT_TEMPLATE)
    written = template.render(messages=messages, bos_token=NAMED[2], add_generation_prompt=True)
    assert written == render(example)
