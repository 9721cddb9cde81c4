"""The curves of a training run: `python -m training.plot LOG.jsonl… --out FILE.svg`.

Logs of stages that took one another up stand one behind the other: above the loss of what was
trained on, below what was measured on rows held out, if anything was (`ce_…`).
"""

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

_SMOOTHED = 8  # lines of the log, behind one point of the loss


def read(paths: list[Path]) -> tuple[list[dict[str, Any]], list[int]]:
    """Lines with a step, counted over all logs, and the steps at which a log begins."""
    lines: list[dict[str, Any]] = []
    begins: list[int] = []
    for path in paths:
        before = lines[-1]["step"] if lines else 0
        begins.append(before)
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if "step" in entry:
                lines.append(entry | {"step": before + entry["step"]})
    return lines, begins


def smoothed(values: list[float]) -> list[float]:
    """The mean of each value and those before it."""
    parts = [values[max(0, at + 1 - _SMOOTHED) : at + 1] for at in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def plot(paths: list[Path], out: Path) -> None:
    """Write the curves as SVG."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "training", "svg.fonttype": "none"})
    plt = import_module("matplotlib.pyplot")
    lines, begins = read(paths)
    trained = [line for line in lines if "loss" in line]
    measured = sorted({key for line in lines for key in line if key.startswith("ce_")})
    figure, panels = plt.subplots(
        1 + bool(measured), squeeze=False, figsize=(7, 3 + 3 * bool(measured))
    )
    loss = panels[0, 0]
    loss.plot([line["step"] for line in trained], smoothed([line["loss"] for line in trained]))
    loss.set_ylabel("loss")
    for key in measured:
        points = [(line["step"], line[key]) for line in lines if key in line]
        panels[1, 0].plot(*zip(*points, strict=True), marker=".", label=key.removeprefix("ce_"))
    if measured:
        panels[1, 0].set_ylabel("held-out cross-entropy")
        panels[1, 0].set_ylim(0, 5)
        panels[1, 0].legend()
    for axes in panels[:, 0]:
        axes.set_xlabel("step")
        for begin in begins[1:]:
            axes.axvline(begin, color="grey", linewidth=0.5)
    figure.tight_layout()
    figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    plot(options.logs, options.out)


if __name__ == "__main__":
    main()
