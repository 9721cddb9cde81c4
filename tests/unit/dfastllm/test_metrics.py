import timeit
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dfastllm.core import RequestStats
from dfastllm.metrics import EngineMetrics, HttpMetrics, make_instruments
from dfastllm.metrics_vllm import describe_model

STATS = RequestStats(10, 20, 5, 2, queue_s=0.25, compute_s=1.0)


class Board:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.instruments = make_instruments(self.registry)
        self.engine = EngineMetrics(self.instruments, kv_page_bytes=100)
        self.http = HttpMetrics(self.instruments)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def vllm(self, name: str, **labels: str) -> float | None:
        return self(f"vllm:{name}", model_name="m", engine="0", **labels)


@pytest.fixture
def board() -> Board:
    board = Board()
    describe_model("m", registry=board.registry, instruments=board.instruments)
    return board


def test_a_step_is_counted(board: Board) -> None:
    board.engine.step(0.02, "refresh", rows=3, fed_tokens=90, committed=12)
    board.engine.step(0.01, "block", rows=2, fed_tokens=64, committed=5, canvas_tokens=60)
    assert board("dfastllm_forwards_total", kind="refresh") == 1
    assert board("dfastllm_fed_tokens_total") == 154
    assert board("dfastllm_commits_per_step_sum") == 17
    assert board("dfastllm_step_seconds_sum", kind="block") == 0.01
    assert board.vllm("diffusion_num_denoising_steps_total") == 5
    assert board.vllm("diffusion_num_canvas_positions_total") == 150
    assert board.vllm("diffusion_num_committed_tokens_total") == 17


def test_a_finished_answer_is_counted(board: Board) -> None:
    board.engine.finished(STATS, "stop")
    board.engine.finished(None, "cancelled")
    board.engine.finished(STATS, "deadline")
    assert board("dfastllm_requests_finished_total", outcome="stop") == 1
    assert board("dfastllm_tokens_per_forward_sum") == 8
    assert board("dfastllm_forwards_per_request_sum") == 10
    assert board.vllm("request_success_total", finished_reason="stop") == 1
    assert board.vllm("request_success_total", finished_reason="abort") == 2
    assert board.vllm("request_success_total", finished_reason="error") == 0
    assert board.vllm("prompt_tokens_total") == 20
    assert board.vllm("generation_tokens_total") == 40
    assert board.vllm("request_queue_time_seconds_sum") == 0.5


def test_a_warm_up_is_not_counted(board: Board) -> None:
    board.engine.counting = False
    board.engine.step(0.1, "mixed", rows=1, fed_tokens=1, committed=1)
    board.engine.finished(STATS, "stop")
    assert board("dfastllm_forwards_total", kind="mixed") == 0
    assert board.vllm("request_success_total", finished_reason="stop") == 0


def test_load_and_memory_are_shown(board: Board) -> None:
    assert board.vllm("kv_cache_usage_perc") == 0
    board.engine.set_load(3, 4)
    board.engine.set_kv(5, 20)
    assert board("dfastllm_kv_bytes_used") == 500
    assert board.vllm("num_requests_running") == 3
    assert board.vllm("num_requests_waiting") == 4
    assert board.vllm("kv_cache_usage_perc") == 0.25


def test_a_verifier_has_counts_and_memory_of_its_own(board: Board) -> None:
    board.engine.verifier_page_bytes = 10
    board.engine.verified(0.25, forwards=2, fed_tokens=40)
    board.engine.finished(replace(STATS, verifier_passes=9, drafted=80, accepted=20), "stop")
    board.engine.set_verifier_kv(3, 20)
    board.engine.set_kv(5, 20)
    assert board("dfastllm_verifier_forwards_total") == 2
    assert board("dfastllm_verifier_seconds_sum") == 0.25
    assert board("dfastllm_verifier_fed_tokens_total") == 40
    assert board("dfastllm_drafted_tokens_total") == 80
    assert board("dfastllm_accepted_tokens_total") == 20
    assert board("dfastllm_verifier_kv_pages_used") == 3
    assert board("dfastllm_kv_bytes_used") == 530
    assert board("dfastllm_kv_bytes_total") == 2200
    board.engine.counting = False
    board.engine.verified(0.25, forwards=2, fed_tokens=40)
    assert board("dfastllm_verifier_forwards_total") == 2


def test_the_network_that_reads_the_context_has_counts_of_its_own(board: Board) -> None:
    board.engine.context_read(30)
    board.engine.context_read(8)
    assert board("dfastllm_context_forwards_total") == 2
    assert board("dfastllm_context_fed_tokens_total") == 38
    board.engine.counting = False
    board.engine.context_read(30)
    assert board("dfastllm_context_forwards_total") == 2


def test_times_have_the_names_of_vllm_beside_ours(board: Board) -> None:
    board.http.latency(2.0, 0.5)
    board.http.inter_chunk(0.125)
    for ours, theirs, value in (
        ("dfastllm_request_seconds", "e2e_request_latency_seconds", 2.0),
        ("dfastllm_time_to_first_token_seconds", "time_to_first_token_seconds", 0.5),
        ("dfastllm_inter_chunk_seconds", "inter_token_latency_seconds", 0.125),
    ):
        assert board(f"{ours}_sum") == board.vllm(f"{theirs}_sum") == value
        assert board.vllm(f"{theirs}_bucket", le="+Inf") == 1


def test_the_exposition_can_be_read_by_prometheus(board: Board) -> None:
    board.http.request("chat", "ok")
    text = generate_latest(board.registry).decode()
    assert '\nvllm:num_requests_running{engine="0",model_name="m"} 0.0\n' in text
    assert "# TYPE vllm:request_success_total counter" in text
    assert 'dfastllm_requests_total{outcome="ok",route="chat"} 1.0' in text


def test_reporting_a_step_takes_microseconds(board: Board) -> None:
    def step() -> None:
        board.engine.step(0.01, "block", 4, 128, 9)

    assert min(timeit.repeat(step, number=1000, repeat=5)) / 1000 < 20e-6
