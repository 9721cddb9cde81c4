"""What the engine reports while it runs. The metrics module implements it; the default is deaf."""

from typing import Literal, Protocol

from dfastllm.core import RequestStats

StepKind = Literal["block", "refresh", "mixed"]
Outcome = Literal["stop", "length", "deadline", "cancelled", "error"]


class EngineObserver(Protocol):
    """Called from the engine thread; must be quick and must not raise."""

    def step(
        self,
        seconds: float,
        kind: StepKind,
        rows: int,
        fed_tokens: int,
        committed: int,
        canvas_tokens: int | None = None,
    ) -> None:
        """One forward; tokens are counted over all rows.

        `kind` is refresh when every row fed its whole sequence, block when none did;
        `canvas_tokens` are the answer positions among the fed ones. What another network reads as
        context is among both.
        """

    def context_read(self, fed_tokens: int) -> None:
        """One forward of the network that reads the context; told before the step it is part of."""

    def verified(self, seconds: float, forwards: int, fed_tokens: int) -> None:
        """The drafts of one step were judged by the verifier."""

    def set_load(self, running: int, waiting: int) -> None: ...

    def set_kv(self, used: int, total: int) -> None:
        """K/V memory in pages."""

    def set_verifier_kv(self, used: int, total: int) -> None:
        """The verifier's K/V memory in pages."""

    def finished(self, stats: RequestStats, outcome: Outcome) -> None:
        """A request left: `outcome` is stop, length, deadline, cancelled or error."""


class Deaf:
    """Hears nothing."""

    def step(
        self,
        seconds: float,
        kind: StepKind,
        rows: int,
        fed_tokens: int,
        committed: int,
        canvas_tokens: int | None = None,
    ) -> None: ...

    def context_read(self, fed_tokens: int) -> None: ...

    def verified(self, seconds: float, forwards: int, fed_tokens: int) -> None: ...

    def set_load(self, running: int, waiting: int) -> None: ...

    def set_kv(self, used: int, total: int) -> None: ...

    def set_verifier_kv(self, used: int, total: int) -> None: ...

    def finished(self, stats: RequestStats, outcome: Outcome) -> None: ...
