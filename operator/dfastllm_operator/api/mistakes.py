"""A user's mistakes in words: which field, what it holds, what is right."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

LONGEST_VALUE = 80
MOST_MISTAKES = 5
_HIDDEN = {"value"}
"""Fields whose value is not repeated: variables often hold secrets."""
_TYPES = {
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "int_parsing": "must be an integer",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}


def describe(error: ValidationError, model: type[BaseModel], root: str = "spec") -> str:
    """One sentence per mistake, at most five of them."""
    every = error.errors(include_url=False)
    mistakes = [mistake for mistake in every if not _is_consequence(mistake, every)]
    told = [_sentence(mistake, model, root) for mistake in mistakes[:MOST_MISTAKES]]
    if len(mistakes) > MOST_MISTAKES:
        told.append(f"and {len(mistakes) - MOST_MISTAKES} more")
    return "; ".join(told)


def _is_consequence(mistake: ErrorDetails, every: Sequence[ErrorDetails]) -> bool:
    """A list that is too short because what is wrong in it does not count."""
    place = mistake["loc"]
    within = (one["loc"] for one in every if len(one["loc"]) > len(place))
    return mistake["type"] == "too_short" and any(loc[: len(place)] == place for loc in within)


def _sentence(mistake: ErrorDetails, model: type[BaseModel], root: str) -> str:
    place = [part for part in mistake["loc"] if part != "[key]"]
    path = _path(root, place)
    match mistake["type"]:
        case "missing":
            return f"{path} is missing: {_meaning(place, model)}"
        case "extra_forbidden":
            return f"{path} is not a field of this version{_did_you_mean(place, model)}"
        case "rule":
            context = mistake.get("ctx", {})
            path += context["field"]
            shown = _shown(_follow(mistake["input"], context["field"]), path)
            return f"{path}{shown}: {context['message']}"
        case "string_pattern_mismatch":
            pattern = mistake.get("ctx", {})["pattern"]
            shown = _shown(mistake["input"], path)
            return f"{path}{shown}: must match {pattern}. {_meaning(place, model)}"
        case kind:
            wanted = _TYPES.get(kind) or re.sub(r"^.*? should ", "must ", mistake["msg"])
            wanted = re.sub(r" after validation, not \d+$", "", wanted)
            return f"{path}{_shown(mistake['input'], path)}: {wanted}"


def _path(root: str, place: Sequence[int | str]) -> str:
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def _follow(value: Any, field: str) -> Any:
    for part in filter(None, field.split(".")):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _shown(value: Any, path: str) -> str:
    """` is VALUE` for short plain values."""
    plain = isinstance(value, str | int | float | bool)
    if not plain or path.rpartition(".")[2] in _HIDDEN:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f" is {text}" if len(text) <= LONGEST_VALUE else f" is {text[:LONGEST_VALUE]}..."


def _did_you_mean(place: Sequence[int | str], model: type[BaseModel]) -> str:
    owner = _owner(place, model)
    known = [info.alias or name for name, info in owner.model_fields.items()] if owner else []
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _meaning(place: Sequence[int | str], model: type[BaseModel]) -> str:
    """The description of the field at `place`, or of what contains it."""
    while place:
        owner = _owner(place, model)
        info = _field(owner, place[-1]) if owner else None
        if info is not None and info.description:
            return info.description
        place = place[:-1]
    return ""


def _owner(place: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that the field at `place` belongs to."""
    owner: type[BaseModel] | None = model
    for part in place[:-1]:
        if isinstance(part, int) or owner is None:
            continue
        info = _field(owner, part)
        owner = _model_in(info.annotation) if info else None
    return owner


def _field(model: type[BaseModel], key: int | str) -> FieldInfo | None:
    return next((info for info in model.model_fields.values() if info.alias == key), None)


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model in a type, be it optional or a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    for part in getattr(kind, "__args__", ()):
        if (found := _model_in(part)) is not None:
            return found
    return None
