"""A report of readers says whose it is."""

import json
from pathlib import Path

import pytest

from benchmarks import reader


def test_a_report_names_the_checkpoint_that_was_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    monkeypatch.setattr(reader, "served", lambda *_: done.append("served") or {})
    monkeypatch.setattr(reader, "alone", lambda *_: {})
    monkeypatch.setattr(reader, "goals", lambda *_: {})
    monkeypatch.setattr(reader, "table", lambda *_: "")

    def checkpoint_of(model: str) -> str:
        assert done == ["served"], "the server's first start is measured with the making of files"
        return f"made of {model}"

    monkeypatch.setattr(reader, "checkpoint_of", checkpoint_of)
    flags = ["--model", "builtin:tiny", "--prompts", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["reader", *flags])
    reader.main()
    parameters = json.loads((tmp_path / "reader-tiny.json").read_text())["parameters"]
    assert parameters["checkpoint"] == "made of builtin:tiny"
    assert parameters["model"] == "builtin:tiny"
