"""Curves of stages that follow one another."""

import json
from pathlib import Path

from training import plot


def test_stages_stand_one_behind_the_other(tmp_path: Path) -> None:
    for name, loss in (("one", 4.0), ("two", 2.0)):
        entries = [{"event": "start"}, {"step": 0, "ce_lead": loss},
                   *({"step": step, "loss": loss} for step in (25, 50))]  # fmt: skip
        (tmp_path / name).write_text("\n".join(map(json.dumps, entries)))
    paths = [tmp_path / "one", tmp_path / "two"]
    lines, begins = plot.read(paths)
    assert [line["step"] for line in lines] == [0, 25, 50, 50, 75, 100]
    assert begins == [0, 50]
    plot.plot(paths, tmp_path / "curves.svg")
    drawn = (tmp_path / "curves.svg").read_text()
    assert "held-out cross-entropy" in drawn
    assert ">lead<" in drawn


def test_the_mean_follows_the_values() -> None:
    assert plot.smoothed([1.0, 3.0]) == [1.0, 2.0]
    assert plot.smoothed([0.0] * 20 + [8.0])[-1] == 1.0
