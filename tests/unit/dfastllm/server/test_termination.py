from pathlib import Path

import pytest

from dfastllm.server import termination


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "termination-log"
    monkeypatch.setattr(termination, "FILE", str(file))
    return file


def test_last_words_are_left_where_kubernetes_looks(file: Path) -> None:
    file.touch()
    termination.leave("CheckpointError: no weights")
    assert file.read_text() == "CheckpointError: no weights"


def test_outside_of_a_pod_nothing_is_made(file: Path) -> None:
    termination.leave("why")
    assert not file.exists()


def test_many_words_are_cut(file: Path) -> None:
    file.touch()
    termination.leave("ä" * 4000)
    assert len(file.read_bytes()) == termination.MOST_BYTES
