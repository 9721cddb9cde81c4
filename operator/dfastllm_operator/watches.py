"""All watches of the process: one for each kind that is served and each namespace."""

import asyncio
from collections.abc import Callable, Iterable

from dfastllm_operator.kinds import Kind
from dfastllm_operator.store import Store
from dfastllm_operator.watch import Wake, Watch

Make = Callable[[Kind, str | None], Watch]


class Watches:
    """The running watches. `make` builds one for a kind and a namespace (None: all)."""

    def __init__(self, scopes: Iterable[str | None], store: Store, wake: Wake, make: Make) -> None:
        self._scopes = tuple(scopes)
        self._store = store
        self._wake = wake
        self._make = make
        self._running: dict[Kind, list[tuple[Watch, asyncio.Task[None]]]] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the error of a watch that ended, which none ever should."""

    def serve(self, kinds: Iterable[Kind]) -> None:
        """Watch these kinds and no others; what is known of the others is forgotten."""
        wanted = set(kinds)
        for kind in wanted - set(self._running):
            self._running[kind] = [self._start(kind, scope) for scope in self._scopes]
        for kind in set(self._running) - wanted:
            for _, task in self._running.pop(kind):
                task.cancel()
            for key in self._store.forget_kind(kind):
                self._wake(key)

    async def synced(self) -> None:
        """Return once every kind has been listed."""
        for watch in self._all():
            await watch.synced.wait()

    def silent(self, longer_than_s: float) -> list[str]:
        """Watches that brought nothing for so long, in words."""
        return [
            f"the watch of {watch.kind.plural} has been silent for {watch.silent_s():.0f} s"
            for watch in self._all()
            if watch.silent_s() > longer_than_s
        ]

    async def close(self) -> None:
        tasks = [task for running in self._running.values() for _, task in running]
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.failed.cancel()

    def _all(self) -> list[Watch]:
        return [watch for running in self._running.values() for watch, _ in running]

    def _start(self, kind: Kind, scope: str | None) -> tuple[Watch, asyncio.Task[None]]:
        watch = self._make(kind, scope)
        task = asyncio.create_task(watch.run(), name=f"watch {kind.plural}")
        task.add_done_callback(self._ended)
        return watch, task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.failed.done():
            return
        error = task.exception()
        if error is not None:
            self.failed.set_exception(error)
