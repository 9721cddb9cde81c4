"""Errors of the operator.

::

    OperatorError
    ├── Refuse            the CR cannot be carried out as written; becomes a condition
    ├── ApiError          the API server answered with an error
    │   ├── NotFound      404
    │   ├── Conflict      409: somebody else owns a field, or wrote first
    │   ├── Invalid       400, 422: the object itself is wrong; the same again fails again
    │   ├── Forbidden     401, 403: a permission is missing
    │   └── Busy          429, 5xx, or no answer at all: try again later
    ├── Departed          the CR is gone or going, which was not known yet
    └── LeaseLost         another replica leads now
"""

from typing import Any


class OperatorError(Exception):
    """Root of everything the operator raises on purpose."""


class Refuse(OperatorError):
    """The CR cannot be carried out as written.

    `reason` is a CamelCase word for the condition, `message` says which field to change and how.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class ApiError(OperatorError):
    """The API server refused or failed a request.

    `status` is the HTTP status, 0 when there was no answer. `retry_after_s` is the server's wish.
    """

    def __init__(
        self, message: str, *, status: int = 0, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class NotFound(ApiError):
    """The object, or the kind itself, is not there."""


class Conflict(ApiError):
    """Another manager owns a field that was applied without force, or the object has moved on."""


class Invalid(ApiError):
    """The object was refused; applying the same again would fail again."""


class Forbidden(ApiError):
    """The operator's account lacks a permission."""


class Busy(ApiError):
    """The server is overloaded, broken or unreachable; worth another try."""


class Departed(OperatorError):
    """The service is deleted, being deleted, or another one by now; `present` is what there is."""

    def __init__(self, message: str, present: dict[str, Any] | None) -> None:
        super().__init__(message)
        self.present = present


class LeaseLost(OperatorError):
    """Another replica leads now, or may; nothing may be written any more."""
