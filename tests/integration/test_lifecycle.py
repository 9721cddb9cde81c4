"""A server process from start to exit, in both forms, over a real socket."""

import signal
import threading
from typing import Any

import httpx
import pytest

from support.process import Server, running, until

FORMS = ["plain", "kserve"]
PLAIN = ("--plain", "true")


def form_flags(form: str) -> tuple[str, ...]:
    return ("--plain", str(form == "plain").lower())


def body(prompt: str, **more: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": prompt, "max_tokens": 1000, **more}


class Reading:
    """A stream being read in the background."""

    def __init__(self, server: Server, prompt: str):
        self.text = ""
        self.error: Exception | None = None
        self._client = server.client
        self._prompt = prompt
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        until(lambda: "data:" in self.text, "the first chunk")

    def _read(self) -> None:
        try:
            request = body(self._prompt, stream=True)
            with self._client.stream("POST", "/v1/completions", json=request) as response:
                for text in response.iter_text():
                    self.text += text
        except httpx.HTTPError as error:
            self.error = error

    def finish(self) -> str:
        self._thread.join(30)
        return self.text


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_idle_server_stops_at_once_with_status_0(form: str) -> None:
    with running(*form_flags(form)) as server:
        assert server.client.get("/health/ready").status_code == 200
        server.signal()
        assert server.wait() == 0


def test_streams_finish_while_new_work_is_refused(form: str) -> None:
    with running(*form_flags(form)) as server:
        reading = Reading(server, "chunks=15 every=0.1")
        server.signal()
        server.said("draining")
        assert server.client.get("/health/ready").status_code == 503
        assert server.client.get("/health/live").status_code == 200
        refused = server.client.post("/v1/completions", json=body("x"))
        assert refused.status_code == 503
        assert refused.headers["connection"] == "close"
        if form == "kserve":
            assert server.client.get("/v2/models/tiny/ready").status_code == 503
        text = reading.finish()
        assert text.count('"text":"x"') == 15
        assert text.endswith("data: [DONE]\n\n")
        assert server.wait() == 0


def test_ctrl_c_is_as_gentle(form: str) -> None:
    with running(*form_flags(form)) as server:
        reading = Reading(server, "chunks=5 every=0.1")
        server.signal(signal.SIGINT)
        assert reading.finish().endswith("data: [DONE]\n\n")
        assert server.wait() == 0


def test_the_grace_period_ends_streams_that_take_longer(form: str) -> None:
    with running(*form_flags(form), "--grace-period-s", "0.5") as server:
        reading = Reading(server, "chunks=1000 every=0.1")
        server.signal()
        assert server.wait() == 0
        assert "[DONE]" not in reading.finish()
        assert any("grace period over" in line for line in server.lines)


@pytest.mark.parametrize(
    ("second", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_a_second_signal_ends_it_now(second: signal.Signals, status: int) -> None:
    with running(*PLAIN) as server:
        Reading(server, "chunks=1000 every=0.1")
        server.signal()
        server.said("draining")
        server.signal(second)
        assert server.wait() == status


def test_the_port_is_open_while_the_model_loads(form: str) -> None:
    with running(*form_flags(form), "--load-s", "1.5", ready=False) as server:
        assert server.client.get("/health/live").status_code == 200
        assert server.client.get("/health/ready").status_code == 503
        assert server.client.get("/health").json()["status"] == "loading"
        assert server.client.get("/v1/models").status_code == 503
        refused = server.client.post("/v1/completions", json=body("x"))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        server.said("ready")
        assert server.client.get("/health/ready").status_code == 200


def test_a_signal_while_loading_does_not_wait_for_the_load() -> None:
    with running(*PLAIN, "--load-s", "600", ready=False) as server:
        server.said("listening")
        server.signal()
        assert server.wait() == 0


def test_a_model_that_cannot_be_loaded_is_one_clear_line_and_status_1(form: str) -> None:
    with running(*form_flags(form), "--load-error", "no weights", ready=False) as server:
        assert server.wait() == 1
        failures = [line for line in server.log if line["level"] == "error"]
        assert [line["error"] for line in failures] == ["CheckpointError: no weights"]
        assert "Traceback" not in "".join(server.lines)


def test_an_address_in_use_is_one_clear_line_and_status_1(form: str) -> None:
    with running(*PLAIN) as first:
        port = first.url.rpartition(":")[2]
        with running(*form_flags(form), "--port", port, ready=False) as second:
            assert second.wait() == 1
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in second.lines[-1]
