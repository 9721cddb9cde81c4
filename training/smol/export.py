"""Make a checkpoint servable, or publish it: `python -m training.smol.export --checkpoint DIR …`.

`--preview LINK` puts base and difference together as the server does for the shipped model, with
the shipped settings, and lets LINK lead there: `dfastllm serve LINK --verifier builtin:smol-base`.
`--results FILE…` writes the difference and the model card into the shipped folder; its
`config.json` and `generation_config.json` belong to the server and stay as they are. Results of
another model, or of other settings, are refused.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import RESULTS
from dfastllm.builtin.assemble import model_entry, prepare_model
from dfastllm.builtin.store import contents_of
from training.smol import drafter, measured, model_card

SHIPPED = Path(__file__).parents[2] / "model_server" / "dfastllm" / "builtin" / "smol"
BASE = "builtin:smol-base"
CARD = "MODEL_CARD.md"
LARGEST_FILE = 16_000_000
LARGEST_SUM = 20_000_000
_SETTINGS = ("config.json", "generation_config.json")
_PREVIEW = "preview"  # what the store of made models calls it, beside the built-in models


def preview(checkpoint: Path, link: Path, *, shipped: Path = SHIPPED) -> Path:
    """Make `link` lead to a whole checkpoint of this difference, and return what it leads to.

    It lies in the store of made models, where the base is shared with `builtin:smol-base`: as the
    verifier that is the context network, so nothing is read twice. In time it makes room for the
    next preview of the same link, never for one of another: who serves a link marks no entry as
    used. Raises SystemExit where something else has the link's name.
    """
    if link.exists() and not link.is_symlink():
        raise SystemExit(f"{link} is there already and is no link")
    with _described(checkpoint, shipped, _family(link)) as folder:
        made = prepare_model(folder).resolve()
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(made)
    return made


def export(
    checkpoint: Path,
    results: Sequence[Path],
    speeds: Sequence[Path],
    out: Path = SHIPPED,
    *,
    shipped: Path = SHIPPED,
) -> None:
    """Copy the difference, refuse one that is too large, and write the card.

    `shipped` holds the settings it is served with. Raises SystemExit for results of anything else.
    """
    files = _files(checkpoint)
    sizes = [file.stat().st_size for file in files]
    if max(sizes) > LARGEST_FILE or sum(sizes) > LARGEST_SUM:
        raise SystemExit(f"too large to ship: {sizes} bytes")
    try:
        found = measured.read(results, speeds)
        found.check(contents(checkpoint, shipped=shipped), BASE)
    except measured.Mixed as error:
        raise SystemExit(str(error)) from None
    card = model_card.write(
        found,
        json.loads((checkpoint / "progress.json").read_text()),
        json.loads((shipped / "generation_config.json").read_text()),
        changed=sum(tensor.numel() for tensor in drafter.read(checkpoint).values()),
        size=sum(sizes),
        limit=json.loads((shipped / "config.json").read_text())["max_position_embeddings"],
    )
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("difference-*.safetensors"):
        old.unlink()
    for file in files:
        shutil.copyfile(file, out / file.name)
    (out / CARD).write_text(card)


def contents(checkpoint: Path, *, shipped: Path = SHIPPED) -> str:
    """The hash of all that a preview, or the shipped model, is made of: see `store.contents_of`."""
    with _described(checkpoint, shipped, _PREVIEW) as folder:
        found = contents_of(model_entry(folder))
    assert found is not None
    return found


@contextmanager
def _described(checkpoint: Path, shipped: Path, name: str) -> Iterator[Path]:
    """A folder `name` as a built-in's, with this difference and the shipped settings."""
    with TemporaryDirectory() as parent:
        folder = Path(parent) / name
        folder.mkdir()
        for file in (*(shipped / one for one in _SETTINGS), *_files(checkpoint)):
            shutil.copyfile(file, folder / file.name)
        yield folder


def _family(link: Path) -> str:
    """One of its own for each link, wherever that is; what it leads to does not matter."""
    place = link.parent.resolve() / link.name
    return f"{_PREVIEW}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"


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
    parser.add_argument("--speeds", type=Path, nargs="*", help="raw results of the reader "
                        f"benchmark; left out: those of this model in {RESULTS.name}/")  # fmt: skip
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    if options.preview is not None:
        print(preview(options.checkpoint, options.preview))
    else:
        speeds = options.speeds
        if speeds is None:
            ours = contents(options.checkpoint)
            speeds = [path for path in sorted(RESULTS.glob("reader-*.json"))
                      if measured.is_of(json.loads(path.read_text()), ours)]  # fmt: skip
        export(options.checkpoint, options.results, speeds, options.out)


if __name__ == "__main__":
    main()
