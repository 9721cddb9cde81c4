"""Make a checkpoint servable, or publish it: `python -m training.smol.export --checkpoint DIR …`.

`--preview LINK` puts base and difference together as the server does for the shipped model, with
the shipped settings, and lets LINK lead there: `dfastllm serve LINK --verifier builtin:smol-base`.
`--results FILE…` writes the difference and the model card into the shipped folder; its
`config.json` and `generation_config.json` belong to the server and stay as they are.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import RESULTS
from dfastllm.builtin.assemble import prepare_model
from training.smol import drafter, measured, model_card

SHIPPED = Path(__file__).parents[2] / "model_server" / "dfastllm" / "builtin" / "smol"
CARD = "MODEL_CARD.md"
LARGEST_FILE = 16_000_000
LARGEST_SUM = 20_000_000
_SETTINGS = ("config.json", "generation_config.json")
_ENTRY = "preview"  # what the store of made models calls it, beside the built-in models


def preview(checkpoint: Path, link: Path, *, shipped: Path = SHIPPED) -> Path:
    """Make `link` lead to a whole checkpoint of this difference, and return what it leads to.

    It lies in the store of made models, where the base is shared with `builtin:smol-base`: as the
    verifier that is the context network, so nothing is read twice. Raises SystemExit where
    something else has the link's name.
    """
    if link.exists() and not link.is_symlink():
        raise SystemExit(f"{link} is there already and is no link")
    with TemporaryDirectory() as folder:
        described = Path(folder) / _ENTRY
        described.mkdir()
        for file in (*(shipped / name for name in _SETTINGS), *_files(checkpoint)):
            shutil.copyfile(file, described / file.name)
        made = prepare_model(described).resolve()
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(made)
    return made


def export(
    checkpoint: Path, results: Sequence[Path], speeds: Sequence[Path], out: Path = SHIPPED
) -> None:
    """Copy the difference, refuse one that is too large, and write the card."""
    files = _files(checkpoint)
    sizes = [file.stat().st_size for file in files]
    if max(sizes) > LARGEST_FILE or sum(sizes) > LARGEST_SUM:
        raise SystemExit(f"too large to ship: {sizes} bytes")
    card = model_card.write(
        measured.read(results, speeds),
        json.loads((checkpoint / "progress.json").read_text()),
        json.loads((SHIPPED / "generation_config.json").read_text()),
        changed=sum(tensor.numel() for tensor in drafter.read(checkpoint).values()),
        size=sum(sizes),
        limit=json.loads((SHIPPED / "config.json").read_text())["max_position_embeddings"],
    )
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("difference-*.safetensors"):
        old.unlink()
    for file in files:
        shutil.copyfile(file, out / file.name)
    (out / CARD).write_text(card)


def _files(checkpoint: Path) -> list[Path]:
    """The difference's files; raises SystemExit where there are none."""
    files = sorted(checkpoint.glob("difference-*.safetensors"))
    if not files:
        raise SystemExit(f"no difference-*.safetensors in {checkpoint}")
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--preview", type=Path, metavar="LINK", help="make it servable there")
    what.add_argument("--results", type=Path, nargs="+", help="raw results of the quality harness")
    parser.add_argument("--speeds", type=Path, nargs="*", help="of the reader benchmark",
                        default=sorted(RESULTS.glob("reader-smol*.json")))  # fmt: skip
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    if options.preview is not None:
        print(preview(options.checkpoint, options.preview))
    else:
        export(options.checkpoint, options.results, options.speeds, options.out)


if __name__ == "__main__":
    main()
