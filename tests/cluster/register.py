"""What of a cluster runs, on disk: its programs outlive the command that started them.

Every program, and so everything that it starts, carries the path of its entry in its environment.
That is how a later command finds all of it, however the earlier one ended, and nothing else.
"""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.processes import Process, Program, until

MARK = "DFASTLLM_CLUSTER_PROGRAM"
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Running:
    """A process: of which program, its own name, how much of it is in memory."""

    program: str
    pid: int
    name: str
    resident_bytes: int


class Register:
    """The keeper of the programs of the cluster in `folder`."""

    def __init__(self, folder: Path, environ: Mapping[str, str]):
        """All programs find `environ` in theirs."""
        self._logs = folder / "logs"
        self._entries = folder / "programs"
        self._environ = environ

    def environ(self, name: str) -> Mapping[str, str]:
        return {**self._environ, MARK: str(self._entry(name))}

    def begun(self, name: str, program: Program, pid: int) -> None:
        self._entries.mkdir(exist_ok=True)
        unfinished = self._entries / f".{name}"
        unfinished.write_text(json.dumps([program.argv, dict(program.environ)]))
        unfinished.rename(self._entry(name))

    def ended(self, name: str, pid: int) -> None:
        """Its entry stays: it can be started again."""

    def close(self) -> None:
        """Nothing to do: nothing but the processes themselves tells that they run."""

    def names(self) -> list[str]:
        return sorted(entry.stem for entry in self._entries.glob("*.json"))

    def start(self, name: str) -> None:
        """As it was, unless it runs."""
        argv, environ = json.loads(self._known(name).read_text())
        if list(self.running(name)):
            return
        process = Process(Program(tuple(argv), lambda: True, environ), self.log(name), self)
        process.start()
        process.leave()

    def kill(self, name: str | None = None) -> None:
        """As if it had crashed, or all of them; returns when nothing of it is left."""
        if name is not None:
            self._known(name)

        def gone() -> bool:
            pids = [process.pid for process in self.running(name)]
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not pids

        until(gone, f"{name or 'all programs'} gone")

    def log(self, name: str) -> Path:
        self._known(name)
        return self._logs / f"{name}.log"

    def running(self, name: str | None = None) -> Iterator[Running]:
        """The processes of the program, or of all."""
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            with suppress(OSError):  # it ended meanwhile
                program = self._program(pid)
                if program and name in (None, program):
                    process = Path(f"/proc/{pid}")
                    pages = int((process / "statm").read_text().split()[1])
                    comm = (process / "comm").read_text().strip()
                    yield Running(program, pid, comm, pages * PAGE)

    def _program(self, pid: int) -> str | None:
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            key, _, value = os.fsdecode(variable).partition("=")
            if key == MARK and Path(value).parent == self._entries:
                return Path(value).stem
        return None  # of others; or dead, and its parent has not asked after it yet

    def _known(self, name: str) -> Path:
        if (entry := self._entry(name)).exists():
            return entry
        raise LookupError(f"no {name!r}; there are {', '.join(self.names())}")

    def _entry(self, name: str) -> Path:
        return self._entries / f"{name}.json"
