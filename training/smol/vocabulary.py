"""The base's token ids, its tokenizer, and ChatML."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from dfastllm.builtin.base import open_gguf
from dfastllm.builtin.vocabulary import build_tokenizer

END_OF_TEXT, START, END = 0, 1, 2  # <|endoftext|>, <|im_start|>, <|im_end|>
MASK = 16  # <empty_output>, which no conversation holds
UNUSED = (0, 1, *range(3, 17))  # never sampled: an answer ends with END alone
SIZE = 49_152


def load_tokenizer(base: Path) -> Tokenizer:
    """Make the tokenizer out of the base's own file."""
    return build_tokenizer(open_gguf(base))


def turn(role: str, content: str) -> str:
    """Write one whole turn."""
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def chat(turns: Sequence[tuple[str, str]], system: str = "") -> str:
    """Write a conversation of (user, assistant) turns; the last assistant text may be empty.

    An empty last answer is left open, so that the assistant speaks next.
    """
    text = turn("system", system) if system else ""
    for user, assistant in turns[:-1]:
        text += turn("user", user) + turn("assistant", assistant)
    user, assistant = turns[-1]
    text += turn("user", user) + "<|im_start|>assistant\n"
    return text + (f"{assistant}<|im_end|>" if assistant else "")
