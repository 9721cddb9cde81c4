"""The built-in model behind `dfastllm serve`, with the clients people use, over real sockets."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from support.process import Server, running, until

SERVE = "dfastllm serve builtin:tiny"
SUM = [{"role": "user", "content": "What is 27 + 48?"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--log-format", "json", command=SERVE) as running_server:
        yield running_server


@pytest.fixture(scope="module", params=["/v1", "/openai/v1"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url + request.param, api_key="none", max_retries=0) as c:
        yield c


def gauge(server: Server, name: str) -> float:
    lines = server.client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name)))


def test_a_sum_is_right_and_counted(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny", messages=SUM)
    assert answer.choices[0].message.content is not None
    assert "75" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    diffusion = answer.model_extra["diffusion"]
    assert diffusion["forward_passes"] >= 1
    assert diffusion["tokens_per_forward"] == pytest.approx(
        answer.usage.completion_tokens / diffusion["forward_passes"], rel=0.01
    )


def test_streamed_equals_unstreamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Count from 3 to 20."}],
        "max_tokens": 90,
        "extra_body": {"diffusion": {"strategy": "fixed"}},
    }
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 3
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


def test_a_seed_repeats_a_sampled_answer_and_choices_differ(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Shuffle: one, two, three, four, five, six"}],
        "temperature": 1.5,
        "seed": 11,
        "n": 4,
    }
    first, again = (client.chat.completions.create(**asked) for _ in range(2))
    texts = [c.message.content for c in first.choices]
    assert texts == [c.message.content for c in again.choices]
    assert len(set(texts)) > 1
    single = client.chat.completions.create(**{**asked, "n": 1})
    assert single.choices[0].message.content == texts[0]


def test_logprobs_cover_every_token(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=SUM, logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert answer.usage is not None
    assert len(choice.logprobs.content) == answer.usage.completion_tokens
    assert bytes(b for t in choice.logprobs.content for b in t.bytes or []).decode() == (
        choice.message.content
    )
    assert all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in choice.logprobs.content)


def test_a_stop_string_is_not_shown_and_ends_the_work(client: openai.OpenAI) -> None:
    free = client.chat.completions.create(model="tiny", messages=SUM)
    cut = client.chat.completions.create(model="tiny", messages=SUM, stop=[" ="])
    text = free.choices[0].message.content or ""
    assert cut.choices[0].message.content == text.split(" =")[0]
    assert cut.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("max_tokens", [16, 256, 1000])
def test_a_generous_max_tokens_does_not_spoil_the_answer(
    client: openai.OpenAI, max_tokens: int
) -> None:
    answer = client.chat.completions.create(model="tiny", messages=SUM, max_tokens=max_tokens)
    assert answer.choices[0].message.content == "27 + 48 = 75"


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenized(
    server: Server, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt="word " * 1_000_000)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("where", ["prompt", "suffix"])
def test_the_mask_written_as_text_is_refused(client: openai.OpenAI, where: str) -> None:
    mask = "<|mask|>"
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(
            model="tiny", **{"prompt": "a", "max_tokens": 4, where: f"a {mask}"}
        )
    assert caught.value.param == where


def test_max_tokens_is_exact(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="tiny", prompt="abc", max_tokens=37, extra_body={"ignore_eos": True}
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 37
    assert answer.choices[0].finish_reason == "length"


def test_infilling_answers_only_the_middle(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="tiny", prompt="What is 1", suffix=" + 2?", max_tokens=3
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 3
    assert "+ 2?" not in answer.choices[0].text


def test_the_canvas_is_shown_when_asked_for(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tiny",
        messages=SUM,
        stream=True,
        max_tokens=24,
        extra_body={"diffusion": {"strategy": "fixed", "stream_canvas": True}},
    )
    canvases = [c.model_extra["diffusion"]["canvas"] for c in stream if _has_canvas(c)]
    assert len(canvases) > 3
    assert len(canvases[0]["token_ids"]) == 24
    assert "░" in canvases[0]["text"]


def _has_canvas(chunk: Any) -> bool:
    return "canvas" in ((chunk.model_extra or {}).get("diffusion") or {})


def test_a_deadline_is_a_408(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.completions.create(
            model="tiny",
            prompt="x",
            max_tokens=900,
            extra_body={
                "ignore_eos": True,
                "diffusion": {"timeout_s": 0.02, "strategy": "fixed"},
            },
        )
    assert caught.value.status_code == 408


def test_two_hundred_clients_at_once_all_get_their_answer(server: Server) -> None:
    async def ask(client: openai.AsyncOpenAI, i: int) -> tuple[str, str]:
        question = f"What is {10 + i % 80} + {11 + i % 70}?"
        answer = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": question}], stream=False
        )
        return question, answer.choices[0].message.content or ""

    async def all_of_them() -> list[tuple[str, str]]:
        limits = httpx.Limits(max_connections=200)
        async with (
            httpx.AsyncClient(limits=limits, timeout=120) as http,
            openai.AsyncOpenAI(
                base_url=f"{server.url}/v1", api_key="none", max_retries=0, http_client=http
            ) as client,
        ):
            return await asyncio.gather(*(ask(client, i) for i in range(200)))

    answers = asyncio.run(all_of_them())
    wrong = [(q, a) for i, (q, a) in enumerate(answers) if str(21 + i % 80 + i % 70) not in a]
    assert len(wrong) <= 4  # the model's own mistakes, not the server's
    until(lambda: gauge(server, "dfastllm_requests_running") == 0, "no row is left")


KILLED = """
import sys, httpx
body = {"model": "tiny", "prompt": "abc", "max_tokens": 900, "ignore_eos": True, "stream": True,
        "diffusion": {"strategy": "fixed"}}
with httpx.stream("POST", sys.argv[1] + "/v1/completions", json=body, timeout=60) as answer:
    for line in answer.iter_lines():
        print(line, flush=True)
"""


@pytest.mark.parametrize("streamed", [True, False])
def test_a_killed_client_frees_its_row(server: Server, streamed: bool) -> None:
    source = KILLED if streamed else KILLED.replace('"stream": True', '"stream": False')
    child = subprocess.Popen([sys.executable, "-c", source, server.url], stdout=subprocess.PIPE)
    until(lambda: gauge(server, "dfastllm_requests_running") == 1, "the row runs")
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
    until(lambda: gauge(server, "dfastllm_requests_running") == 0, "the row is gone", 10)
    before = gauge(server, "dfastllm_fed_tokens_total")
    assert gauge(server, "dfastllm_fed_tokens_total") == before


def test_a_full_queue_refuses_with_retry_after_and_serves_the_rest() -> None:
    limits = ("--max-running-requests", "1", "--max-queued-requests", "2", "--plain")
    with running("--log-format", "json", *limits, command=SERVE) as server:
        body = {"model": "tiny", "prompt": "abc", "max_tokens": 200, "ignore_eos": True}

        async def flood() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
                posts = (client.post("/v1/completions", json=body) for _ in range(12))
                return await asyncio.gather(*posts)

        answers = asyncio.run(flood())
        served = [a for a in answers if a.status_code == 200]
        refused = [a for a in answers if a.status_code == 503]
        assert len(served) + len(refused) == 12
        assert len(served) >= 3
        assert refused
        assert all(int(a.headers["retry-after"]) >= 1 for a in refused)
        assert refused[0].json()["error"]["code"] == "server_is_overloaded"
        assert all(a.json()["usage"]["completion_tokens"] == 200 for a in served)


def test_a_stream_cut_off_by_the_grace_period_ends_with_an_error_event() -> None:
    flags = ("--log-format", "json", "--plain", "--grace-period-s", "0.5")
    with running(*flags, command=SERVE) as server:
        body = {
            "model": "tiny",
            "prompt": "abc",
            "max_tokens": 1000,
            "ignore_eos": True,
            "stream": True,
            "diffusion": {"strategy": "fixed"},
        }
        lines = []
        with server.client.stream("POST", "/v1/completions", json=body) as answer:
            for line in filter(None, answer.iter_lines()):
                lines.append(line)
                if len(lines) == 2:
                    server.signal()
        assert "data: [DONE]" not in lines
        assert json.loads(lines[-1].removeprefix("data: "))["error"]["message"]
        assert server.wait() == 0


def test_sigterm_lets_a_real_stream_finish_and_exits_0() -> None:
    with running(
        "--log-format", "json", "--plain", "--grace-period-s", "90", command=SERVE
    ) as server:
        body = {
            "model": "tiny",
            "prompt": "abc",
            "max_tokens": 60,
            "ignore_eos": True,
            "stream": True,
            "diffusion": {"strategy": "fixed"},
        }
        lines = []
        with server.client.stream("POST", "/v1/completions", json=body) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                if len(lines) == 4:
                    server.signal()
        assert "data: [DONE]" in lines
        assert any('"finish_reason":"length"' in line for line in lines)
        assert server.wait() == 0
