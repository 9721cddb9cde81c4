"""Tables hold every rule, and the caches are judged against the same rule without."""

import re
from pathlib import Path
from typing import Any

from benchmarks.quality_plots import plot
from benchmarks.quality_suites import Suite
from benchmarks.quality_tables import frontier, loss, tables


def row(**figures: float) -> dict[str, Any]:
    intervals = {f"{key}_interval": [value - 1, value + 1] for key, value in figures.items()}
    return {"n": 40, **figures, **intervals}


RESULTS: dict[str, Any] = {
    "fixed 1": {
        "cache": "none",
        "one": row(score=98.0, tokens_per_forward=1.0) | {"right": "1111" * 50},
        "many": row(score=90.0, tokens_per_forward=1.0) | {"right": "1101"},
        "everyday": row(nll=1.2, tokens_per_forward=1.0) | {"nats": [6.0, 6.0], "nats_of": [5, 5]},
        "pairs_fixed": row(score=99.0, tokens_per_forward=1.0),
        "pairs_open": row(score=80.0, tokens_per_forward=1.0),
    },
    "fixed 1 dual cache": {
        "cache": "dual",
        "one": row(score=97.8, tokens_per_forward=1.0) | {"right": "1111" * 49 + "1110"},
        "many": row(score=50.0, tokens_per_forward=1.0) | {"right": "0101"},
        "everyday": row(nll=1.3, tokens_per_forward=1.0) | {"nats": [6.0, 7.0], "nats_of": [5, 5]},
    },
    "apd 0.5": {"refused": "there is no verifier"},
}


def test_every_suite_has_a_table_of_every_rule_that_answered_it() -> None:
    text = tables(RESULTS)
    assert "**one** (40 questions)" in text
    assert "| **fixed 1** | 90.0 (89.0 to 91.0) | 1.0 (0.0 to 2.0) |" in text
    assert "| fixed 1 dual cache | 50.0 (49.0 to 51.0) | 1.0 (0.0 to 2.0) |" in text
    assert "facts" not in text


def test_what_other_networks_read_stands_side_by_side() -> None:
    figures = row(tokens_per_forward=2.0, verifier_passes=1.0, context_passes=0.25)
    text = tables({"x": {"one": figures}})
    assert "| verifier passes/forward | context passes/forward |" in text
    assert text.rstrip().endswith("| 1.0 (0.0 to 2.0) | 0.25 (-0.75 to 1.25) |")


def test_the_frontier_is_what_no_rule_beats_both_ways() -> None:
    rows = {
        name: row(score=score, tokens_per_forward=tokens)
        for name, score, tokens in (
            ("slow", 99, 1),
            ("fast", 90, 8),
            ("bad", 89, 4),
            ("odd", 99, 2),
        )
    }
    assert frontier("one", rows) == {"odd", "fast"}
    assert frontier("one", {"elsewhere": {"n": 1, "score": 99.0}}) == set()
    talk = {"a": row(nll=1.2, tokens_per_forward=2), "b": row(nll=1.5, tokens_per_forward=2)}
    assert frontier("everyday", talk) == {"a"}


def test_a_rule_that_was_refused_is_said_so() -> None:
    assert "- apd 0.5: there is no verifier" in tables(RESULTS)


def test_twins_stand_side_by_side() -> None:
    assert "| fixed 1 | 99.0 (98.0 to 100.0) | 80.0 (79.0 to 81.0) |" in tables(RESULTS)


def test_a_cache_is_judged_by_class_against_its_rule_without_one() -> None:
    text = tables(RESULTS)
    assert "| fixed 1 dual cache | one | +0.50 (+0.00 to +1.50) | 0.5 | kept |" in text
    assert "| fixed 1 dual cache | many | +25.00 (+0.00 to +75.00) | 2 | missed |" in text
    assert "| fixed 1 dual cache | everyday | +0.10 (+0.00 to +0.20) | 0.05 | missed |" in text


def test_a_loss_is_unknown_where_nothing_was_judged() -> None:
    judged = {"nats": [6.0], "nats_of": [5]}
    assert loss(Suite.EVERYDAY, {"n": 1}, judged) is None
    assert loss(Suite.EVERYDAY, judged, judged) == (0, 0, 0)


def test_every_point_of_a_plot_is_labelled(tmp_path: Path) -> None:
    drawing = plot(RESULTS, tmp_path / "x.svg", "x").read_text()
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    assert shown.count("fixed 1") == 5
    assert shown.count("fixed 1 dual cache") == 3
    assert plot(RESULTS, tmp_path / "again.svg", "x").read_text() == drawing
