"""A checkpoint that can be served and talked to: random weights, a byte-level tokenizer."""

import shutil
from pathlib import Path

from support.reference import VECTORS
from support.vocabularies import CHATML, byte_level, write


def random_checkpoint(directory: Path, *, template: bool = True) -> Path:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(VECTORS / "llada-tiny" / name, directory)
    config = {"bos_token": "<|start|>"} | ({"chat_template": CHATML} if template else {})
    return write(directory, byte_level(), **config)
