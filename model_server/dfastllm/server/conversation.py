"""Chat messages as a chat template expects them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson

from dfastllm.errors import InvalidRequest
from dfastllm.server.protocol import Message, ToolCall

# Templates know neither the newest nor the oldest of OpenAI's roles.
_ROLES = {"developer": "system", "function": "tool"}


def conversation_for(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The turns for `TextCodec.encode_chat`. Raises InvalidRequest for a turn without content."""
    return [_turn(index, message) for index, message in enumerate(messages)]


def _turn(index: int, message: Message) -> dict[str, Any]:
    content = message.content if message.content is not None else message.refusal
    if content is None:
        if message.role != "assistant" or not message.tool_calls:
            param = f"messages.{index}.content"
            raise InvalidRequest(f"The parameter '{param}' is required.", param=param)
        content = ""
    turn: dict[str, Any] = {"role": _ROLES.get(message.role, message.role), "content": content}
    if message.name is not None:
        turn["name"] = message.name
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    return turn


def _call(call: ToolCall) -> dict[str, Any]:
    """Templates write the arguments out as JSON themselves, so they get them parsed."""
    arguments: Any = call.function.arguments
    with suppress(orjson.JSONDecodeError):  # else as the client sent it: history is history
        arguments = orjson.loads(arguments)
    function = {"name": call.function.name, "arguments": arguments}
    return {"id": call.id, "type": call.type, "function": function}
