"""API keys from a file or a mounted Secret, read again when they change.

Three forms: a YAML mapping `name: key` (or `name: {key: ..., min_priority: ..., request_rate: ...,
token_rate: ...}`), lines `name=key`, or a directory with one file per key, named as the key.
Only digests stay in memory, and every one is compared, so time tells nothing about a guess.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from limits import parse

from dfastllm.errors import DFastError
from dfastllm.server.context import Caller

log = logging.getLogger(__name__)

_CHECK_EVERY_S = 1.0
_FIELDS = frozenset({"key", "min_priority", "request_rate", "token_rate"})


class KeysError(DFastError):
    """A keys file that cannot be used; the text never holds a key."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who holds this key, and what it may do; rates replace the server's own."""

    caller: Caller
    digest: bytes
    request_rate: str | None = None
    token_rate: str | None = None


class KeyStore:
    """The keys in force. Raises KeysError when they cannot be read at the start."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic):
        self._path = path
        self._clock = clock
        self._checked = clock()
        self._signature = _signature(path)
        self._keys = read_keys(path)
        if not self._keys:
            raise KeysError(f"API keys in {path}: there are none; no request could be accepted")

    def find(self, presented: str) -> ApiKey | None:
        self._refresh()
        digest = _digest(presented)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._checked < _CHECK_EVERY_S:
            return
        self._checked = now
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._keys = read_keys(self._path)
        except KeysError as error:
            # A half-written file must not lock everybody out.
            log.error("API keys could not be read again, the former ones stay: %s", error)
        else:
            log.info("API keys read again: %d", len(self._keys))


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """All keys at this path. Raises KeysError."""
    try:
        entries = _from_directory(path) if path.is_dir() else _from_file(path)
    except OSError as error:
        raise KeysError(f"API keys in {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysError(f"API keys in {path}: not UTF-8 text") from None
    keys = tuple(_key(path, str(name), entry) for name, entry in entries.items())
    if len({key.digest for key in keys}) < len(keys):
        raise KeysError(f"API keys in {path}: two names have the same key")
    return keys


def _from_directory(path: Path) -> dict[str, Any]:
    # A mounted Secret also holds `..data` and the like.
    files = (file for file in sorted(path.iterdir()) if not file.name.startswith("."))
    return {file.name: file.read_text("utf-8").strip() for file in files if file.is_file()}


def _from_file(path: Path) -> Mapping[str, Any]:
    text = path.read_text("utf-8")
    try:
        # BaseLoader leaves every scalar a string: a key of digits stays what was written.
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        content = None
    if isinstance(content, dict):
        return content
    lines = (line.strip() for line in text.splitlines())
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    if not all(separator for _, separator, _ in pairs):
        raise KeysError(f"API keys in {path}: neither a YAML mapping nor lines `name=key`")
    return {name.strip(): key.strip() for name, _, key in pairs}


def _key(path: Path, name: str, entry: Any) -> ApiKey:
    where = f"API keys in {path}: {name}"
    fields = {"key": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS:
        raise KeysError(f"{where}: a key or a mapping of {', '.join(sorted(_FIELDS))} is expected")
    key = fields.get("key")
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or not key:
        raise KeysError(f"{where}: the key must be printable ASCII and not empty")
    try:
        priority = int(fields.get("min_priority", 0))
        for rate in ("request_rate", "token_rate"):
            if fields.get(rate):
                parse(fields[rate])
    except (TypeError, ValueError) as error:
        raise KeysError(f"{where}: {error}") from None
    caller = Caller(name=name, min_priority=priority)
    return ApiKey(
        caller, _digest(key), fields.get("request_rate") or None, fields.get("token_rate") or None
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _signature(path: Path) -> object:
    """Changes when the content may have changed; a Secret's files are links that move at once."""
    try:
        paths = sorted(path.iterdir()) if path.is_dir() else [path]
        stats = ((file.name, file.stat()) for file in paths)
        return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)
    except OSError as error:
        return error.errno
