"""Every error dfastllm raises on purpose.

    DFastError
    ├── InvalidRequest          the caller's mistake; names the parameter
    │   └── PromptTooLong       prompt plus answer exceed the context
    ├── CheckpointError         a model directory that cannot be served, and why
    ├── Overloaded              the queue is full; try again later
    ├── NotReady                loading or draining; try again later
    ├── DeadlineExceeded        the request's own time limit passed
    ├── Cancelled               the caller went away
    ├── RowFailed               this request's row broke; the others go on
    └── EngineFailed            the engine thread died; the process should be replaced

How these become HTTP is a table in `server/errors.py`; nothing here knows of it.
"""


class DFastError(Exception):
    """Base of all errors raised on purpose."""


class InvalidRequest(DFastError):
    """The request cannot be honoured as written.

    `param` is the name the caller used (dotted for nested ones, `diffusion.steps`), `code` a
    short machine-readable reason such as `unsupported_parameter` or `invalid_value`.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_value"):
        super().__init__(message)
        self.param = param
        self.code = code


class PromptTooLong(InvalidRequest):
    """Prompt and answer together exceed what the model or the K/V memory can hold."""

    def __init__(self, message: str, *, param: str = "messages"):
        super().__init__(message, param=param, code="context_length_exceeded")


class CheckpointError(DFastError):
    """A model directory, tokenizer or weight file that cannot be served; the text says why."""


class Overloaded(DFastError):
    """The queue is full.

    `retry_after_s` is a whole number of seconds; `scope` is `server` when the whole queue is
    full, `key` when only this caller's share is used up.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1, scope: str = "server"):
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.scope = scope


class NotReady(DFastError):
    """The server is loading or draining."""

    def __init__(self, message: str, *, retry_after_s: int = 5):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(DFastError):
    """The request did not finish within its time limit."""


class Cancelled(DFastError):
    """The caller cancelled the request or disconnected."""


class RowFailed(DFastError):
    """One request failed inside the engine (non-finite logits, memory, a bug); others go on."""


class EngineFailed(DFastError):
    """The engine is dead; no request can be served by this process any more."""
