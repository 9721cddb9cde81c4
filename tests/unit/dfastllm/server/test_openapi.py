"""The OpenAPI document says what the routes do; schemathesis holds them to it."""

from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from starlette.testclient import TestClient

from support.scripted import ScriptedGenerator, bare_app, scripted_app, server_context

DOCUMENT = scripted_app().openapi()
CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
]
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", bare_app(server_context(ScriptedGenerator()))
)
# The other prefix has the same endpoints under another name. Each has a test of its own: those that
# schemathesis makes of several share one name, by which processes of tests tell them apart.
PATHS = ("/v1/models", "/v1/models/{model_id}", "/v1/completions", "/v1/chat/completions")
models, model, completions, chat_completions = (schema.include(path=path) for path in PATHS)
few = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck]
)


def test_no_endpoint_of_a_prefix_is_left_out() -> None:
    assert {path for path in DOCUMENT["paths"] if path.startswith("/v1/")} == set(PATHS)


def test_both_prefixes_are_documented_with_unique_operations() -> None:
    paths = ["/models", "/models/{model_id}", "/completions", "/chat/completions"]
    assert set(DOCUMENT["paths"]) == {p + path for p in ("/v1", "/openai/v1") for path in paths}
    operations = [op for path in DOCUMENT["paths"].values() for op in path.values()]
    assert len({operation["operationId"] for operation in operations}) == 8


@pytest.mark.parametrize("path", ["/v1/completions", "/openai/v1/chat/completions"])
def test_every_error_is_documented(path: str) -> None:
    responses = DOCUMENT["paths"][path]["post"]["responses"]
    statuses = {"200", "400", "401", "404", "405", "408", "413", "415", "429", "500", "503"}
    assert set(responses) == statuses
    for status in statuses - {"200"}:
        reference = responses[status]["content"]["application/json"]["schema"]["$ref"]
        assert reference == "#/components/schemas/ErrorBody"
    assert set(responses["200"]["content"]) == {"application/json", "text/event-stream"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "x", "logprobs": 2, "return_token_ids": True}),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "x"}], "logprobs": True, "n": 2},
        ),
    ],
)
def test_answers_match_their_schema(path: str, body: dict[str, Any]) -> None:
    operation = DOCUMENT["paths"][path]["post"]
    request = operation["requestBody"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(request, body | {"model": "tiny"})
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    answer = client.post(path, json=body | {"model": "tiny"}).json()
    expected = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(expected | {"components": DOCUMENT["components"]}, answer)


@models.parametrize()
@few
def test_schemathesis_finds_no_breach_in_models(case: Any) -> None:
    _holds(case)


@model.parametrize()
@few
def test_schemathesis_finds_no_breach_in_a_model(case: Any) -> None:
    _holds(case)


@completions.parametrize()
@few
def test_schemathesis_finds_no_breach_in_completions(case: Any) -> None:
    _holds(case)


@chat_completions.parametrize()
@few
def test_schemathesis_finds_no_breach_in_chat_completions(case: Any) -> None:
    _holds(case)


def _holds(case: Any) -> None:
    name = case.body.get("model") if isinstance(case.body, dict) else None
    if isinstance(name, str) and len(name) <= 512:  # a longer one breaks the schema, on purpose
        case.body["model"] = "tiny"  # or every request would end at 404
    response = case.call()
    case.validate_response(response, checks=CHECKS.get_by_names(CHECKED))
