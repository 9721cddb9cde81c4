"""Operators that die in the moment of a write, and their successors."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager

from support.callledger import Recorded
from support.moves import Moves, Row
from support.operators import Stage

POLL_S = 0.05
TALKATIVE = {"log_level": "debug"}  # moves are told before they are made


class OncePerTransition:
    """Kills the operator the first time it has written each of them; they are in `killed`.

    What is there from the beginning it was killed in before.
    """

    def __init__(self, stage: Stage, killed: Set[Row] = frozenset()) -> None:
        self.killed = set(killed)
        moves = Moves(stage, self._told)
        self.on_write = moves.on_write
        self._stage = stage

    def _told(self, _: str, row: Row) -> None:
        if row not in self.killed:
            self._stage.operator.kill()
            self.killed.add(row)


class OncePerService:
    """Kills it as it has made so many writes for a service, by the service's name."""

    def __init__(self, stage: Stage, after: Mapping[str, int]) -> None:
        self._stage = stage
        self._after = after
        self._counts: Counter[str] = Counter()
        self.killed: set[str] = set()

    def on_write(self, entry: Recorded) -> None:
        name = next((n for n in self._after if belongs(entry, n)), "")
        self._counts[name] += 1
        if name and self._counts[name] == self._after[name]:
            self._stage.operator.kill()
            self.killed.add(name)


def belongs(entry: Recorded, name: str) -> bool:
    """Whether a write is to the service, to something it owns, or an Event of it."""
    written = entry.call.name
    return entry.is_write and (written == name or written.startswith((f"{name}-", f"{name}.")))


@contextmanager
def reaping(stage: Stage, on_write: Callable[[Recorded], None]) -> Iterator[None]:
    """Meanwhile an operator that was killed has a successor at once."""
    over = threading.Event()

    def revive() -> None:
        while not over.wait(POLL_S):
            if not stage.operator.running:
                stage.restart(**TALKATIVE, wait=False)  # it may be killed before it is ready

    thread = threading.Thread(target=revive, name="revival")
    stage.proxy.ledger.on_write(on_write)
    thread.start()
    try:
        yield
    finally:
        stage.proxy.ledger.forget()
        over.set()
        thread.join()
        if stage.operator.running:
            stage.operator.wait_ready()
        else:
            stage.restart(**TALKATIVE)
