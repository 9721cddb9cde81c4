"""The chart read without Helm: values, schema, page and the cases in `ci/` agree."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfastllm_operator import __version__
from dfastllm_operator.install.values_table import described
from dfastllm_operator.settings import PREFIX, Settings

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "dfastllm"
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
CASES = {p.name.removesuffix("-values.yaml"): p for p in sorted((CHART / "ci").iterdir())}
TEMPLATES = sorted((CHART / "templates").rglob("*.*"))
OPEN = {"texts", "amounts", "kubernetes"}  # definitions with keys of others


def leaves(values: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def closed(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every object of the schema that has keys of its own."""
    if schema.get("type") == "object":
        yield path, schema
    for key, inner in schema.get("properties", {}).items():
        yield from closed(inner, f"{path}.{key}".lstrip("."))
    if "items" in schema:
        yield from closed(schema["items"], f"{path}[]")


def at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values.get(key) if isinstance(values, dict) else None
    return values


def test_versions_are_those_of_the_operator() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["annotations"]["licenses"] == project["license"]


def test_every_value_is_described() -> None:
    told = {value.path for value in described((CHART / "values.yaml").read_text())}
    for path, _ in leaves(VALUES):
        ups = {path.rsplit(".", n)[0] for n in range(path.count(".") + 1)}
        assert ups & told, path


def test_unknown_keys_are_refused_at_every_level() -> None:
    for path, schema in closed(SCHEMA):
        if path != "global":
            assert schema["additionalProperties"] is False, path
    assert {name for name, one in SCHEMA["$defs"].items() if one["type"] == "object"} == OPEN


def test_the_schema_knows_the_values_and_no_others() -> None:
    known = {
        f"{path}.{key}".lstrip(".")
        for path, schema in closed(SCHEMA)
        if "[]" not in path
        for key, inner in schema.get("properties", {}).items()
        if inner.get("type") != "object"
    }
    told = {value.path for value in described((CHART / "values.yaml").read_text())}
    # Of an affinity the schema knows the three kinds.
    assert {path for path in known if not path.startswith("affinity.")} == told - {"affinity"}


def test_every_switch_is_turned_by_a_case() -> None:
    cases = [yaml.safe_load(path.read_text()) for path in CASES.values()]
    for path, default in leaves(VALUES):
        if isinstance(default, bool):
            assert any(
                at(case, path) is not default for case in cases if at(case, path) is not None
            ), path


def test_every_value_is_set_by_a_case() -> None:
    cases = [yaml.safe_load(path.read_text()) for path in CASES.values()]
    untouched = {path for path, _ in leaves(VALUES) if all(at(c, path) is None for c in cases)}
    assert not untouched


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_what_it_shows(name: str) -> None:
    assert CASES[name].name == f"{name}-values.yaml"
    assert CASES[name].read_text().startswith("# ")


def test_defaults_are_the_operators() -> None:
    settings = Settings()
    assert VALUES["domain"] == settings.domain
    assert VALUES["urlScheme"] == settings.url_scheme
    assert VALUES["clusterDomain"] == settings.cluster_domain
    assert VALUES["logLevel"] == settings.log_level
    assert VALUES["gateway"] == settings.gateway


def test_templates_set_variables_that_exist() -> None:
    text = "\n".join(path.read_text() for path in TEMPLATES)
    names = set(re.findall(rf"{PREFIX}([A-Z_]+)", text))
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


def test_a_default_that_is_not_passed_on_is_compared_with_itself() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    compared = dict(re.findall(r'if ne \.Values\.(\w+) "(.*?)"', helpers))
    assert compared
    assert compared == {key: VALUES[key] for key in compared}


def test_what_is_generated_is_included_and_not_repeated() -> None:
    text = "\n".join(path.read_text() for path in TEMPLATES)
    files = {str(p.relative_to(CHART)) for p in (CHART / "files").rglob("*.yaml")}
    included = set(re.findall(r'Files\.Get "(.*?)"', text))
    globbed = {
        f for f in files for glob in re.findall(r'Files\.Glob "(.*?)"', text) if Path(f).match(glob)
    }
    assert included | globbed == files
    assert "verbs:" not in text
