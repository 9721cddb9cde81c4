"""One command at a time in a folder, whoever started it."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.5


@contextmanager
def alone(folder: Path, wait_s: float) -> Iterator[None]:
    """Waits for others that work there; raises TimeoutError when they take longer."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"another build has held {folder} for {wait_s} s") from None
                time.sleep(POLL_S)
        yield  # closing the file lets go of it
