"""Streams over a real socket, with the real client and on the wire."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest

from dfastllm.core import CanvasState, FinishReason
from dfastllm.errors import DeadlineExceeded, RowFailed
from dfastllm.server import serving as serving_module
from dfastllm.server.serving import BoundedHttp
from support.scripted import BOS, Say, Script, ScriptedGenerator, bare_app, server_context, serving

STOP = FinishReason.STOP
CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
TEXT: dict[str, Any] = {"model": "tiny", "prompt": "hi"}
GREETING = (Say("grü"), Say(""), Say("ße"), Say("", finish=STOP))

_engine = ScriptedGenerator()


@pytest.fixture(scope="module", name="url")
def _url() -> Iterator[str]:
    with serving(bare_app(server_context(_engine, keepalive_s=0.1))) as url:
        yield url


@pytest.fixture(name="engine")
def _reset() -> ScriptedGenerator:
    _engine.__init__(script=GREETING)  # type: ignore[misc]
    return _engine


@pytest.fixture(name="client")
def _client(url: str, engine: ScriptedGenerator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def wire(url: str, body: dict[str, Any]) -> tuple[httpx.Response, list[str]]:
    route = "chat/completions" if "messages" in body else "completions"
    response = httpx.post(f"{url}/v1/{route}", json=body | {"stream": True})
    assert response.text.endswith("\n\n")
    return response, response.text.split("\n\n")[:-1]


def events(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    response, lines = wire(url, body)
    assert response.status_code == 200, response.text
    assert lines[-1] == "data: [DONE]"
    assert lines.count("data: [DONE]") == 1
    said = [line for line in lines[:-1] if not line.startswith(":")]  # comments carry nothing
    return [json.loads(line.removeprefix("data: ")) for line in said]


def test_the_client_reads_a_chat(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "grüße"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_the_client_reads_a_completion(client: openai.OpenAI) -> None:
    chunks = list(client.completions.create(**TEXT, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "grüße"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_client_s_helper_assembles_the_same(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        **CHAT, logprobs=True, stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "grüße"
    assert final.choices[0].logprobs is not None
    assert len(final.choices[0].logprobs.content or []) == 7
    assert final.usage is not None
    assert final.usage.completion_tokens == 7


def test_the_shape_of_a_chat_stream(url: str, engine: ScriptedGenerator) -> None:
    chunks = events(url, CHAT)
    choices = [chunk["choices"] for chunk in chunks]
    quiet = {"logprobs": None, "finish_reason": None}
    assert choices == [
        [{"index": 0, "delta": {"role": "assistant", "content": ""}, **quiet}],
        [{"index": 0, "delta": {"content": "grü"}, **quiet}],
        [{"index": 0, "delta": {"content": "ße"}, **quiet}],
        [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}],
    ]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert not any("usage" in chunk for chunk in chunks)
    assert chunks[-1]["diffusion"]["forward_passes"] == 7


def test_headers_of_a_stream(url: str, engine: ScriptedGenerator) -> None:
    response, _ = wire(url, CHAT | {"user": "u"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-dfastllm-ignored"] == "user"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("body", [CHAT, TEXT])
def test_usage_comes_last_and_is_null_before(
    url: str, engine: ScriptedGenerator, body: dict[str, Any]
) -> None:
    chunks = events(url, body | {"stream_options": {"include_usage": True}, "n": 2})
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert not any("diffusion" in chunk for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    prompt_tokens = len(engine.requests[0].prompt)
    assert chunks[-1]["usage"] == {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": 14,
        "total_tokens": prompt_tokens + 14,
    }
    assert chunks[-1]["diffusion"]["forward_passes"] == 14


def test_choices_interleave_and_each_ends_once(url: str, engine: ScriptedGenerator) -> None:
    def script(request: Any) -> list[Say]:
        late = 0.02 if request.request_id.endswith("-0") else 0.0
        return [Say("a", after_s=late), Say("b", after_s=late), Say("c", finish=STOP)]

    engine.script_for = script
    chunks = events(url, CHAT | {"n": 2})
    seen: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
    for chunk in chunks:
        (choice,) = chunk["choices"]
        seen[choice["index"]].append(choice)
    for choices in seen.values():
        assert choices[0]["delta"]["role"] == "assistant"
        assert "".join(choice["delta"].get("content", "") for choice in choices) == "abc"
        assert [choice["finish_reason"] for choice in choices[:-1]].count(None) == len(choices) - 1
        assert choices[-1]["finish_reason"] == "stop"
    order = [chunk["choices"][0]["index"] for chunk in chunks[2:]]
    assert order == [1, 1, 1, 1, 0, 0, 0, 0]
    assert "diffusion" in chunks[-1]
    assert not any("diffusion" in chunk for chunk in chunks[:-1])


def test_an_echo_comes_first(url: str, engine: ScriptedGenerator) -> None:
    chunks = events(url, TEXT | {"echo": True})
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["hi", "grü", "ße", ""]
    chunks = events(url, TEXT | {"echo": True, "max_tokens": 0})
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["hi", ""]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_confidences_and_ids_come_with_their_tokens(url: str, engine: ScriptedGenerator) -> None:
    chunks = events(url, CHAT | {"logprobs": True, "return_token_ids": True})
    assert chunks[0]["prompt_token_ids"] == [BOS, *b"user:hi\n"]
    assert not any("prompt_token_ids" in chunk for chunk in chunks[1:])
    choices = [chunk["choices"][0] for chunk in chunks]
    ids = [token for choice in choices for token in choice.get("token_ids", [])]
    assert bytes(ids).decode() == "grüße"
    entries = [e for c in choices if c["logprobs"] for e in c["logprobs"]["content"]]
    assert bytes(b for entry in entries for b in entry["bytes"]).decode() == "grüße"


def test_offsets_go_on_from_chunk_to_chunk(url: str, engine: ScriptedGenerator) -> None:
    chunks = events(url, TEXT | {"logprobs": 1, "return_token_ids": True})
    assert chunks[0]["choices"][0]["prompt_token_ids"] == [BOS, *b"hi"]
    choices = [chunk["choices"][0] for chunk in chunks]
    offsets = [o for c in choices if c["logprobs"] for o in c["logprobs"]["text_offset"]]
    assert offsets == [0, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("body", [CHAT, TEXT])
def test_the_canvas_goes_out_beside_the_text(
    url: str, engine: ScriptedGenerator, body: dict[str, Any]
) -> None:
    canvases = [CanvasState(0, (258, 258), "▒▒"), CanvasState(1, (258, 105), "▒i")]
    engine.script = [*(Say(canvas=c) for c in canvases), Say("hi", finish=STOP)]
    chunks = events(url, body | {"diffusion": {"stream_canvas": True}})
    assert engine.requests[0].stream_canvas
    shown = [c["diffusion"]["canvas"] for c in chunks if "canvas" in c.get("diffusion", {})]
    assert shown == [
        {"index": 0, "step": 0, "token_ids": [258, 258], "text": "▒▒"},
        {"index": 0, "step": 1, "token_ids": [258, 105], "text": "▒i"},
    ]
    for chunk in chunks:
        if "canvas" in chunk.get("diffusion", {}):
            choice = chunk["choices"][0]
            assert choice.get("delta", {}) == {}
            assert choice.get("text", "") == ""


def test_silence_is_filled_with_comments(
    url: str, engine: ScriptedGenerator, client: openai.OpenAI
) -> None:
    engine.script = [Say("a", after_s=0.25), Say("b", after_s=0.25), Say("", finish=STOP)]
    _, lines = wire(url, CHAT)
    assert lines[0].startswith("data: ")
    assert 3 <= lines.count(": keep-alive") <= 5
    assert lines[-1] == "data: [DONE]"
    chunks = client.chat.completions.create(**CHAT, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "ab"


def test_chunks_without_text_are_silence_too(url: str, engine: ScriptedGenerator) -> None:
    engine.script = [Say("a"), *[Say("", after_s=0.04)] * 8, Say("", finish=STOP)]
    _, lines = wire(url, TEXT)
    assert lines.count(": keep-alive") >= 2
    assert sum(line.startswith("data: ") for line in lines) == 3


def test_a_bad_parameter_is_a_plain_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**CHAT, stream=True, top_p=0)
    assert caught.value.param == "top_p"


def test_an_early_failure_is_a_plain_error(
    client: openai.OpenAI, engine: ScriptedGenerator
) -> None:
    engine.script = [Say(after_s=0.01, error=DeadlineExceeded("too late"))]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**CHAT, stream=True)
    assert caught.value.status_code == 408


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeadlineExceeded("too late"), "timeout_error"),
        (RowFailed("no memory"), "server_error"),
        (KeyError("secret"), "server_error"),
    ],
)
def test_a_late_failure_is_an_event_and_the_end(
    url: str, client: openai.OpenAI, engine: ScriptedGenerator, error: Exception, kind: str
) -> None:
    engine.script = [Say("a"), Say(after_s=0.01, error=error)]
    response, lines = wire(url, CHAT)
    assert response.status_code == 200
    last = json.loads(lines[-1].removeprefix("data: "))
    assert last["error"]["type"] == kind
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert "secret" not in response.text
    assert "data: [DONE]" not in lines
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**CHAT, stream=True))


def test_one_connection_serves_answers_errors_and_streams(
    url: str, engine: ScriptedGenerator
) -> None:
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=url, limits=limits) as client:
        ports = set()
        cases: list[tuple[Script, dict[str, Any]]] = [
            (GREETING, {}),
            ([Say(error=KeyError("x"))], {}),
            (GREETING, {"stream": True}),
            ([Say("a"), Say(error=KeyError("x"))], {"stream": True}),
            (GREETING, {"n": 0}),
            (GREETING, {}),
        ]
        for script, more in cases:
            engine.script = script
            response = client.post("/v1/completions", json=TEXT | more)
            stream = response.extensions["network_stream"]
            ports.add(stream.get_extra_info("client_addr"))
        assert len(ports) == 1


def test_an_old_connection_ends_with_an_answer_and_says_so(
    engine: ScriptedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(bare_app(server_context(engine)), http=BoundedHttp) as url:
        limits = httpx.Limits(max_connections=1)
        with httpx.Client(base_url=url, limits=limits) as client:

            def asked() -> tuple[str | None, Any]:
                body = TEXT | {"stream": True}
                with client.stream("POST", "/v1/completions", json=body) as response:
                    stream = response.extensions["network_stream"]
                    address = stream.get_extra_info("client_addr")
                    assert response.read().endswith(b"data: [DONE]\n\n")
                    return response.headers.get("connection"), address

            (first, port), (again, same_port) = asked(), asked()
            assert (first, again, same_port) == (None, None, port)
            monkeypatch.setattr(serving_module, "CONNECTION_AGE_S", 0.0)
            assert asked() == ("close", port)
            assert asked()[1] != port


def test_text_is_append_only_whatever_the_pieces(url: str, engine: ScriptedGenerator) -> None:
    pieces = ["", "a", "\n\n", "data: x", "\u2028", "", "😀", '"}', "z"]
    engine.script = [*(Say(piece) for piece in pieces), Say("", finish=STOP)]
    chunks = events(url, TEXT)
    texts = [chunk["choices"][0]["text"] for chunk in chunks]
    assert "".join(texts) == "".join(pieces)
    so_far = ["".join(texts[:i]) for i in range(len(texts) + 1)]
    assert all(after.startswith(before) for before, after in pairwise(so_far))
