"""Each move of a rollout in the moment in which it has been written, told as the operator dies.

The status says where a rollout is by then, and nothing was done about it yet: whoever goes on has
only what was written.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from dfastllm_operator.kinds import SERVICE_RESOURCE
from support.callledger import Recorded
from support.operators import Operator, Stage

MOVES = "rollout moves"
ACCEPTED = 300


class Row(NamedTuple):
    """A transition, as the table has it."""

    source: str
    target: str
    words: str

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}: {self.words}"


class Moves:
    """`told` is called with service and transition, before the operator hears of its write.

    `seen` has every transition there was, with the services that made it.
    """

    def __init__(self, stage: Stage, told: Callable[[str, Row], None]) -> None:
        self._stage = stage
        self._told = told
        self._log: _Log | None = None
        self.seen: dict[Row, set[str]] = {}

    def on_write(self, entry: Recorded) -> None:
        """In the thread of the proxy."""
        call, operator = entry.call, self._stage.operator
        if (call.resource, call.subresource) != (SERVICE_RESOURCE.plural, "status"):
            return
        if self._log is None or self._log.operator is not operator:
            self._log = _Log(operator)
        row = self._log.move_of(call.name)
        if row is not None and entry.status < ACCEPTED:
            self.seen.setdefault(row, set()).add(call.name)
            self._told(call.name, row)


class _Log:
    """What one operator said of its moves; it says so before it writes them."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self._offset = 0
        self._said: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._latest: dict[str, Row] = {}

    def move_of(self, name: str) -> Row | None:
        """The move that the present write to a service is; None if it is another write."""
        self._read()
        if self._taken[name] == self._said[name]:
            return None
        self._taken[name] = self._said[name]
        return self._latest[name]

    def _read(self) -> None:
        with self.operator.log_file.open() as file:
            file.seek(self._offset)
            whole, end, _ = file.read().rpartition("\n")
        self._offset += len((whole + end).encode())
        for line in whole.splitlines():
            if MOVES in line and (said := json.loads(line))["message"] == MOVES:
                name = said["service"].partition("/")[2]
                self._said[name] += 1
                self._latest[name] = Row(said["source"], said["target"], said["words"])
