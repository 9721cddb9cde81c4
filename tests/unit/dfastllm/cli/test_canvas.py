import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dfastllm.cli.canvas import CanvasView, printable, progress, segments
from dfastllm.core import CanvasState

MASK = "\u2591"
canvas_texts = st.text(alphabet="ab" + MASK, max_size=30)


@given(canvas_texts, canvas_texts)
def test_segments_add_up_to_the_canvas(before: str, after: str):
    assert "".join(piece for piece, _ in segments(before, after)) == after


@given(canvas_texts)
def test_a_canvas_that_did_not_change_holds_nothing_new(text: str):
    assert all("green" not in style for _, style in segments(text, text))


def test_what_was_committed_is_marked_once():
    found = list(segments(f"ab{MASK}{MASK}{MASK}", f"ab{MASK}cd{MASK}"))
    assert [piece for piece, style in found if "green" in style] == ["cd"]


def test_filler_counts_as_one_token():
    assert progress(CanvasState(2, (5, 6, 1, 1, 1), "ab")) == (
        "2 forwards · 0 open · 1.5 tokens/forward"
    )
    assert progress(CanvasState(1, (5, 0, 0), f"a{MASK}{MASK}")) == (
        "1 forward · 2 open · 1.0 tokens/forward"
    )


def test_an_answer_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\n\tc\x07") == "a\ufffd[2Jb\n\tc\ufffd"


def test_the_view_draws_in_a_terminal_and_nowhere_else():
    for terminal in (True, False):
        out = io.StringIO()
        with CanvasView(Console(file=out, force_terminal=terminal), pace_s=0) as view:
            view.show(CanvasState(1, (5, 0), f"word{MASK}"))
            view.show_text("whole")
        assert ("word" in out.getvalue()) is terminal
        assert ("whole" in out.getvalue()) is terminal
