"""Typed reading of a checkpoint's JSON files: a wrong field is named, never guessed around."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from dfastllm.errors import CheckpointError


class ConfigFields:
    """One JSON object with typed access; every failure is a CheckpointError naming the field.

    `file` is the name that messages carry. A field that is null counts as absent, as in the
    published configurations.
    """

    def __init__(self, values: Mapping[str, Any], file: str = "config.json"):
        self.values = values
        self.file = file

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def count(self, name: str, default: int | None = None) -> int:
        """A positive integer; without a default the field is required."""
        value = self.values.get(name)
        if value is None:
            value = default
        if value is None:
            raise self.error(name, "is missing; a positive integer is needed")
        if not _is_int(value) or value < 1:
            raise self.error(name, f"is {value!r}; a positive integer is needed")
        return int(value)

    def number(self, name: str, default: float | None = None) -> float:
        value = self.values.get(name)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.error(name, f"is {value!r}; a number is needed")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}; true or false is needed")
        return value

    def token_ids(self, name: str, vocab_size: int) -> tuple[int, ...]:
        """One id or a list of ids below `vocab_size`; empty when absent."""
        value = self.values.get(name)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        for token in ids:
            if not _is_int(token) or not 0 <= token < vocab_size:
                raise self.error(name, f"is {value!r}; ids from 0 to {vocab_size - 1} are needed")
        return tuple(int(token) for token in ids)

    def token_id(self, name: str, vocab_size: int) -> int | None:
        ids = self.token_ids(name, vocab_size)
        if len(ids) > 1:
            raise self.error(name, f"lists {len(ids)} ids; one is needed")
        return ids[0] if ids else None

    def error(self, name: str, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.file}: {name} {problem}")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; CheckpointError when unreadable, not JSON or not an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # JSON and UTF-8 errors alike
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}; a JSON object is needed")
    return value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
