"""Parameters other servers know and this one lacks: which values of them change nothing.

A value that asks for something we do not do is refused by name, because an answer that silently
ignores `response_format` is worse than none. Values that ask for nothing are accepted, since many
clients write defaults out. Names in no table are ignored, and the caller is told which.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dfastllm.errors import InvalidRequest

Neutral = Callable[[Any, Mapping[str, Any]], bool]


def _number(value: float) -> Neutral:
    return lambda given, _: type(given) in (int, float) and given == value


def _flag(value: bool) -> Neutral:
    return lambda given, _: given is value


def _one_of(*values: str) -> Neutral:
    return lambda given, _: isinstance(given, str) and given in values


def _empty(given: Any, _: Mapping[str, Any]) -> bool:
    return isinstance(given, list | dict) and not given


def _never(given: Any, _: Mapping[str, Any]) -> bool:
    return False


def _best_of(given: Any, body: Mapping[str, Any]) -> bool:
    n = body.get("n")
    return type(given) is int and 0 <= given <= (n if type(n) is int else 1)


def _tools(given: Any, body: Mapping[str, Any]) -> bool:
    return isinstance(given, list) and (not given or body.get("tool_choice") == "none")


def _plain_text(given: Any, _: Mapping[str, Any]) -> bool:
    return isinstance(given, dict) and given == {"type": "text"}


def _text_only(given: Any, _: Mapping[str, Any]) -> bool:
    return isinstance(given, list) and all(item == "text" for item in given)


_SHARED: dict[str, Neutral] = {
    "presence_penalty": _number(0),
    "frequency_penalty": _number(0),
    "repetition_penalty": _number(1),
    "length_penalty": _number(1),
    "min_p": _number(0),
    "min_tokens": _number(0),
    "best_of": _best_of,
    "use_beam_search": _flag(False),
    "stop_token_ids": _empty,
    "bad_words": _empty,
    "allowed_token_ids": _empty,
    "logits_processors": _empty,
    "logprob_token_ids": _empty,
    "prompt_logprobs": _never,
    "prompt_embeds": _never,
    "truncate_prompt_tokens": _never,
    "include_stop_str_in_output": _flag(False),
    "spaces_between_special_tokens": _flag(True),
    "return_tokens_as_token_ids": _flag(False),
    "response_format": _plain_text,
    "structured_outputs": _empty,
    "structural_tag": _never,
    "guided_json": _never,
    "guided_json_object": _flag(False),
    "guided_regex": _never,
    "guided_choice": _empty,
    "guided_grammar": _never,
    "guided_decoding_backend": _never,
    "guided_whitespace_pattern": _never,
    "repetition_detection": _empty,
    "kv_transfer_params": _empty,
    "vllm_xargs": _empty,
    "lora_request": _never,
}

CHAT: dict[str, Neutral] = _SHARED | {
    "tools": _tools,
    "tool_choice": _one_of("none", "auto"),
    "functions": _empty,
    "function_call": _one_of("none", "auto"),
    "modalities": _text_only,
    "audio": _never,
    "web_search_options": _never,
    "add_generation_prompt": _flag(True),
    "continue_final_message": _flag(False),
    "add_special_tokens": _flag(False),
    "chat_template": _never,
    "chat_template_kwargs": _empty,
    "documents": _empty,
    "mm_processor_kwargs": _empty,
    "media_io_kwargs": _empty,
    "echo": _flag(False),
    "prompt": _never,
    "suffix": _never,
}

COMPLETIONS: dict[str, Neutral] = _SHARED | {
    "top_logprobs": _number(0),
    "messages": _never,
    "tools": _empty,
    "tool_choice": _one_of("none", "auto"),
    "functions": _empty,
    "function_call": _one_of("none", "auto"),
}

_REASONS = {
    "tools": "this server has no tool calling",
    "tool_choice": "this server has no tool calling",
    "functions": "this server has no function calling",
    "function_call": "this server has no function calling",
    "response_format": "only the format 'text' is given",
    "best_of": "no more candidates than 'n' are computed",
    "include_stop_str_in_output": "stop strings are never part of the text",
    "truncate_prompt_tokens": "prompts are never cut",
    "prompt_logprobs": "a masked model has no left-to-right likelihood of a prompt",
    "modalities": "only text is answered",
}


def sift(
    body: Mapping[str, Any], known: Iterable[str], refused: Mapping[str, Neutral]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Split a request into what we honour and the names of what we ignore.

    A null counts as left out. Raises InvalidRequest for a parameter that we would have to obey.
    """
    honoured: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in body.items():
        if value is None:
            continue
        if name in known:
            honoured[name] = value
        elif name not in refused:
            ignored.append(name)
        elif not refused[name](value, body):
            raise unsupported(name, _REASONS.get(name))
    return honoured, tuple(ignored)


def unsupported(name: str, reason: str | None = None) -> InvalidRequest:
    message = f"The parameter '{name}' is not supported with this value"
    return InvalidRequest(
        f"{message}: {reason}." if reason else f"{message}.",
        param=name,
        code="unsupported_parameter",
    )
