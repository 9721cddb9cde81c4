"""Every request a proxy has seen, and who wants to hear of the k-th write."""

from collections.abc import Callable
from dataclasses import dataclass

from support.apicall import Call

Permission = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request and its answer; `faked` when the API server never saw it."""

    call: Call
    status: int
    faked: bool = False

    @property
    def is_write(self) -> bool:
        """Of what counts: Leases are renewed all the time."""
        return self.call.is_write and not self.call.is_lease and not self.faked

    @property
    def permissions(self) -> set[Permission]:
        """What it took: server-side apply of an object that is not there creates it."""
        needed = {self.call.permission}
        if self.call.verb == "patch" and self.status == 201:
            needed.add(self.call._replace(verb="create").permission)
        return needed


class CallLedger:
    """Written by the proxy's thread, read by the tests' thread."""

    def __init__(self) -> None:
        self._calls: list[Recorded] = []
        self._writes = 0
        self._after: tuple[int, Callable[[Call], None]] | None = None
        self._listener: Callable[[Recorded], None] | None = None

    def note(self, call: Call, status: int, *, faked: bool = False) -> None:
        entry = Recorded(call, status, faked)
        self._calls.append(entry)
        if not entry.is_write:
            return
        self._writes += 1
        if self._listener is not None:
            self._listener(entry)
        if self._after is not None and self._writes == self._after[0]:
            _, callback = self._after
            self._after = None
            callback(call)

    def after_write(self, count: int, callback: Callable[[Call], None]) -> None:
        """Call back when `count` further writes are done, before the client hears of the last."""
        self._after = (self._writes + count, callback)

    def on_write(self, listener: Callable[[Recorded], None]) -> None:
        """Call back for each write that is done, before the client hears of it."""
        self._listener = listener

    def forget(self) -> None:
        """Nobody is to be called back any more."""
        self._after = None
        self._listener = None

    @property
    def calls(self) -> list[Recorded]:
        return list(self._calls)

    @property
    def writes(self) -> list[Call]:
        """Those that reached the API server, Leases left out."""
        return [entry.call for entry in self.calls if entry.is_write]

    @property
    def permissions(self) -> set[Permission]:
        """What all that was asked of the API server took; addresses that are no resource aside."""
        return {
            permission
            for entry in self.calls
            if entry.call.resource and not entry.faked
            for permission in entry.permissions
        }
