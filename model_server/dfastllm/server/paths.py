"""What kind of thing a path is: who may call it without a key, and how it is named in metrics.

Everything that is not listed as open wants a key, so a new route is closed until somebody opens it.
"""

import re
from collections.abc import MutableMapping
from typing import Any

_OPEN = re.compile(
    r"/(?:health(?:/live|/ready)?|version|metrics|v2/health/(?:live|ready)|v2/models/[^/]+/ready)?"
)
_NAMED = (
    (re.compile(r"(?:/openai)?/v1/chat/completions"), "chat"),
    (re.compile(r"(?:/openai)?/v1/completions"), "completions"),
    (re.compile(r"/v1/models/.+:(?:predict|explain)"), "predict"),
    (re.compile(r"(?:/openai)?/v1/models(?:/.*)?"), "models"),
    (re.compile(r"/v2/models/.+/infer"), "infer"),
    (re.compile(r"/(?:health.*|version|v2/health/.*|v2/models/[^/]+/ready)?"), "health"),
    (re.compile(r"/metrics"), "metrics"),
)

INFERENCE = frozenset({"chat", "completions", "predict", "infer"})


def path_of(scope: MutableMapping[str, Any]) -> str:
    """The path below the prefix that a proxy strips."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def is_open(path: str) -> bool:
    return _OPEN.fullmatch(path) is not None


def name_of(path: str) -> str:
    """A name from a small fixed set: paths themselves would be labels without bound."""
    return next((name for pattern, name in _NAMED if pattern.fullmatch(path)), "other")


def is_work(scope: MutableMapping[str, Any]) -> bool:
    """Whether this request asks for work of the engine (or could: any POST)."""
    return bool(scope["method"] == "POST")
