"""The table of the chart's values follows the comments of values.yaml."""

from pathlib import Path

from dfastllm_operator.install.values_table import BEGIN, END, Value, described, page

VALUES = """\
# About the file.

# -- What one does.
one: 1
two:
  # -- What three does,
  # in two lines.
  three: [a, b]
  # a note that describes nothing
  four:
    # -- What five | six does.
    five: ""
six: {}
"""


def test_comments_describe_the_key_below_them() -> None:
    assert list(described(VALUES)) == [
        Value("one", 1, "What one does."),
        Value("two.three", ["a", "b"], "What three does, in two lines."),
        Value("two.four.five", "", "What five | six does."),
    ]


def test_only_the_part_between_the_marks_is_written(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(VALUES)
    (tmp_path / "README.md").write_text(f"Before.\n{BEGIN}old\n{END}After.\n")
    written = page(tmp_path)
    assert written.startswith(f"Before.\n{BEGIN}")
    assert written.endswith(f"{END}After.\n")
    assert "old" not in written
    assert '| `two.four.five` | `""` | What five \\| six does. |' in written


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(VALUES)
    (tmp_path / "README.md").write_text(f"{BEGIN}{END}")
    (tmp_path / "README.md").write_text(page(tmp_path))
    assert page(tmp_path) == (tmp_path / "README.md").read_text()
