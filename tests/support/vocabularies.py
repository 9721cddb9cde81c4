"""Small tokenizers of the two kinds that checkpoints come with, written as a directory would be."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from dfastllm.detokenize import byte_level_alphabet

SPECIALS = ("<|start|>", "<|end|>", "<|turn|>", "<|mask|>")
CHATML = (
    "{{ bos_token }}{% for message in messages %}"
    "<|turn|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
# Merges over the byte-level alphabet: words, a space before a word, and half of a character.
_MERGES = [
    ("t", "h"), ("th", "e"), ("Ġ", "the"), ("a", "b"), ("ab", "c"), ("Ġ", "a"), ("e", "Ċ"),
    ("ð", "Ł"), ("ðŁ", "Ļ"), ("Ã", "©"), ("Ċ", "Ċ"),
]  # fmt: skip


def byte_level_parts() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges: 256 bytes, then the merged ones."""
    vocab = {character: i for i, character in enumerate(sorted(byte_level_alphabet()))}
    for left, right in _MERGES:
        vocab[left + right] = len(vocab)
    return vocab, _MERGES


def byte_level(*, bos: bool = False) -> Tokenizer:
    vocab, merges = byte_level_parts()
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    tokenizer.add_tokens(["naïve token", "ÿplain"])
    if bos:
        start = tokenizer.token_to_id("<|start|>")
        end = tokenizer.token_to_id("<|end|>")
        tokenizer.post_processor = TemplateProcessing(
            single="<|start|> $A <|end|>",
            special_tokens=[("<|start|>", start), ("<|end|>", end)],
        )
    return tokenizer


def pieces() -> Tokenizer:
    """Sentencepiece-like: U+2581 for a space, byte fallback, the answer's first space stripped."""
    vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
    for piece in ["\u2581", "a", "b", "\u2581a", "\u2581the", "é", "end", "\n", "\ufffd"]:
        vocab[piece] = len(vocab)
    merges = [("\u2581", "a")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    return tokenizer


def write(directory: Path, tokenizer: Tokenizer, **config: Any) -> Path:
    """Save as `tokenizer.json` with a `tokenizer_config.json` of `config`."""
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory
