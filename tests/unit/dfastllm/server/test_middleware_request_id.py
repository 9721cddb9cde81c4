import pytest

from support.served import TEXT, Served


@pytest.mark.parametrize("given", ["abc-123", "trace:7/8", "x" * 128])
def test_a_short_printable_id_of_the_client_is_kept(given: str) -> None:
    response = Served().client.get("/health", headers={"x-request-id": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "é"])
def test_any_other_is_replaced(given: str) -> None:
    header = {b"x-request-id": given.encode("latin-1")}
    response = Served().client.get("/health", headers=header)
    made = response.headers["x-request-id"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/completions", TEXT, 200),
        ("/v1/completions", {**TEXT, "stream": True}, 200),
        ("/v1/completions", {**TEXT, "n": 0}, 400),
        ("/v1/completions", {**TEXT, "model": "other"}, 404),
        ("/nowhere", TEXT, 404),
    ],
)
def test_every_answer_has_exactly_one(path: str, body: dict[str, object], status: int) -> None:
    response = Served().client.post(path, json=body, headers={"x-request-id": "mine"})
    assert response.status_code == status
    assert response.headers.get_list("x-request-id") == ["mine"]
