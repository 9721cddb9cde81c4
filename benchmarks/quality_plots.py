"""Curves of a quality run as SVG: quality against tokens per forward and per second.

matplotlib is imported when a plot is asked for: a machine that only measures may lack it.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.quality_suites import Suite
from benchmarks.quality_tables import Results

_COSTS = (("tokens_per_forward", "tokens per forward"), ("tokens_per_s", "tokens per second"))
_WIDTH, _HEIGHT, _LINE = 6.4, 4.0, 0.11  # inches: of a panel at least, of a label


def plot(results: Results, path: Path, title: str) -> Path:
    """Write one row of panels a suite; every point is a rule and carries its name.

    Rules that come to the same are one point, with the name of the first.
    """
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    # The same results give the same file, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "quality", "svg.fonttype": "none"})
    plt = import_module("matplotlib.pyplot")
    suites = [suite for suite in Suite if any(_quality(suite, r) for r in results.values())]
    size = (_WIDTH * len(_COSTS), max(_HEIGHT, _LINE * len(results)) * len(suites))
    figure, panels = plt.subplots(len(suites), len(_COSTS), figsize=size, squeeze=False)
    for suite, row in zip(suites, panels, strict=True):
        for (key, label), axes in zip(_COSTS, row, strict=True):
            _panel(axes, suite, key, results)
            axes.set_xlabel(label)
    figure.suptitle(title)
    figure.tight_layout(rect=(0, 0, 1, 0.99))
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
    return path


def _quality(suite: Suite, found: Any) -> str | None:
    """The name of what the suite measures: right answers, or likelihood under the base."""
    return next((key for key in ("score", "nll") if key in found.get(suite, {})), None)


def _panel(axes: Any, suite: Suite, cost: str, results: Results) -> None:
    points: list[tuple[float, float, str]] = []
    for rule, found in results.items():
        key, row = _quality(suite, found), found.get(suite, {})
        if key is None or cost not in row or "same_as" in row:  # one point, one name
            continue
        reach = _reach(row, key)
        family = "cache" if rule.endswith(" cache") else rule.split()[0]
        axes.errorbar(
            row[cost], row[key], yerr=reach, xerr=_reach(row, cost), fmt="o", markersize=4,
            elinewidth=0.5, color=_COLORS[family],
        )  # fmt: skip
        axes.set_ylabel("NLL per token (less is better)" if key == "nll" else "right, %")
        points.append((row[key], row[cost], rule))
    _label(axes, points)
    axes.set_title(suite)
    axes.grid(visible=True, alpha=0.3)


def _reach(row: Any, key: str) -> list[list[float]] | None:
    """How far the interval of a figure goes below and above it; speeds have none."""
    if f"{key}_interval" not in row:
        return None
    low, high = row[f"{key}_interval"]
    return [[max(0.0, row[key] - low)], [max(0.0, high - row[key])]]


def _label(axes: Any, points: list[tuple[float, float, str]]) -> None:
    """Names in a column beside the panel, each tied to its point: points may lie close together."""
    line = {"arrowstyle": "-", "linewidth": 0.3, "color": "silver"}
    for at, (quality, cost, rule) in enumerate(sorted(points, reverse=True)):
        spot = (1.03, 1 - at / max(1, len(points) - 1))
        axes.annotate(rule, (cost, quality), xytext=spot, textcoords="axes fraction",
                      fontsize=6, verticalalignment="center", arrowprops=line)  # fmt: skip


_COLORS = {
    "default": "black",
    "preset": "tab:orange",
    "fixed": "tab:gray",
    "threshold": "tab:blue",
    "factor": "tab:green",
    "apd": "tab:red",
    "cache": "tab:purple",
}
