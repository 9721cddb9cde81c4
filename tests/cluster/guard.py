"""Ends a rig whose owner died without doing it: run as a program, it outlives a killed test run.

Reads from standard input what the owner starts (`+PID`) and stops (`-PID`). When the input ends,
the owner is gone: what is still listed is killed, and the rig's folder removed.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress


def main(folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, None] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            running[int(line[1:])] = None
        else:
            running.pop(int(line[1:]), None)
    for pid in reversed(running):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
