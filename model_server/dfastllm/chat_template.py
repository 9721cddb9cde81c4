"""A checkpoint's chat template: Jinja in a sandbox, rendered once per conversation.

The environment matches the one `apply_chat_template` of transformers uses (block trimming, loop
controls, `raise_exception`, `strftime_now`, unescaped `tojson`, the `generation` tag); importing
transformers for it would cost more than a second at every start.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dfastllm.errors import CheckpointError, InvalidRequest


class ChatTemplate:
    """One compiled template; `special_tokens` are its variables `bos_token`, `eos_token`, ...

    Raises CheckpointError when the source does not compile.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]):
        self._special_tokens = dict(special_tokens)
        try:
            self._template = _environment().from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"the chat template does not compile: {error}") from error

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The conversation as text, assistant turn opened.

        Raises InvalidRequest when the template refuses the messages or stumbles over them.
        """
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=True,
                tools=None,
                documents=None,
                **self._special_tokens,
            )
        # A template computes with what the caller sent: any of these is about the messages.
        except (
            TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError,
            RecursionError,
        ) as error:  # fmt: skip
            raise InvalidRequest(
                f"the model's chat template refuses these messages: {error}", param="messages"
            ) from error


def pick_template(templates: object) -> str | None:
    """The template to use out of a `chat_template` field: a string, or several with names.

    Of several, the one called `default`, else the only one. Raises CheckpointError otherwise.
    """
    if templates is None or isinstance(templates, str):
        return templates
    named: dict[str, object] = {}
    if isinstance(templates, dict):
        named = templates
    elif isinstance(templates, list) and all(isinstance(entry, dict) for entry in templates):
        named = {str(entry.get("name")): entry.get("template") for entry in templates}
    if not named:
        return None
    chosen = named.get("default", next(iter(named.values())) if len(named) == 1 else None)
    if not isinstance(chosen, str):
        raise CheckpointError(
            f"tokenizer_config.json: chat_template has {', '.join(sorted(named))}, none is default"
        )
    return chosen


class _GenerationTag(Extension):
    """`{% generation %}` marks what an assistant said, for training; here its body is just text."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Macro) -> str:
        return str(caller())


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
