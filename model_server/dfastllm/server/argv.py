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
    # Its response class is one that FastAPI has deprecated: told at import and at the first answer.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    try:
        yield
    finally:
        sys.argv = former
