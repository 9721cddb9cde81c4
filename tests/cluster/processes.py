"""The cluster's programs as processes: a log file each, waited for with a bound, stopped by id.

A keeper is told of each. Of a rig it is a guard process, which ends them if their owner could not
(`guard.py`); of a cluster that is to outlive the command that started it, a register on disk
(`register.py`).
"""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

DEADLINE_S = 60.0  # a machine may be busy; nothing of the rig takes that long on an idle one
GRACE_S = 5.0
POLL_S = 0.03
REQUEST_S = 30.0


class NotReady(Exception):
    """A program ended, or did not answer in time; with the end of its log."""


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise NotReady(f"not within {deadline_s} s: {what}")
        time.sleep(POLL_S)


def fetch(request: Request | str, context: ssl.SSLContext | None = None) -> bytes:
    """The body of the answer, never by way of a proxy; what is not 2xx raises."""
    handlers = [ProxyHandler({}), HTTPSHandler(context=context)]
    with build_opener(*handlers).open(request, timeout=REQUEST_S) as response:
        return bytes(response.read())


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    try:
        fetch(url, context)
    except (OSError, HTTPException):  # an answer that is not 2xx is an OSError too
        return False
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how it shows that it can be used."""

    argv: tuple[str, ...]
    ready: Callable[[], bool]
    environ: Mapping[str, str] = field(default_factory=dict)


class Keeper(Protocol):
    """Sees to it that what an owner started ends some day."""

    def environ(self, name: str) -> Mapping[str, str]:
        """What the program of that name shall find in its environment."""

    def begun(self, name: str, program: Program, pid: int) -> None: ...

    def ended(self, name: str, pid: int) -> None: ...

    def close(self) -> None:
        """The owner stopped everything."""


class Process:
    """One program, which can be stopped and started again as it was."""

    def __init__(self, program: Program, log: Path, keeper: Keeper):
        self.program = program
        self.log = log
        self._keeper = keeper
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return self.log.stem

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        return self._popen.pid if self._popen and self._popen.poll() is None else None

    def start(self) -> None:
        assert self.pid is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._keeper.environ(self.name), **self.program.environ},
                start_new_session=True,  # an interrupt from the keyboard is the rig's to handle
            )
        self._keeper.begun(self.name, self.program, self._popen.pid)

    def wait_ready(self, deadline_s: float = DEADLINE_S) -> None:
        def alive_and_ready() -> bool:
            if self.pid is None:
                raise NotReady("it ended")
            return self.program.ready()

        try:
            until(alive_and_ready, "ready", deadline_s)
        except NotReady as error:
            raise NotReady(f"{self.name}: {error}; {self.log} ends\n{self.tail()}") from error

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Asked first, unless there is no `grace_s`; killed where that does not help."""
        if self._popen is None:
            return
        if grace_s > 0:
            self._popen.terminate()
            try:
                self._popen.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        else:
            self._popen.kill()
        self._popen.wait(GRACE_S)
        self._keeper.ended(self.name, self._popen.pid)
        self._popen = None

    def leave(self) -> None:
        """To itself: it goes on when this process ends, and somebody else stops it."""
        if self._popen is not None:
            self._popen.returncode = 0  # or its end would be complained of as never waited for
            self._popen = None


class Guard:
    """The owner's end of `guard.py`."""

    def __init__(self, folder: Path):
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", Path(__file__).with_name("guard.py"), folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def environ(self, name: str) -> Mapping[str, str]:
        return {}

    def begun(self, name: str, program: Program, pid: int) -> None:
        self.started(pid)

    def ended(self, name: str, pid: int) -> None:
        self.stopped(pid)

    def started(self, pid: int) -> None:
        self._tell(f"+{pid}\n")

    def stopped(self, pid: int) -> None:
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """It removes the folder and ends."""
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait(DEADLINE_S)

    def _tell(self, line: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(line.encode())
        self._popen.stdin.flush()


class Processes:
    """All of a cluster's, by name; started in order, stopped in reverse."""

    def __init__(self, folder: Path, keeper: Keeper | None = None):
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._keeper = keeper or Guard(folder)
        self._by_name: dict[str, Process] = {}

    def __getitem__(self, name: str) -> Process:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Process]:
        return iter(self._by_name.values())

    def start(self, name: str, program: Program) -> Process:
        process = Process(program, self._logs / f"{name}.log", self._keeper)
        self._by_name[name] = process
        process.start()
        return process

    def leave(self) -> None:
        for process in self:
            process.leave()

    def stop(self) -> None:
        """At once: there is no state to save, and etcd's clients hang when it leaves first."""
        try:
            for process in reversed(self._by_name.values()):
                process.stop(grace_s=0)
        finally:
            self._keeper.close()
