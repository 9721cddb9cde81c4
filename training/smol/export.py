"""Publish a checkpoint: `python -m training.smol.export --checkpoint DIR --results FILE`.

Writes the difference and the model card into the shipped folder; its `config.json` and
`generation_config.json` belong to the server and stay as they are.
"""

import argparse
import json
import shutil
from pathlib import Path

from training.smol import drafter, model_card

SHIPPED = Path(__file__).parents[2] / "model_server" / "dfastllm" / "builtin" / "smol"
LARGEST_FILE = 16_000_000
LARGEST_SUM = 20_000_000


def export(checkpoint: Path, results: Path, out: Path) -> None:
    """Copy the difference, refuse one that is too large, and write the card."""
    tensors = drafter.read(checkpoint)
    files = sorted(checkpoint.glob("difference-*.safetensors"))
    sizes = [file.stat().st_size for file in files]
    if max(sizes) > LARGEST_FILE or sum(sizes) > LARGEST_SUM:
        raise SystemExit(f"too large to ship: {sizes} bytes")
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("difference-*.safetensors"):
        old.unlink()
    for file in files:
        shutil.copyfile(file, out / file.name)
    progress = json.loads((checkpoint / "progress.json").read_text())
    changed = sum(tensor.numel() for tensor in tensors.values())
    report = json.loads(results.read_text())
    (out / "README.md").write_text(model_card.write(report, progress, changed, sum(sizes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True, help="written by evaluate")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    export(options.checkpoint, options.results, options.out)


if __name__ == "__main__":
    main()
