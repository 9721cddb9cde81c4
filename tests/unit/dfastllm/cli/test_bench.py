import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dfastllm.cli import build_cli
from dfastllm.cli.bench_load import arrivals
from dfastllm.cli.bench_report import percentiles
from dfastllm.core import FinishReason
from dfastllm.errors import Overloaded, RowFailed
from support.scripted import Say, ScriptedGenerator, bare_app, server_context, serving

SCRIPT = (Say("he"), Say("ll", after_s=0.002), Say("o", after_s=0.002, finish=FinishReason.STOP))


@pytest.fixture
def server() -> Iterator[tuple[ScriptedGenerator, str]]:
    engine = ScriptedGenerator(SCRIPT)
    with serving(bare_app(server_context(engine))) as url:
        yield engine, url


def run(*args: str) -> Result:
    return CliRunner().invoke(build_cli(), ["bench", *args])


def bench(url: str, *args: str) -> dict:
    result = run("--url", url, "--json", "-", "--warm-up", "0", *args)
    assert result.stdout, result.stderr
    return json.loads(result.stdout)


def test_a_closed_loop_reports_what_the_server_counted(server: tuple[ScriptedGenerator, str]):
    report = bench(server[1], "--requests", "6", "--clients", "3")
    assert report["answers"] == report["requests"] == len(server[0].requests) == 6
    assert report["completion_tokens"] == 30
    assert report["forwards_per_answer"] == 5
    assert report["tokens_per_forward"] == 1
    assert report["chunks_per_answer"] == 3
    assert report["errors"] == {}
    assert 0.004 <= report["latency_s"]["p50"] <= report["latency_s"]["p99"]
    assert report["first_text_s"]["p50"] < report["latency_s"]["p50"]
    assert report["inter_chunk_s"]["p50"] >= 0.001


def test_an_answer_that_is_not_streamed_has_a_latency_only(server: tuple[ScriptedGenerator, str]):
    report = bench(server[1], "--requests", "2", "--no-stream", "--completions")
    assert report["completion_tokens"] == 10
    assert report["first_text_s"] is report["inter_chunk_s"] is None


def test_an_open_loop_counts_waiting_from_the_planned_moment(
    server: tuple[ScriptedGenerator, str],
):
    report = bench(server[1], "--requests", "20", "--rate", "400", "--seed", "3")
    assert report["answers"] == 20
    assert report["seconds"] >= arrivals(20, 400, 3)[-1]


def test_warm_up_requests_are_sent_and_not_counted(server: tuple[ScriptedGenerator, str]):
    report = bench(server[1], "--requests", "2", "--warm-up", "3")
    assert report["requests"] == 2
    assert len(server[0].requests) == 5


def test_prompts_flags_and_the_diffusion_object_reach_the_server(
    server: tuple[ScriptedGenerator, str], tmp_path: Path
):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("alpha\n\nbeta\n")
    options = ("--prompts", str(prompts), "--max-tokens", "7", "--diffusion", '{"factor": 0.5}')
    bench(server[1], "--requests", "3", *options)
    asked = server[0].requests
    texts = [bytes(request.prompt[1:]).decode() for request in asked]
    assert texts == ["user:alpha\n", "user:beta\n", "user:alpha\n"]
    assert {request.decoding.factor for request in asked} == {0.5}
    assert {request.max_tokens for request in asked} == {7}


def test_errors_are_counted_by_kind(server: tuple[ScriptedGenerator, str]):
    engine, url = server
    scripts = iter([SCRIPT, (Say("a"), Say(error=RowFailed("broke"))), (Say(after_s=30),)])
    engine.script_for = lambda _: next(scripts)
    report = bench(url, "--requests", "3", "--timeout", "0.5")
    assert report["answers"] == 1
    assert sum(report["errors"].values()) == 2
    assert report["errors"]["timeout"] == 1
    assert any(kind.startswith("error in stream") for kind in report["errors"])


def test_a_server_that_answers_nothing_is_a_failure(server: tuple[ScriptedGenerator, str]):
    server[0].refusal = Overloaded("full")
    result = run("--url", server[1], "--requests", "2")
    assert result.exit_code == 1
    assert "HTTP 503" in result.stdout


def test_a_run_ends_at_its_time_limit(server: tuple[ScriptedGenerator, str]):
    server[0].script = (Say(after_s=30),)
    report = bench(server[1], "--requests", "5", "--clients", "2", "--max-duration", "0.3")
    assert report["errors"] == {"cut off at the time limit": 2}
    assert report["seconds"] < 10


def test_the_report_is_written_beside_the_table(
    server: tuple[ScriptedGenerator, str], tmp_path: Path
):
    out = tmp_path / "report.json"
    result = run("--url", server[1], "--requests", "2", "--json", str(out))
    assert json.loads(out.read_text())["answers"] == 2
    assert "inter chunk" in result.stdout


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("--url", "ftp://127.0.0.1"), 2),
        (("--url", "file:///etc/passwd"), 2),
        (("--url", "http://127.0.0.1:1"), 1),
        (("--clients", "2", "--rate", "3"), 2),
        (("--rate", "0"), 2),
        (("--diffusion", "{"), 2),
        (("--diffusion", "[]"), 2),
        (("--requests", "0"), 2),
        (("--prompts", "/nothing/here"), 2),
    ],
)
def test_bad_values_are_refused_before_anything_is_sent(args: tuple[str, ...], status: int):
    assert run(*args).exit_code == status


@given(st.lists(st.floats(min_value=0, max_value=1e4), min_size=1, max_size=200))
def test_percentiles_are_ordered_and_within_the_values(values: list[float]):
    found = percentiles(values)
    assert found is not None
    ordered = [found["p50"], found["p90"], found["p99"], found["max"]]
    assert ordered == sorted(ordered)
    assert min(values) - 1e-6 <= found["p50"]
    assert found["max"] == round(max(values), 6)
    below = np.mean(np.asarray(values) <= found["p90"] + 1e-6)
    assert below >= 0.9 - 1 / len(values)


def test_percentiles_of_nothing_are_nothing():
    assert percentiles([]) is None


@given(st.integers(1, 50), st.floats(0.1, 1000), st.integers(0, 2**32))
def test_arrivals_are_increasing_and_fixed_by_the_seed(count: int, rate: float, seed: int):
    times = arrivals(count, rate, seed)
    assert times == sorted(times)
    assert len(times) == count
    assert times == arrivals(count, rate, seed)
