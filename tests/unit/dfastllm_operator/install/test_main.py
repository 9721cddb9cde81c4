"""`python -m dfastllm_operator.install` writes the files and says which ones changed."""

import shutil
import sys
from pathlib import Path

import pytest

from dfastllm_operator.install.__main__ import main
from dfastllm_operator.install.tree import CHART, generated

ROOT = Path(__file__).parents[4]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is written by hand and read: the chart's page and values."""
    (tmp_path / CHART).mkdir(parents=True)
    for name in ("README.md", "values.yaml"):
        shutil.copy(ROOT / CHART / name, tmp_path / CHART / name)
    monkeypatch.setattr(sys, "argv", ["install", str(tmp_path)])
    return tmp_path


def test_every_file_is_written_once(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main()
    wanted = generated(ROOT)
    assert {name: (checkout / name).read_text() for name in wanted} == wanted
    capsys.readouterr()

    main()
    assert capsys.readouterr().out == ""


def test_a_changed_file_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main()
    capsys.readouterr()
    (checkout / "manifests/rbac/cluster-role.yaml").write_text("edited by hand")
    main()
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {checkout}/manifests/rbac/cluster-role.yaml"
    ]
