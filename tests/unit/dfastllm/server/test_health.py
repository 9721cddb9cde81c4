import pytest
from prometheus_client import REGISTRY, Gauge

from dfastllm import __version__
from support.scripted import ScriptedGenerator
from support.served import Served


@pytest.mark.parametrize("prefix", ["/health", "/v2/health"])
def test_a_dead_engine_is_not_live_and_a_warming_one_not_ready(prefix: str) -> None:
    engine = ScriptedGenerator(ready=False)
    client = Served(engine=engine).client
    assert client.get(f"{prefix}/live").status_code == 200
    assert client.get(f"{prefix}/ready").status_code == 503
    engine.ready = True
    assert client.get(f"{prefix}/ready").status_code == 200
    engine.alive = engine.ready = False
    assert client.get(f"{prefix}/live").status_code == 503
    assert client.get(f"{prefix}/ready").status_code == 503
    assert client.get("/health").status_code == 503
    assert client.get("/health").json()["status"] == "failed"


def test_health_tells_who_serves_what() -> None:
    detail = Served().client.get("/health").json()
    assert detail.pop("uptime_s") >= 0
    assert detail == {
        "status": "ready",
        "version": __version__,
        "working_requests": 0,
        "models": ["tiny", "org/tiny"],
    }


def test_the_root_leads_on() -> None:
    client = Served().client
    links = client.get("/").json()["links"]
    assert client.get(links["models"]).status_code == 200
    assert client.get(links["metrics"]).status_code == 200


def test_version_and_metrics() -> None:
    client = Served().client
    assert client.get("/version").json()["version"] == __version__
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "dfastllm_requests_running" in metrics.text
    assert client.post("/health").status_code == 405


@pytest.mark.parametrize(
    "accepted",
    [
        "text/plain;version=0.0.4;q=0.5",
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        "application/openmetrics-text;version=1.0.0;escaping=underscores",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6",
        "text/plain;version=1.0.0;escaping=values",
    ],
)
def test_a_colon_in_the_name_of_a_metric_stays_whatever_prometheus_asks_for(accepted: str) -> None:
    """Its older versions ask for OpenMetrics first, its newer ones say what they can escape."""
    gauge = Gauge("vllm:of_a_test", "Like those that carry vLLM's names.", ["engine"])
    try:
        gauge.labels("0").set(3)
        told = Served().client.get("/metrics", headers={"accept": accepted}).text
    finally:
        REGISTRY.unregister(gauge)
    assert 'vllm:of_a_test{engine="0"} 3.0' in told.splitlines()
