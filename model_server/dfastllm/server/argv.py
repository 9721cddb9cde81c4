"""`import kserve` reads the command line, and ends the process over flags it thinks are its own.

Every import of it happens under `bare_argv`, which hides ours for that moment.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def bare_argv() -> Iterator[None]:
    """The command line reduced to the program's name."""
    former = sys.argv
    sys.argv = former[:1]
    try:
        with warnings.catch_warnings():
            # Its default response class is one that FastAPI has deprecated; we use none of it.
            warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
            yield
    finally:
        sys.argv = former
