"""Operators forked from a process that has imported them already: most of a start is imports.

Run as a program, this file is that process: it reads what to start from its standard input, and
says on its standard output what ended. To its users it is `forked`, which gives a process like
those of `subprocess`.
"""

import atexit
import functools
import itertools
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

MODULE = "dfastllm_operator"
PRELOADED = (f"{MODULE}.cli", f"{MODULE}.app")
ANSWERS_S = 240.0  # a busy machine imports for minutes


class Forked:
    """A process that is not our child; the zygote tells its end."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self._zygote = zygote
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        return self._zygote.ended.get(self.pid)

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        with self._zygote.news:
            if not self._zygote.news.wait_for(lambda: self.pid in self._zygote.ended, timeout):
                raise subprocess.TimeoutExpired(MODULE, timeout)
        return self._zygote.ended[self.pid]

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


class Zygote:
    """Our end: one for the whole run, gone with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.news = threading.Condition()
        self.ended: dict[int, int] = {}
        self._requests = itertools.count()
        self._started: dict[int, int] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        atexit.register(self.close)

    def fork(self, argv: list[str], environ: Mapping[str, str], log: Path) -> Forked:
        request = {"argv": argv, "environ": dict(environ), "log": str(log)}
        number = next(self._requests)
        assert self._process.stdin is not None
        with self.news:
            self._process.stdin.write(json.dumps([number, request]) + "\n")
            self._process.stdin.flush()
            answers = self.news.wait_for(lambda: number in self._started, ANSWERS_S)
            assert answers, "the zygote does not answer"
            return Forked(self, self._started.pop(number))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._reader.join(60)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self.news:
                if "status" in told:
                    self.ended[told["pid"]] = told["status"]
                else:
                    self._started[told["number"]] = told["pid"]
                self.news.notify_all()


@functools.cache
def _zygote() -> Zygote:
    return Zygote()


def forked(argv: list[str], environ: Mapping[str, str], log: Path) -> Forked:
    """`python -m dfastllm_operator ARGV` with this environment, writing to the end of `log`."""
    return _zygote().fork(argv, environ, log)


def _serve() -> dict[str, object] | None:
    """Returns in each child with what it is to be, and None in the end."""
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        number, request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return dict(request)
        _tell(pid=pid, number=number)
    return None


def _reap(*_: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(pid=pid, status=os.waitstatus_to_exitcode(status))


def _tell(**what: int) -> None:
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


def _become(argv: list[str], environ: Mapping[str, str], log: str) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for ours, standard in ((nowhere, 0), (written, 1), (written, 2)):
        os.dup2(ours, standard)
    sys.argv = [MODULE, *argv]
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in PRELOADED:
        __import__(name)
    if (wanted := _serve()) is not None:
        _become(**wanted)  # type: ignore[arg-type]
