from pathlib import Path
from typing import Any

import pytest

from dfastllm.core import CacheKind, StrategyName
from dfastllm.presets import PresetName
from dfastllm.settings import camel_name, leaves, sections
from dfastllm.settings_sources import Configuration, SettingsError, load


def loaded(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **more: Any
) -> Configuration:
    return load(flags, environ=environ or {}, **more)


def refusal(*args: Any, **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(*args, **more)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dfastllm.yaml"


def test_leaf_names_are_unique_over_all_sections() -> None:
    names = [leaf for _, leaf, _ in leaves()]
    assert len(names) == len(set(names))


def test_every_setting_is_described() -> None:
    assert [leaf for _, leaf, info in leaves() if not info.description] == []
    assert [name for name, model in sections().items() if not model.__doc__] == []


def test_flags_win_over_environment_over_file_over_defaults(file: Path) -> None:
    file.write_text("server: {port: 1, host: a, max_n: 3}")
    configuration = loaded({"port": "3"}, {"DFASTLLM_PORT": "2", "DFASTLLM_HOST": "b"}, config=file)
    server = configuration.settings.server
    assert (server.port, server.host, server.max_n, server.max_logprobs) == (3, "b", 3, 20)
    assert configuration.origins == {
        ("server", "port"): "flag --port",
        ("server", "host"): "environment DFASTLLM_HOST",
        ("server", "max_n"): f"file {file}",
    }


def test_the_file_may_be_named_by_a_variable(file: Path) -> None:
    file.write_text("model: {model: builtin:other}")
    assert loaded(environ={"DFASTLLM_CONFIG": str(file)}).settings.model.served_names == ("other",)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().settings.server.port = 1


def test_lists_are_comma_separated_outside_of_the_file(file: Path) -> None:
    file.write_text("decoding: {allowed_caches: [none, dual]}")
    environ = {"DFASTLLM_SERVED_MODEL_NAME": "a, b", "DFASTLLM_ALLOWED_STRATEGIES": "fixed"}
    settings = loaded(environ=environ, config=file).settings
    assert settings.model.served_names == ("a", "b")
    assert settings.decoding.allowed_strategies == (StrategyName.FIXED,)
    assert settings.decoding.allowed_caches == (CacheKind.NONE, CacheKind.DUAL)


@pytest.mark.parametrize("off", ["0", "off", "", "none"])
def test_limits_are_switched_off_in_words_people_use(off: str) -> None:
    environ = {"DFASTLLM_REQUEST_RATE": off, "DFASTLLM_REQUEST_TIMEOUT_S": off}
    settings = loaded(environ=environ).settings
    assert (settings.rate_limit.request_rate, settings.engine.request_timeout_s) == (None, None)


def test_a_preset_is_a_flag_a_variable_and_a_key(file: Path) -> None:
    assert loaded().settings.decoding.preset is None
    file.write_text("decoding: {preset: quality}")
    assert loaded(config=file).settings.decoding.preset is PresetName.QUALITY
    environ = {"DFASTLLM_PRESET": "balanced"}
    assert loaded(environ=environ, config=file).settings.decoding.preset is PresetName.BALANCED
    given = {"preset": "fast", "threshold": "0.8"}
    decoding = loaded(given, environ, config=file).settings.decoding
    assert (decoding.preset, decoding.threshold) == (PresetName.FAST, 0.8)


def test_a_key_without_a_value_is_as_if_left_out(file: Path) -> None:
    file.write_text("server:\n  port:\nengine:\n")
    assert loaded(config=file).settings.server.port == 8080


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("server: {prot: 1}", "no setting server.prot; did you mean server.port?"),
        ("engine: {port: 1}", "no setting engine.port; it belongs to section server"),
        ("sever: {port: 1}", "no section 'sever'; did you mean server?"),
        ("port: 1", "no section 'port'; it belongs to section server"),
        ("server: 7", "section server must be a mapping"),
        ("- 1", "a mapping of sections is expected"),
        ("a: [", "not YAML"),
        ("server: {maxBodyBytes: 1}", "did you mean server.max_body_bytes?"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    said = refusal(config=file)
    assert complaint in said
    assert str(file) in said


def test_a_file_that_is_not_there_is_an_error(file: Path) -> None:
    assert refusal(config=file) == f"configuration file {file}: No such file or directory"


def test_unknown_variables_with_our_prefix_are_refused() -> None:
    said = refusal(environ={"DFASTLLM_PROT": "1", "DFASTLLM_ZZZZZZ": "1"})
    assert said.splitlines() == [
        "environment DFASTLLM_PROT: no such setting; did you mean DFASTLLM_PORT?",
        "environment DFASTLLM_ZZZZZZ: no such setting",
    ]


def test_service_links_of_kubernetes_are_not_ours() -> None:
    links = {
        "DFASTLLM_PORT": "tcp://10.96.0.7:8080",
        "DFASTLLM_SERVICE_HOST": "10.96.0.7",
        "DFASTLLM_SERVICE_PORT": "8080",
        "DFASTLLM_SERVICE_PORT_HTTP": "8080",
        "DFASTLLM_PORT_8080_TCP": "tcp://10.96.0.7:8080",
        "DFASTLLM_PORT_8080_TCP_ADDR": "10.96.0.7",
        "DFASTLLM_PREDICTOR_SERVICE_HOST": "10.96.0.8",
        "DFASTLLM_PREDICTOR_PORT": "tcp://10.96.0.8:80",
        "DFASTLLM_PREDICTOR_PORT_80_TCP_PROTO": "tcp",
    }
    assert loaded(environ=links).settings.server.port == 8080


def test_a_pod_listens_to_the_outside_unless_told_otherwise() -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
    assert loaded().settings.server.host == "127.0.0.1"
    assert loaded(environ=pod).settings.server.host == "0.0.0.0"
    assert loaded({"host": "::1"}, pod).settings.server.host == "::1"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"port": "abc"}, "server.port = 'abc' (from flag --port): Input should be a valid int"),
        ({"port": "70000"}, "less than or equal to 65535"),
        ({"strategy": "best"}, "Input should be 'fixed', 'threshold', 'factor' or 'apd'"),
        (
            {"preset": "turbo"},
            "decoding.preset = 'turbo' (from flag --preset): Input should be 'quality', 'balanced' "
            "or 'fast'",
        ),
        ({"request_rate": "many"}, "'many' is not a rate; write COUNT/PERIOD"),
        ({"trusted_proxies": "10.0.0.0/8,x"}, "server.trusted_proxies = 'x' (from flag"),
        ({"tls_cert": "a.pem"}, "server: tls_cert and tls_key belong together"),
        ({"strategy": "fixed", "allowed_strategies": "factor"}, "fixed is not among allowed_str"),
        ({"block_length": "512"}, "block_length is larger than max_block_length"),
        ({"trust_remote_code": True}, "never executed"),
        ({"kserve_name": "a/b"}, "model.kserve_name = 'a/b'"),
    ],
)
def test_a_bad_value_names_the_setting_the_value_and_what_is_right(
    flags: dict[str, Any], complaint: str
) -> None:
    assert complaint in refusal(flags)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(refusal({"port": "x", "max_n": "y", "log_level": "loud"}).splitlines()) == 3


@pytest.mark.parametrize(
    ("model", "name", "kserve_name"),
    [
        ("builtin:tiny", "tiny", "tiny"),
        ("/mnt/models", "models", "models"),
        ("./some/where/llada-8b/", "llada-8b", "llada-8b"),
        ("GSAI-ML/LLaDA-8B-Instruct", "GSAI-ML/LLaDA-8B-Instruct", "GSAI-ML-LLaDA-8B-Instruct"),
    ],
)
def test_names_are_derived_from_the_model(model: str, name: str, kserve_name: str) -> None:
    section = loaded({"model": model}).settings.model
    assert (section.served_names, section.kserve_model_name) == ((name,), kserve_name)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"kserve_name": "chat"}, "chat"),
        ({"served_model_name": "new,old"}, "new"),
        ({"served_model_name": "new,old", "kserve_name": "chat"}, "chat"),
        ({"model": "GSAI-ML/LLaDA-8B-Instruct"}, "GSAI-ML/LLaDA-8B-Instruct"),
    ],
)
def test_metrics_are_labelled_with_one_name_for_all_revisions(
    given: dict[str, str], name: str
) -> None:
    assert loaded({"model": "builtin:tiny", **given}).settings.model.metrics_name == name


def test_in_kserve_the_model_is_named_as_the_service() -> None:
    environ = {"INFERENCE_SERVICE_NAME": "chat", "DFASTLLM_MODEL": "/mnt/models"}
    assert loaded(environ=environ).settings.model.served_names == ("chat",)
    named = loaded({"served_model_name": "mine"}, environ).settings.model
    assert named.served_names == ("mine",)


def test_the_custom_resource_spells_names_in_camel_case() -> None:
    assert camel_name("request_timeout_s") == "requestTimeoutS"
