"""Publish a verifier: `python -m training.verifier.export --checkpoint DIR`.

Without `--quality` the model card says nothing of drafts: they can only be measured once the
weights are in place.
"""

import argparse
import json
import shutil
from pathlib import Path

from training.evaluate import RESULTS
from training.verifier import model_card
from training.verifier.layout import LARGEST_FILE, config_of, read
from training.vocabulary import ARTEFACTS

SHIPPED = ARTEFACTS.with_name("tiny-verifier")


def export(checkpoint: Path, results: Path, out: Path, quality: Path | None = None) -> None:
    """Copy weights and configuration, refuse what is too large, and write the card."""
    network, progress = read(checkpoint)
    weights = checkpoint / "model.safetensors"
    if weights.stat().st_size > LARGEST_FILE:
        raise SystemExit(
            f"too large to ship: {weights.stat().st_size} bytes, {LARGEST_FILE} may be"
        )
    out.mkdir(parents=True, exist_ok=True)
    if checkpoint.resolve() != out.resolve():
        shutil.copyfile(weights, out / weights.name)
    (out / "config.json").write_text(json.dumps(config_of(network.shape), indent=2) + "\n")
    parameters = sum(weight.numel() for weight in network.parameters())
    measured = json.loads(quality.read_text())["results"] if quality else {}
    report = json.loads(results.read_text())
    card = model_card.write(report, progress, parameters, measured)
    (out / "MODEL_CARD.md").write_text(card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--results", type=Path, default=RESULTS / "verifier.json")
    parser.add_argument("--quality", type=Path, help="raw results of benchmarks.quality")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    export(options.checkpoint, options.results, options.out, options.quality)


if __name__ == "__main__":
    main()
