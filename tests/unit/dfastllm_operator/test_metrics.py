from prometheus_client.parser import text_string_to_metric_families

from dfastllm_operator import __version__
from dfastllm_operator.metrics import Metrics


def test_every_metric_is_ours_or_the_processs_and_has_its_help() -> None:
    families = list(text_string_to_metric_families(Metrics().render().decode()))
    assert all(family.documentation for family in families)
    prefixes = {family.name.split("_")[0] for family in families}
    assert prefixes == {"dfastllm", "process", "python"}


def test_the_names_are_those_that_dashboards_use() -> None:
    families = {f.name for f in text_string_to_metric_families(Metrics().render().decode())}
    assert {name.removeprefix("dfastllm_operator_") for name in families} >= {
        "reconcile_duration_seconds",
        "reconcile_errors",
        "queue_depth",
        "queue_oldest_seconds",
        "services",
        "writes",
        "requests",
        "watch_restarts",
        "leader",
        "build_info",
    }


def test_a_counter_makes_one_series() -> None:
    metrics = Metrics()
    metrics.writes.labels("ConfigMap", "PATCH").inc()
    assert b"_created" not in metrics.render()
    assert f'build_info{{version="{__version__}"}} 1.0'.encode() in metrics.render()


def test_two_of_them_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.leader.set(1)
    assert two.registry.get_sample_value("dfastllm_operator_leader") == 0.0
