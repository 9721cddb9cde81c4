"""What can be wrong with an API server: conditions on requests, and what then happens to them."""

import re
from dataclasses import dataclass, field

from support.apicall import Call

REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The proxy answers with this error itself; nothing reaches the API server."""

    status: int
    retry_after_s: int | None = None
    message: str = "the proxy says so"

    def body(self) -> dict[str, object]:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": REASONS.get(self.status, "Unknown"),
            "code": self.status,
        }


@dataclass(frozen=True, slots=True)
class Delay:
    """The request arrives that much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends before the API server has heard of the request."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The API server carries the request out, and the connection ends before its answer."""


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A watch starts well and then ends with an error as its event; 410 is a version too old."""

    status: int = 410


@dataclass(frozen=True, slots=True)
class StaleList:
    """A list is answered as it was when the fault was made: a server that lags behind."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Each event of a watch comes twice."""


@dataclass(frozen=True, slots=True)
class Coalesce:
    """Of the events for one object within the window only the last is delivered."""

    window_s: float


Fault = Answer | Delay | Drop | LoseAnswer | ErrorEvent | StaleList | Duplicate | Coalesce


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests; what is left empty matches all. `writes` leaves Leases out."""

    verbs: frozenset[str] = frozenset()
    resource: str = ""
    subresource: str | None = None
    name: str = ""
    path: str = ""  # a regular expression, on the path with its query
    writes: bool = False

    def __call__(self, call: Call, path: str) -> bool:
        return (
            (not self.verbs or call.verb in self.verbs)
            and self.resource in ("", call.resource)
            and self.subresource in (None, call.subresource)
            and self.name in ("", call.name)
            and (not self.writes or (call.is_write and not call.is_lease))
            and re.search(self.path, path) is not None
        )


@dataclass(slots=True)
class Rule:
    """A fault and its condition: lets `skip` matching requests pass, then hits `times` of them."""

    fault: Fault
    match: Match = field(default_factory=Match)
    skip: int = 0
    times: int | None = None
    seen: int = 0
    hits: int = 0

    def due(self, call: Call, path: str) -> bool:
        """Whether this request is hit; counts it."""
        if not self.match(call, path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True
