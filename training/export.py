"""Publish a checkpoint: `python -m training.export --checkpoint DIR` writes the served model."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from training import checkpoint, model_card
from training.evaluate import RESULTS
from training.network import Shape, checkpoint_config
from training.vocabulary import ARTEFACTS, BOS, EOS, EOT, MASK, load, save


def export(folder: Path, out: Path, results: Path) -> None:
    """Write weights in float16, configuration, tokenizer, template and model card."""
    out.mkdir(parents=True, exist_ok=True)
    tensors, progress = checkpoint.read(folder)
    weights = {
        name.removeprefix("net."): tensor.to(torch.float16).contiguous()
        for name, tensor in tensors.items()
        if name.startswith("net.")
    }
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    save(load(), out)
    _write_json(out / "config.json", checkpoint_config(Shape()))
    _write_json(out / "generation_config.json", generation_config())
    parameters = sum(tensor.numel() for tensor in weights.values())
    card = model_card.write(json.loads(results.read_text()), progress, parameters)
    (out / "MODEL_CARD.md").write_text(card)


def generation_config() -> dict[str, object]:
    """Return the defaults that the server reads beside the usual token ids."""
    return {
        "bos_token_id": BOS,
        "eos_token_id": [EOS, EOT],
        "pad_token_id": EOS,
        "mask_token_id": MASK,
        "max_new_tokens": 128,
        "temperature": 0.0,
        "do_sample": False,
        "diffusion": {
            "strategy": "threshold",
            "threshold": 0.9,
            "block_length": 32,
            "cache": "none",
            "lookahead": 32,
            "r": 0.5,
            "presets": {"fast": {"strategy": "apd"}},
        },
    }


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ARTEFACTS)
    parser.add_argument("--results", type=Path, default=RESULTS / "heldout.json")
    options = parser.parse_args()
    export(options.checkpoint, options.out, options.results)


if __name__ == "__main__":
    main()
