"""Types of single fields that pydantic cannot check, or not with an error one could read."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_TEXT = {"type": "string"}
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def _integral(value: Any) -> Any:
    """JSON has one kind of number: 2.0 is an integer to JSON Schema, thus to our own document."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Int = Annotated[int, BeforeValidator(_integral)]


def _prompt(value: Any) -> Any:
    """Check the four forms by hand: a pydantic union would report each element four times."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError("must be a string, a list of strings, token ids, or lists of token ids")
    kinds = {type(item) for item in value}
    if kinds == {list}:
        kinds = {type(item) for ids in value for item in ids}
        if kinds != {int} or not all(value):
            raise ValueError("lists of token ids must hold integers and must not be empty")
    elif len(kinds) != 1 or not kinds <= {str, int}:
        raise ValueError("must hold strings only, or token ids only")
    return value


def _stop(value: Any) -> Any:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise ValueError("must be a string or a list of strings")
    if not all(stops):
        raise ValueError("must not hold an empty string")
    if any(len(stop) > 1024 for stop in stops):
        raise ValueError("must not hold a string of more than 1024 characters")
    return stops


def _text_of(value: Any) -> Any:
    """The text of a message: a string as it is, text parts joined by newlines."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "refusal"):
            name = repr(kind[:40]) if isinstance(kind, str) else "without a type"
            raise ValueError(f"parts of type 'text' are understood, not one {name}")
        text = part.get(kind)
        if not isinstance(text, str):
            raise ValueError("a text part needs its 'text', a string")
        texts.append(text)
    return "\n".join(texts)


Text = Annotated[
    str,
    BeforeValidator(_text_of),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"type": {"enum": ["text"]}, "text": _TEXT},
                        "required": ["type", "text"],
                    },
                },
            ]
        }
    ),
]

Stop = Annotated[
    list[str],
    BeforeValidator(_stop),
    WithJsonSchema(
        {"anyOf": [_TEXT | {"minLength": 1}, {"type": "array", "items": _TEXT | {"minLength": 1}}]}
    ),
]
Prompt = Annotated[
    Any,
    BeforeValidator(_prompt),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {"type": "array", "items": _TEXT, "minItems": 1},
                _IDS,
                {"type": "array", "items": _IDS, "minItems": 1},
            ]
        }
    ),
]
