"""Adaptive parallel decoding behind `dfastllm serve`, over real sockets.

The drafter is the built-in model; the verifier has random weights, so what is accepted is little,
but everything else is as in earnest.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from support.checkpoints import causal_checkpoint
from support.process import Server, running

TINY = Path(__file__).parents[2] / "model_server" / "dfastllm" / "builtin" / "tiny"
SUM = [{"role": "user", "content": "What is 27 + 48?"}]


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = causal_checkpoint(tmp_path_factory.mktemp("verifier"), vocab_size=512)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def server(verifier: Path) -> Iterator[Server]:
    command = f"dfastllm serve builtin:tiny --verifier {verifier}"
    with running("--log-format", "json", "--plain", command=command) as running_server:
        yield running_server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as c:
        yield c


def asked(**diffusion: Any) -> dict[str, Any]:
    options = {"strategy": "apd", **diffusion}
    return {"model": "tiny", "messages": SUM, "extra_body": {"diffusion": options}}


def metric(server: Server, name: str) -> float:
    lines = server.client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_an_answer_reports_what_was_drafted_and_accepted(
    server: Server, client: openai.OpenAI
) -> None:
    before = {
        n: metric(server, f"dfastllm_{n}_total") for n in ("drafted_tokens", "accepted_tokens")
    }
    answer = client.chat.completions.create(**asked(r=0.95, lookahead=16))
    assert answer.usage is not None
    report = answer.model_extra["diffusion"]
    assert report["strategy"] == "apd"
    assert report["accepted"] == answer.usage.completion_tokens <= report["drafted"]
    assert 0 < report["verifier_passes"] <= report["forward_passes"]
    assert metric(server, "dfastllm_accepted_tokens_total") == (
        before["accepted_tokens"] + report["accepted"]
    )
    assert metric(server, "dfastllm_drafted_tokens_total") == (
        before["drafted_tokens"] + report["drafted"]
    )
    assert metric(server, "dfastllm_verifier_forwards_total") >= report["verifier_passes"]
    assert metric(server, "dfastllm_verifier_kv_pages_used") == 0


def test_weight_1_answers_in_one_forward_per_draft(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**asked(r=1.0, lookahead=64))
    report = answer.model_extra["diffusion"]
    assert (report["forward_passes"], report["verifier_passes"]) == (1, 0)


@pytest.mark.parametrize("window", [None, 16])
def test_streamed_equals_unstreamed(client: openai.OpenAI, window: int | None) -> None:
    options = asked(r=0.9, lookahead=16, window=window)
    whole = client.chat.completions.create(**options, seed=3, temperature=0.7)
    chunks = list(
        client.chat.completions.create(
            **options, seed=3, temperature=0.7, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    report, other = chunks[-1].model_extra["diffusion"], whole.model_extra["diffusion"]
    for name in ("forward_passes", "verifier_passes", "drafted", "accepted"):
        assert report[name] == other[name]


def test_choices_logprobs_and_stop_strings_are_as_for_every_strategy(
    client: openai.OpenAI,
) -> None:
    options = asked(r=0.9, lookahead=8) | {"temperature": 1.0, "seed": 5}
    answer = client.chat.completions.create(**options, n=3, logprobs=True, top_logprobs=2)
    assert answer.usage is not None
    counted = [choice.logprobs.content for choice in answer.choices if choice.logprobs]
    assert sum(len(tokens or []) for tokens in counted) == answer.usage.completion_tokens
    single = client.chat.completions.create(**options)
    assert single.choices[0].message.content == answer.choices[0].message.content
    sure = asked(r=1.0)
    free = client.chat.completions.create(**sure).choices[0].message.content or ""
    cut = client.chat.completions.create(**sure, stop=[free[3:5]])
    assert cut.choices[0].message.content == free.split(free[3:5])[0]
    assert cut.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("diffusion", "param"),
    [
        ({"threshold": 0.9}, "threshold"),
        ({"factor": 1.0}, "factor"),
        ({"steps": 8}, "steps"),
        ({"cache": "dual"}, "cache"),
    ],
)
def test_what_does_not_go_with_it_is_a_400(
    client: openai.OpenAI, diffusion: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked(**diffusion))
    assert caught.value.param == f"diffusion.{param}"


def test_without_a_verifier_it_is_a_400() -> None:
    command = "dfastllm serve builtin:tiny --verifier none"
    with running("--log-format", "json", "--plain", command=command) as server:
        reply = server.client.post(
            "/v1/completions",
            json={"model": "tiny", "prompt": "a", "diffusion": {"strategy": "apd"}},
        )
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "diffusion.strategy"


def test_the_terminal_answers_with_it_too(verifier: Path) -> None:
    command = [sys.executable, "-m", "dfastllm", "generate", "--json", "--verifier", str(verifier)]
    command += ["--strategy", "apd", "--r", "0.9", "--lookahead", "16", "--window", "8"]
    done = subprocess.run(
        [*command, "What is 2 + 3?"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["stats"]["verifier_passes"] > 0
    assert report["params"]["strategy"] == "apd"
