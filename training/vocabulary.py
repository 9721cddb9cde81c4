"""The 512-token vocabulary: byte-level pieces learned from the task texts, and the chat template.

`python -m training.vocabulary --out DIR` writes the tokenizer files. The published ones were
learned once and are an input of training since: other task texts would give other merges.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.examples import Split
from training.tasks.registry import TASKS, mix

ARTEFACTS = Path(__file__).parents[1] / "model_server" / "dfastllm" / "builtin" / "tiny"

SIZE = 512
MASK, EOS, BOS, EOT, USER, ASSISTANT, SYSTEM = range(7)
NAMED = (
    "<|mask|>", "<|endoftext|>", "<|startoftext|>", "<|eot|>", "<|user|>", "<|assistant|>",
    "<|system|>",
)  # fmt: skip
SPECIALS = (*NAMED, *(f"<|reserved_{index}|>" for index in range(len(NAMED), 16)))
MAX_LENGTH = 1024

# Only words that follow a space, and capitalised ones, may become multi-letter tokens. Quoted
# strings and the words of a reversed or spelled answer therefore stay single letters, which the
# model can see. Digits always stand alone.
_PIECES = (
    r"""", "|": "|": |\{"|"\}| [|+*/=-] |, (?!\p{L})|: (?!\p{L})| \p{L}+|\p{Lu}\p{Ll}+|[\s\S]"""
)

CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + (message['content'] | trim) + '<|eot|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def learn(samples: int = 60_000, seed: int = 0) -> Tokenizer:
    """Learn the merges from the training stream's own mix of tasks."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(samples, seed), trainer)
    return tokenizer


def _texts(samples: int, seed: int) -> Iterator[str]:
    rng = Random(seed)
    shares = mix()
    names, weights = list(shares), list(shares.values())
    for name in rng.choices(names, weights, k=samples):
        example = TASKS[name].draw(rng, Split.TRAIN)
        yield example.prompt
        yield example.answer


def load(folder: Path = ARTEFACTS) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that `transformers` needs to load this as a fast tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {
        "bos_token": NAMED[BOS],
        "eos_token": NAMED[EOS],
        "pad_token": NAMED[EOS],
        "mask_token": NAMED[MASK],
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_LENGTH,
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
        "add_bos_token": False,
        "additional_special_tokens": [NAMED[EOT], NAMED[USER], NAMED[ASSISTANT], NAMED[SYSTEM]],
        **roles,
        "chat_template": CHAT_TEMPLATE,
    }
    special = {**roles, "additional_special_tokens": config["additional_special_tokens"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    save(learn(), options.out)


if __name__ == "__main__":
    main()
