"""The tokenizer of a base, made from what its GGUF file says, with our chat template.

The file holds tokens and merges and names the way text is cut into words; it holds no
tokenizer.json. Its own chat template is not taken: without a system turn it invents one that names
another assistant.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from dfastllm.builtin.base import read_field
from dfastllm.errors import CheckpointError

if TYPE_CHECKING:
    from gguf import GGUFReader

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
"""ChatML. What nobody wrote is not added."""

TOKENIZER_CONFIG: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": 8192,
    "clean_up_tokenization_spaces": False,
    "padding_side": "left",
    "add_bos_token": False,
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "mask_token": "<empty_output>",
    "chat_template": CHAT_TEMPLATE,
}
"""The mask is one of the special tokens that the base reserves and never uses."""

_OF = "tokenizer.ggml."
_CONTROL = 3  # the kind of a token that stands for no text


def write_tokenizer(reader: "GGUFReader", directory: Path) -> None:
    """`tokenizer.json` and `tokenizer_config.json`; CheckpointError for another kind of base."""
    build_tokenizer(reader).save(str(directory / "tokenizer.json"), pretty=False)
    config = json.dumps(TOKENIZER_CONFIG, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(config, encoding="utf-8")


def build_tokenizer(reader: "GGUFReader") -> Backend:
    """Byte-level BPE as SmolLM's: digits one by one, the rest in GPT-2's words."""
    kind = (read_field(reader, _OF + "model"), read_field(reader, _OF + "pre"))
    if kind != ("gpt2", "smollm"):
        raise CheckpointError(f"the base's tokenizer is {kind}; supported: ('gpt2', 'smollm')")
    tokens: list[str] = read_field(reader, _OF + "tokens")
    merges = [tuple(merge.split(" ")) for merge in read_field(reader, _OF + "merges")]
    backend = Backend(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    kinds = read_field(reader, _OF + "token_type")
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in control])
    return backend
