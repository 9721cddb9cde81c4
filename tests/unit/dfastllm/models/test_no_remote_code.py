"""A booby-trapped checkpoint: its Python would leave a mark if anything imported it."""

import json
import shutil
from pathlib import Path

import torch

from dfastllm.models.checkpoint import load_model
from dfastllm.models.source import resolve_model
from dfastllm.tokenizer import Tokenizer

VECTORS = Path(__file__).parents[3] / "vectors"


def test_code_inside_a_checkpoint_never_runs(tmp_path: Path) -> None:
    directory = tmp_path / "trap"
    shutil.copytree(VECTORS / "dream-tiny", directory)
    mark = tmp_path / "executed"
    trap = f"open({str(mark)!r}, 'w').close()\n"
    for name in ("modeling_dream", "configuration_dream", "tokenization_dream", "__init__"):
        (directory / f"{name}.py").write_text(trap)
    config = json.loads((directory / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "configuration_dream.DreamConfig",
        "AutoModel": "modeling_dream.DreamModel",
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "vocab.json").write_text(json.dumps({"a": 0, "b": 1}))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    tokenizer_config = {
        "tokenizer_class": "DreamTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "chat_template": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))

    found = resolve_model(str(directory))
    load_model(found.directory, device=torch.device("cpu"))
    tokenizer = Tokenizer.load(found.tokenizer_directory, vocab_size=512, mask_id=500)
    assert tokenizer.encode("ab") == [0, 1]
    assert not mark.exists()
