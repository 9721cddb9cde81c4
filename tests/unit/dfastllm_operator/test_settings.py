import pytest
from pydantic import ValidationError

from dfastllm_operator.settings import PREFIX, Settings, SettingsError, load


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def mistakes(**flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(flags)
    return str(caught.value).splitlines()


def test_defaults_are_valid_and_serve_the_whole_cluster() -> None:
    settings = load()
    assert settings.scopes == (None,)
    assert settings.leader_elect is True


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}WORKERS", "7")
    monkeypatch.setenv(f"{PREFIX}DOMAIN", "models.example")
    settings = load({"workers": "9", "domain": None})
    assert (settings.workers, settings.domain) == (9, "models.example")


def test_namespaces_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}NAMESPACES", "one, two,,one")
    assert load().scopes == ("one", "two")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}NAMESPACES", "")
    monkeypatch.setenv(f"{PREFIX}WORKERS", "")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"workers": "many"}, "--workers (DFASTLLM_OPERATOR_WORKERS)"),
        ({"workers": "0"}, "greater than or equal to 1"),
        ({"gateway": "no-slash"}, "--gateway"),
        ({"namespaces": "Upper"}, "'Upper' is no name of a namespace"),
        ({"health_port": "70000"}, "--health-port"),
        ({"resync_s": "0"}, "--resync-s"),
        ({"log_level": "loud"}, "'debug', 'info', 'warning' or 'error'"),
        ({"hub_endpoint": "ftp://x"}, "--hub-endpoint"),
        ({"server_image": " "}, "--server-image"),
        ({"renew_deadline_s": "20"}, "a leader gives up before others take over"),
        ({"backoff_base_s": "900"}, "backoff_base_s must not exceed backoff_cap_s"),
    ],
)
def test_a_mistake_is_named_with_its_flag_and_variable(
    flags: dict[str, object], words: str
) -> None:
    (line,) = mistakes(**flags)
    assert words in line


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes(workers="x", health_port="y")) == 2


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}WORKER", "3")
    assert mistakes() == [f"{PREFIX}WORKER: no such setting"]


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for leaf, value in {
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP": "tcp://10.0.0.1:80",
        "PORT_80_TCP_ADDR": "10.0.0.1",
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "SERVICE_PORT_METRICS": "80",
    }.items():
        monkeypatch.setenv(PREFIX + leaf, value)
    assert load() == Settings()


def test_settings_do_not_change() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.workers = 3  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_a_hub_has_no_slash_at_its_end_and_may_be_none() -> None:
    assert load({"hub_endpoint": "https://hub.example/"}).hub_endpoint == "https://hub.example"
    assert load({"hub_endpoint": ""}).hub_endpoint == ""


@pytest.mark.parametrize(("inactivity", "stream"), [("70", 56.0), ("5", 4.0), ("1000", 300.0)])
def test_an_idle_watch_ends_before_it_is_taken_for_dead(inactivity: str, stream: float) -> None:
    assert load({"watch_inactivity_s": inactivity}).stream_s == stream
