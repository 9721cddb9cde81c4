"""What the operator writes is what the server reads: the one test that meets both packages."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dfastllm import settings as server
from dfastllm.settings_sources import load
from dfastllm_operator.api.structure import Struct
from dfastllm_operator.kinds import CONFIG_MAP
from support.rendered import a_service, body_of, children_of

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/in.yaml"))

HOME: dict[str, type[server.Section]] = {
    "engine": server.EngineSection,
    "decoding": server.DecodingSection,
}
ELSEWHERE: dict[str, type[server.Section]] = {
    "max_model_len": server.ModelSection,
    "dtype": server.ModelSection,
    "num_threads": server.ModelSection,
}
OTHER_NAMES: dict[str, tuple[type[server.Section], str]] = {
    "log_level": (server.LogSection, "log_level"),
    "log_format": (server.LogSection, "log_format"),
    "log_prompts": (server.LogSection, "log_prompts"),
    "cors_origins": (server.ServerSection, "cors_origin"),
    "trusted_proxies": (server.ServerSection, "trusted_proxies"),
    "max_body_bytes": (server.ServerSection, "max_body_bytes"),
}
OPERATOR_ONLY = {"quantization"}


def loaded(spec: dict[str, Any], tmp_path: Path, **metadata: str) -> server.Settings:
    """The settings of a server that starts with the rendered file and nothing else."""
    rendered = body_of(children_of(a_service(spec, **metadata)), CONFIG_MAP)
    (text,) = rendered["data"].values()
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(environ={"INFERENCE_SERVICE_NAME": "chat-a"}, config=path).settings


@pytest.mark.parametrize("case", CASES)
def test_the_server_takes_every_rendered_file(case: str, tmp_path: Path) -> None:
    service = yaml.safe_load((GOLDEN / case / "in.yaml").read_text())["service"]
    metadata = service["metadata"]
    settings = loaded(service["spec"], tmp_path, **metadata)
    assert settings.model.kserve_model_name == metadata["name"]
    assert settings.model.metrics_name == metadata["name"], "whatever model.name says"
    served = service["spec"]["model"].get("name", metadata["name"])
    assert settings.model.served_names == (served,)
    scheme, _, name = service["spec"]["model"]["uri"].partition("://")
    if scheme == "builtin":
        assert settings.model.model == f"builtin:{name}"
    else:
        assert settings.model.model.startswith("/mnt/models")
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 8080)


def test_every_value_arrives_where_it_belongs(tmp_path: Path) -> None:
    """The golden case `everything` sets each field of these sections to no default."""
    given = yaml.safe_load((GOLDEN / "everything" / "in.yaml").read_text())["service"]
    settings = loaded(given["spec"], tmp_path, **given["metadata"])
    said = a_service(given["spec"], **given["metadata"]).spec
    for section, name, (home, leaf) in _fields():
        value = getattr(getattr(said, section), name)
        arrived = getattr(_section_of(settings, home), leaf)
        assert _plain(arrived) == _plain(value), f"{section}.{name}"
        assert value != type(getattr(said, section)).model_fields[name].default, f"{section}.{name}"
    assert settings.rate_limit.request_rate == "5/second"
    assert settings.rate_limit.token_rate == "1000000/day"
    assert settings.auth.api_keys_file == Path("/etc/dfastllm-keys")


def test_every_default_that_the_custom_resource_shows_is_the_servers() -> None:
    for section, name, (home, leaf) in _fields():
        part: Struct = getattr(a_service().spec, section)
        ours = type(part).model_fields[name].get_default(call_default_factory=True)
        theirs = server.default_of(home.model_fields[leaf])
        assert _plain(ours) == _plain(theirs), f"{section}.{name}"


def test_every_setting_of_engine_and_decoding_is_in_the_custom_resource() -> None:
    spec = a_service().spec
    for section, home in HOME.items():
        here = set(type(getattr(spec, section)).model_fields)
        assert set(home.model_fields) <= here, section


def test_rates_are_understood_in_every_unit(tmp_path: Path) -> None:
    for unit in ("second", "minute", "hour", "day"):
        spec = {"model": {"uri": "builtin://tiny"}, "rateLimit": {"requests": f"3/{unit}"}}
        assert loaded(spec, tmp_path).rate_limit.request_rate == f"3/{unit}"


def _fields() -> list[tuple[str, str, tuple[type[server.Section], str]]]:
    """Section and field of the CR, with the server's section and setting for each."""
    spec = a_service().spec
    found: list[tuple[str, str, tuple[type[server.Section], str]]] = []
    for section in ("engine", "decoding", "server"):
        part: Struct = getattr(spec, section)
        for name in type(part).model_fields:
            if name not in OPERATOR_ONLY:
                home: type[server.Section] = HOME.get(section, server.ServerSection)
                place = OTHER_NAMES.get(name) or (ELSEWHERE.get(name, home), name)
                found.append((section, name, place))
    return found


def _section_of(settings: server.Settings, home: type[server.Section]) -> server.Section:
    names = {model: name for name, model in server.sections().items()}
    section: server.Section = getattr(settings, names[home])
    return section


def _plain(value: Any) -> Any:
    """Words and numbers, whatever enumeration or tuple they came in."""
    if isinstance(value, tuple | list):
        return [str(part).removesuffix("/32") for part in value]
    return str(value) if isinstance(value, str) else value
