"""An answer in the terminal while it is denoised: the canvas fills in place.

Everything is read off two successive canvas texts, so a local engine and a server look the same.
"""

import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dfastllm.core import CanvasState

MASK = "\u2591"  # light shade, as the engine writes open positions
_OPEN, _FRESH, _FAINT = "bright_black", "bold green", "dim"


class CanvasView:
    """Shows canvases on a terminal, elsewhere nothing. Use it as a context manager.

    `pace_s` is the least time a step stays visible: a small model fills a canvas faster than
    anybody can look.
    """

    def __init__(self, console: Console, *, live: bool = True, pace_s: float = 0.05):
        self.watching = live and console.is_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._pace_s = pace_s
        self._text = ""

    def __enter__(self) -> "CanvasView":
        if self.watching:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.watching:
            self._live.stop()

    def show(self, state: CanvasState) -> None:
        """Draw the canvas after one more step."""
        if not self.watching:
            return
        began = time.monotonic()
        body = Text()
        for piece, style in segments(self._text, state.text):
            body.append(printable(piece), style)
        self._text = state.text
        self._live.update(Group(body, Text(progress(state), _FAINT)), refresh=True)
        time.sleep(max(0.0, self._pace_s - (time.monotonic() - began)))

    def show_text(self, text: str) -> None:
        """Draw what there is of an answer whose canvas is not known."""
        if self.watching:
            self._live.update(Text(printable(text)), refresh=True)


def segments(before: str, after: str) -> Iterator[tuple[str, str]]:
    """`after` cut into pieces with a style each: open, newly committed, known."""
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        fresh = _FRESH if tag != "equal" and before else ""
        for open_, piece in _runs(after[start:end]):
            yield piece, _OPEN if open_ else fresh


def progress(state: CanvasState) -> str:
    """One line on how far the canvas is; filler behind the end counts as one token."""
    ids = list(state.token_ids)
    n_open = state.text.count(MASK)
    while not state.text.endswith(MASK) and len(ids) > 1 and ids[-1] == ids[-2]:
        ids.pop()
    committed = max(len(ids) - n_open, 0)
    rate = committed / state.step if state.step else 0.0
    return f"{_count(state.step, 'forward')} · {n_open} open · {rate:.1f} tokens/forward"


def summary(tokens: int, forwards: int, verifier_passes: int = 0) -> str:
    """What an answer cost, in one line."""
    rate = tokens / forwards if forwards else 0.0
    words = f"{_count(tokens, 'token')} in {_count(forwards, 'forward')}"
    asked = f" · {_count(verifier_passes, 'verification')}" if verifier_passes else ""
    return f"{words} · {rate:.1f} tokens/forward{asked}"


def printable(text: str) -> str:
    """Without control characters: an answer must not steer the terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or (text[at] == MASK) != (text[start] == MASK):
            yield text[start] == MASK, text[start:at]
            start = at
