from pathlib import Path

import pytest

from support.served import TEXT, Served

KEY = "sk-alice"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    file = tmp_path / "keys.yaml"
    file.write_text(f"alice: {KEY}\nbatch: {{key: sk-batch, min_priority: 5}}\n")
    return Served({"api_keys_file": str(file)})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/tiny"),
        ("GET", "/openai/v1/models"),
        ("POST", "/v1/completions"),
        ("POST", "/openai/v1/chat/completions"),
        ("POST", "/v1/models/tiny:predict"),
        ("POST", "/v1/models/tiny:explain"),
        ("POST", "/v2/models/tiny/infer"),
        ("GET", "/v2/models/tiny"),
        ("POST", "/v2/repository/models/tiny/unload"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("GET", "//v1/models"),
        ("GET", "/health/../v1/models"),
        ("GET", "/metrics/"),
        ("GET", "/v2/models/a/b/ready"),
        ("GET", "/version%0A"),
    ],
)
def test_everything_wants_a_key(served: Served, method: str, path: str) -> None:
    response = served.client.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["error"] | {"message": ""} == {
        "message": "",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live", "/health/ready", "/version", "/metrics"]
)
def test_but_probes_and_numbers_do_not(served: Served, path: str) -> None:
    assert served.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY} "},
        {"x-api-key": KEY},
        {"x-api-key": KEY, "Authorization": "Basic abc"},
    ],
)
def test_a_key_comes_in_two_headers(served: Served, header: dict[str, str]) -> None:
    response = served.client.post("/v1/completions", json=TEXT, headers=header)
    assert response.status_code == 200
    assert served.engine.requests[0].key == "alice"


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer nope"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer nope", "x-api-key": KEY},
        {"x-api-key": ""},
        {"x-api-key": "\xe9".encode("latin-1")},
    ],
)
def test_a_wrong_key_is_refused(served: Served, header: dict[str, str]) -> None:
    assert served.client.get("/v1/models", headers=header).status_code == 401


def test_a_key_bounds_the_urgency(served: Served) -> None:
    client = served.from_peer("192.0.2.1", authorization="Bearer sk-batch")
    assert client.post("/v1/completions", json={**TEXT, "priority": 5}).status_code == 200
    refused = client.post("/v1/completions", json={**TEXT, "priority": 4})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "priority")


def test_without_keys_callers_are_addresses() -> None:
    served = Served()
    for peer in ("192.0.2.1", "2001:db8::1", "2001:db8::ffff"):
        served.from_peer(peer).post("/v1/completions", json=TEXT)
    assert [r.key for r in served.engine.requests] == [
        "192.0.2.1",
        "2001:db8::/64",
        "2001:db8::/64",
    ]


def test_a_page_of_an_allowed_origin_may_call_and_read_refusals(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("alice: k")
    origin = "https://app.example"
    served = Served({"api_keys_file": str(file), "cors_origin": origin})
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert served.client.options("/v1/completions", headers=asked).status_code == 200
    refused = served.client.get("/v1/models", headers={"Origin": origin})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin
    other = served.client.get("/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    assert (
        "access-control-allow-origin" not in Served().client.get("/health", headers=asked).headers
    )
