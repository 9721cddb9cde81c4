"""Whole answers: shapes, usage, confidences, token ids, and the record left for the log."""

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from dfastllm import __version__
from dfastllm.core import FinishReason, Request, RequestStats, TokenLogprob
from dfastllm.server.context import Caller
from dfastllm.server.record import RequestRecord, record_of
from dfastllm.server.responses import diffusion_report
from dfastllm.server.translate import Job
from support.scripted import (
    BOS,
    EOS,
    Say,
    ScriptedGenerator,
    bare_app,
    server_context,
    tokens_of,
)

CHAT = {"model": "org/tiny", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "tiny", "prompt": "hi"}
END = TokenLogprob(EOS, -0.5)
GREETING = (
    Say("gr", tokens=(*tokens_of("gr"), TokenLogprob(0xC3, -1.0))),
    Say("ü", tokens=(TokenLogprob(0xBC, float("-inf")),)),
    Say("", tokens=(END,), finish=FinishReason.STOP),
)


def answer(body: dict[str, Any], engine: ScriptedGenerator | None = None) -> dict[str, Any]:
    client = TestClient(bare_app(server_context(engine or ScriptedGenerator())))
    route = "chat/completions" if "messages" in body else "completions"
    response = client.post(f"/v1/{route}", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_a_chat_completion() -> None:
    body = answer(CHAT)
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "org/tiny",
        "system_fingerprint": f"dfastllm-{__version__}",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        "diffusion": {
            "strategy": "threshold",
            "forward_passes": 5,
            "refresh_passes": 1,
            "tokens_per_forward": 1.0,
            "queue_s": 0.25,
            "compute_s": 0.5,
        },
    }


def test_forwards_of_a_network_that_reads_the_context_are_reported_where_there_were_any() -> None:
    job = Job("cmpl-1", "tiny", (Request("r", (1,), 4),) * 2, ("", ""), 1)
    stats = RequestStats(1, 4, 4, 1, 0.0, 0.0, context_passes=2)
    assert diffusion_report(job, [stats, stats])["context_passes"] == 4
    assert "context_passes" not in diffusion_report(job, [replace(stats, context_passes=0)])


def test_a_completion() -> None:
    body = answer(TEXT)
    assert body["id"].startswith("cmpl-")
    assert body["object"] == "text_completion"
    choice = {"index": 0, "text": "hello", "logprobs": None, "finish_reason": "stop"}
    assert body["choices"] == [choice]


def test_counts_are_summed_over_choices() -> None:
    body = answer(CHAT | {"n": 3})
    assert body["usage"] == {"prompt_tokens": 9, "completion_tokens": 15, "total_tokens": 24}
    assert body["diffusion"]["forward_passes"] == 15
    assert body["diffusion"]["compute_s"] == 1.5


def test_length_is_said_when_the_limit_was_met() -> None:
    engine = ScriptedGenerator(script=[Say("x", finish=FinishReason.LENGTH)])
    assert answer(CHAT, engine)["choices"][0]["finish_reason"] == "length"


def test_chat_logprobs_join_to_the_bytes_of_the_text() -> None:
    body = answer(CHAT | {"logprobs": True}, ScriptedGenerator(script=GREETING))
    entries = body["choices"][0]["logprobs"]["content"]
    assert len(entries) == body["usage"]["completion_tokens"] == 5
    assert bytes(b for entry in entries for b in entry["bytes"]).decode() == "grü"
    assert [entry["token"] for entry in entries] == ["g", "r", "\ufffd", "\ufffd", f"<{EOS}>"]
    assert [entry["logprob"] for entry in entries] == [-0.25, -0.25, -1.0, -9999.0, -0.5]


def test_special_tokens_have_bytes_when_the_text_shows_them() -> None:
    engine = ScriptedGenerator(script=[Say("<257>", tokens=(END,), finish=FinishReason.STOP)])
    body = answer(CHAT | {"logprobs": True, "skip_special_tokens": False}, engine)
    assert bytes(body["choices"][0]["logprobs"]["content"][0]["bytes"]) == b"<257>"


def test_chat_alternatives() -> None:
    body = answer(CHAT | {"logprobs": True, "top_logprobs": 2})
    first = body["choices"][0]["logprobs"]["content"][0]
    assert first["top_logprobs"] == [
        {"token": "h", "logprob": -0.25, "bytes": [104]},
        {"token": "i", "logprob": -1.25, "bytes": [105]},
    ]


def test_completion_logprobs_are_four_parallel_lists() -> None:
    engine = ScriptedGenerator(script=GREETING)
    logprobs = answer(TEXT | {"logprobs": 0}, engine)["choices"][0]["logprobs"]
    assert logprobs["text_offset"] == [0, 1, 2, 2, 3]
    assert logprobs["token_logprobs"] == [-0.25, -0.25, -1.0, -9999.0, -0.5]
    assert logprobs["tokens"][:2] == ["g", "r"]
    assert logprobs["top_logprobs"][0] == {"g": -0.25}


def test_token_ids_as_vllm_gives_them() -> None:
    chat = answer(CHAT | {"return_token_ids": True})
    assert chat["prompt_token_ids"] == [BOS, *b"user:hi\n"]
    assert chat["choices"][0]["token_ids"] == list(b"hello")
    text = answer(TEXT | {"prompt": ["a", "b"], "return_token_ids": True})
    assert [choice["prompt_token_ids"] for choice in text["choices"]] == [[BOS, 97], [BOS, 98]]
    assert text["choices"][1]["token_ids"] == list(b"hello")


def _with_state(app: ASGIApp, state: dict[str, Any], seen: list[RequestRecord]) -> ASGIApp:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)
        seen.append(record_of(scope))

    return outer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("usage", [False, True])
def test_the_record_is_filled_in(stream: bool, usage: bool) -> None:
    seen: list[RequestRecord] = []
    caller = Caller(name="ann", min_priority=-5)
    state = {"caller": caller, "request_id": "abc"}
    engine = ScriptedGenerator()
    client = TestClient(_with_state(bare_app(server_context(engine)), state, seen))
    options = {"stream_options": {"include_usage": usage}} if stream else {}
    body = TEXT | options | {"stream": stream, "n": 2, "priority": -5, "user": "u"}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 200
    assert "x-request-id" not in response.headers  # that middleware's business
    (record,) = seen
    assert (record.request_id, record.route, record.model) == ("abc", "completions", "tiny")
    assert (record.stream, record.choices, record.priority) == (stream, 2, -5)
    assert (record.prompt_tokens, record.completion_tokens) == (3, 10)
    assert (record.forward_passes, record.refresh_passes) == (10, 2)
    assert (record.strategy, record.cache, record.ignored) == ("threshold", "none", ("user",))
    assert (record.finish_reason, record.error_code) == ("stop", None)
    assert record.ttft_s is not None
    assert record.ttft_s >= 0
    assert engine.requests[0].key == "ann"


def test_the_record_knows_the_error() -> None:
    seen: list[RequestRecord] = []
    client = TestClient(_with_state(bare_app(server_context(ScriptedGenerator())), {}, seen))
    client.post("/v1/completions", json=TEXT | {"n": 0})
    assert seen[0].error_code == "invalid_value"
