"""What the OpenAPI document says of the routes.

Bodies are parsed by hand so that errors take OpenAI's form; FastAPI therefore knows nothing of
them, and is told here. Answers are described by the same TypedDicts that build them.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dfastllm.server.protocol import ChatCompletionRequest, CompletionRequest
from dfastllm.server.responses import ChatCompletion, Completion, ErrorBody, ModelList, ModelObject

_MEANINGS = {
    400: "The request cannot be honoured as written; `param` names what is wrong with it.",
    401: "The API key is missing or wrong.",
    404: "There is no such model, or no such path.",
    405: "The method is not allowed here; `Allow` names those that are.",
    408: "The answer was not finished within its time limit.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    429: "This caller has too much in the queue or used up its rate; see `Retry-After`.",
    500: "The server made a mistake.",
    503: "Loading, draining, or too much in the queue; see `Retry-After`.",
}
_READ_ERRORS = (401, 404, 405, 429, 500, 503)
_EVENTS = {"description": "Chunks as `data:` events, the last of them `[DONE]`."}
_IGNORED_HEADER = {
    "x-dfastllm-ignored": {
        "description": "Names of parameters that were accepted without effect.",
        "schema": {"type": "string"},
    }
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route's part of the document, as keyword arguments of `add_api_route`."""

    name: str
    method: str
    summary: str
    answer: Any
    request: type[BaseModel] | None = None
    errors: tuple[int, ...] = tuple(_MEANINGS)
    path_parameters: tuple[str, ...] = ()

    def at(self, prefix: str) -> dict[str, Any]:
        where = prefix.strip("/").replace("/", "_")
        return {
            "name": self.name,
            "methods": [self.method],
            "summary": self.summary,
            "operation_id": f"{where}_{self.name}",
            "response_model": None,
            "responses": {200: self._answer(), **_errors(self.errors)},
            "openapi_extra": self._asked(),
        }

    def _asked(self) -> dict[str, Any]:
        if self.request is not None:
            return _request_body(self.request)
        return {"parameters": [_path_parameter(name) for name in self.path_parameters]}

    def _answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"model": self.answer, "description": "The answer."}
        if self.request is not None:
            answer["description"] = "The answer, or with `stream` its events."
            answer["content"] = {"text/event-stream": {"schema": _EVENTS}}
            answer["headers"] = _IGNORED_HEADER
        return answer


def _errors(statuses: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in statuses}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _request_body(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    inlined = _inline(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references: the document's own components are FastAPI's to fill."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        schema = {**definitions[name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return {key: _inline(value, definitions) for key, value in schema.items()}


MODELS = Operation("list_models", "GET", "The models served", ModelList, errors=_READ_ERRORS)
MODEL = Operation(
    "get_model",
    "GET",
    "One model",
    ModelObject,
    errors=_READ_ERRORS,
    path_parameters=("model_id",),
)
COMPLETIONS = Operation(
    "create_completion", "POST", "Complete, or fill in, a text", Completion, CompletionRequest
)
CHAT = Operation(
    "create_chat_completion",
    "POST",
    "Answer a conversation",
    ChatCompletion,
    ChatCompletionRequest,
)
