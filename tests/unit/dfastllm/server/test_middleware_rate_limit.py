from pathlib import Path

import pytest

from dfastllm.core import FinishReason
from dfastllm.errors import EngineFailed, Overloaded
from support.scripted import Say, ScriptedGenerator
from support.served import TEXT, Served

PATH = "/v1/completions"


def statuses(served: Served, times: int, **headers: str) -> list[int]:
    client = served.from_peer("192.0.2.7", **headers)
    return [client.post(PATH, json=TEXT).status_code for _ in range(times)]


def test_requests_of_one_caller_are_bounded() -> None:
    served = Served({"request_rate": "2/minute"})
    assert statuses(served, 3) == [200, 200, 429]
    assert served.from_peer("192.0.2.8").post(PATH, json=TEXT).status_code == 200


def test_a_refusal_says_when_to_come_back() -> None:
    served = Served({"request_rate": "1/minute"})
    first = served.client.post(PATH, json=TEXT)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert first.headers["x-ratelimit-reset-requests"] in ("59s", "60s")
    refused = served.client.post(PATH, json=TEXT)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"


def test_tokens_are_charged_after_the_answer() -> None:
    served = Served({"token_rate": "10/hour"})  # an answer takes 3 + 5
    first, second, third = (served.client.post(PATH, json=TEXT) for _ in range(3))
    assert [r.status_code for r in (first, second, third)] == [200, 200, 429]
    assert first.headers["x-ratelimit-remaining-tokens"] == "10"
    assert second.headers["x-ratelimit-remaining-tokens"] == "2"
    assert third.headers["x-ratelimit-remaining-tokens"] == "0"
    assert third.headers["x-ratelimit-limit-tokens"] == "10"
    assert int(third.headers["retry-after"]) > 1


def test_refused_requests_cost_no_tokens() -> None:
    served = Served({"token_rate": "10/hour"})
    for _ in range(20):
        assert served.client.post(PATH, json={**TEXT, "n": 0}).status_code == 400
    assert served.client.post(PATH, json=TEXT).headers["x-ratelimit-remaining-tokens"] == "10"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", [Overloaded("the queue is full"), EngineFailed("dead")])
def test_what_the_engine_refuses_costs_no_tokens(refusal: Exception, stream: bool) -> None:
    engine = ScriptedGenerator(refusal=refusal)
    served = Served({"token_rate": "10/hour"}, engine)
    for _ in range(5):
        assert served.client.post(PATH, json={**TEXT, "stream": stream}).status_code == 503
    engine.refusal = None
    assert served.client.post(PATH, json=TEXT).headers["x-ratelimit-remaining-tokens"] == "10"


def test_an_answer_nobody_waited_for_is_charged_as_far_as_it_was_computed() -> None:
    script = [Say("hel"), Say("lo"), Say("!", after_s=60, finish=FinishReason.STOP)]
    served = Served({"token_rate": "100/hour"}, ScriptedGenerator(script))
    served.hang_up(PATH, TEXT)
    response = served.from_peer("192.0.2.7").post(PATH, json={**TEXT, "n": 0})
    assert response.headers["x-ratelimit-remaining-tokens"] == str(100 - 3 - 5)


def test_streams_are_charged_as_well() -> None:
    served = Served({"token_rate": "8/hour"})
    assert served.client.post(PATH, json={**TEXT, "stream": True}).status_code == 200
    assert served.client.post(PATH, json=TEXT).status_code == 429


def test_reading_is_free() -> None:
    served = Served({"request_rate": "1/minute"})
    assert {served.client.get("/v1/models").status_code for _ in range(5)} == {200}
    assert "x-ratelimit-limit-requests" not in served.client.get("/v1/models").headers


def test_without_limits_there_are_no_headers() -> None:
    headers = Served().client.post(PATH, json=TEXT).headers
    assert [name for name in headers if name.startswith("x-ratelimit")] == []


def test_a_key_may_have_its_own_rate(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("small: a\nbig: {key: b, request_rate: 3/minute}\n")
    served = Served({"api_keys_file": str(file), "request_rate": "1/minute"})
    assert statuses(served, 2, authorization="Bearer a") == [200, 429]
    assert statuses(served, 4, authorization="Bearer b") == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("trusted", "expected"), [("", [200, 429, 429]), ("192.0.2.0/24", [200, 200, 200])]
)
def test_a_forged_address_opens_no_new_account(trusted: str, expected: list[int]) -> None:
    served = Served({"request_rate": "1/minute", "trusted_proxies": trusted})
    seen = [
        served.client.post(PATH, json=TEXT, headers={"X-Forwarded-For": f"203.0.113.{i}"})
        for i in range(3)
    ]
    assert [response.status_code for response in seen] == expected


def test_the_limit_is_looked_at_before_the_body() -> None:
    served = Served({"request_rate": "1/minute", "max_body_bytes": "10"})
    big = {**TEXT, "prompt": "x" * 100}
    assert served.client.post(PATH, json=big).status_code == 413
    assert served.client.post(PATH, json=big).status_code == 429
