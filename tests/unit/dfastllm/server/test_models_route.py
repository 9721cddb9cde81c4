"""GET /v1/models and /v1/models/{id}."""

import pytest
from starlette.testclient import TestClient

from support.scripted import ScriptedGenerator, bare_app, server_context


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1"])
def test_models_are_listed_and_found_by_name(prefix: str) -> None:
    client = TestClient(bare_app(server_context(ScriptedGenerator())))
    listed = client.get(f"{prefix}/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["tiny", "org/tiny"]
    for model in listed["data"]:
        assert client.get(f"{prefix}/models/{model['id']}").json() == model
        encoded = model["id"].replace("/", "%2F")
        assert client.get(f"{prefix}/models/{encoded}").json() == model


def test_a_model_object_serves_openai_and_kserve() -> None:
    engine = ScriptedGenerator(ready=False)
    client = TestClient(bare_app(server_context(engine)))
    assert client.get("/v1/models/org/tiny").json() == {
        "id": "org/tiny",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "dfastllm",
        "root": "tiny",
        "parent": None,
        "max_model_len": 512,
        "name": "org/tiny",
        "ready": False,
    }
