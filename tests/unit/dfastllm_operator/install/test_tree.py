"""The generated files of the repository are what the program would write now."""

from pathlib import Path

import pytest

from dfastllm_operator.install.documents import COMMAND, HEADER
from dfastllm_operator.install.tree import generated

ROOT = Path(__file__).parents[4]
EXPECTED = generated(ROOT)


@pytest.mark.parametrize("path", sorted(EXPECTED))
def test_a_generated_file_is_up_to_date(path: str) -> None:
    file = ROOT / path
    assert file.exists(), f"write it: {COMMAND}"
    assert file.read_text() == EXPECTED[path], f"write it anew: {COMMAND}"


def test_no_generated_file_is_left_over() -> None:
    files = [*(ROOT / "manifests").rglob("*.yaml"), *(ROOT / "charts").rglob("*.yaml")]
    marked = {str(f.relative_to(ROOT)) for f in files if f.read_text().startswith(HEADER)}
    assert marked <= set(EXPECTED)


def test_every_generated_file_says_so() -> None:
    assert all("enerated by `python -m" in text for text in EXPECTED.values())
