"""What the operator writes is what the server reads. Nowhere else are both packages imported."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import dfastllm
from dfastllm import core, settings, verifier
from dfastllm.models import generation_defaults
from dfastllm.models.source import builtin_names
from dfastllm.settings_sources import load
from dfastllm_operator.api import parse
from dfastllm_operator.api.decoding import Cache, Decoding, Remasking, Strategy
from dfastllm_operator.api.engine import Engine, Quantization, Server
from dfastllm_operator.api.model import BUILTINS
from dfastllm_operator.api.pod import SERVER_ENV
from dfastllm_operator.api.structure import Struct, camel_name
from dfastllm_operator.api.verifier import VERIFIERS, VerifierName
from dfastllm_operator.places import MODEL_DIRECTORY
from dfastllm_operator.serverconfig import server_config
from dfastllm_operator.sizing.size import BUILTIN_LOOKAHEAD, DEFAULT_LOOKAHEAD
from support.custom_resources import FULL, TINY, custom_resource

Json = dict[str, Any]
BUILTIN = Path(dfastllm.__file__).parent / "builtin"
LLADA = {"uri": "hf://GSAI-ML/LLaDA-8B-Instruct"}
SIZE = {"size": {"parameters": "1B"}}
CLAIMED = f"{MODEL_DIRECTORY}/verifier/files/v"
OF_THE_MODEL = {"max_model_len", "dtype", "num_threads"}
NOT_YET = {"quantization"}
"""Fields that only have the value the server has always had; it has no such setting yet."""

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems")
SERVER_NAMES = {"cors_origins": "cors_origin"}


def properties(model: type[BaseModel]) -> dict[str, Json]:
    """Schemas by snake_case name, references and `or null` taken out."""
    schema = model.model_json_schema(by_alias=False)
    found = {}
    for name, node in schema["properties"].items():
        parts = [node, *node.get("anyOf", [])]
        flat = {key: value for part in parts for key, value in part.items()}
        reference = flat.get("$ref") or flat.get("items", {}).get("$ref")
        if reference:
            flat |= schema["$defs"][reference.rpartition("/")[2]]
        found[name] = flat
    return found


def same(ours: type[Struct], name: str, theirs: type[settings.Section], leaf: str) -> None:
    """Default, bounds and words of a field are those of the setting."""
    field, setting = ours.model_fields[name], theirs.model_fields[leaf]
    assert field.get_default() == settings.default_of(setting), name
    mine, other = properties(ours)[name], properties(theirs)[leaf]
    assert {key: mine.get(key) for key in BOUNDS} == {key: other.get(key) for key in BOUNDS}, name
    assert mine.get("enum") == other.get("enum"), name


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Strategy, core.StrategyName), (Cache, core.CacheKind), (Remasking, core.Remasking)],
)
def test_both_have_the_same_words(ours: type[StrEnum], theirs: type[StrEnum]) -> None:
    assert [member.value for member in ours] == [member.value for member in theirs]


def test_decoding_is_the_servers_section() -> None:
    assert Decoding.model_fields.keys() == settings.DecodingSection.model_fields.keys()
    for name in Decoding.model_fields:
        same(Decoding, name, settings.DecodingSection, name)


def test_engine_is_the_servers_section_and_some_of_the_models() -> None:
    section = settings.EngineSection.model_fields.keys()
    assert Engine.model_fields.keys() == section | OF_THE_MODEL | NOT_YET
    for name in section:
        same(Engine, name, settings.EngineSection, name)
    for name in OF_THE_MODEL:
        same(Engine, name, settings.ModelSection, name)


def test_what_the_server_does_not_have_is_refused_until_it_does() -> None:
    leaves = {leaf for _, leaf, _ in settings.leaves()}
    assert not leaves & NOT_YET, "the server has it now: the API may offer it"
    assert list(Quantization) == ["none"]


def test_server_fields_are_settings_with_the_same_defaults() -> None:
    sections = {leaf: section for section, leaf, _ in settings.leaves()}
    for name in Server.model_fields:
        leaf = SERVER_NAMES.get(name, name)
        same(Server, name, settings.sections()[sections[leaf]], leaf)


def test_both_spell_in_the_same_way() -> None:
    for _, leaf, _ in settings.leaves():
        assert camel_name(leaf) == settings.camel_name(leaf)


def test_reserved_variables_are_variables_of_the_server() -> None:
    known = {f"DFASTLLM_{leaf.upper()}" for _, leaf, _ in settings.leaves()}
    assert set(SERVER_ENV) <= known | {"DFASTLLM_CONFIG"}


def test_the_built_in_models_are_the_servers() -> None:
    """One whose weights are still to come is there with its description."""
    described = {path.parent.name for path in BUILTIN.glob("*/config.json")}
    assert {f"builtin://{name}" for name in builtin_names()} <= set(BUILTINS)
    assert set(BUILTINS) <= {f"builtin://{name}" for name in described}


def test_every_built_in_model_has_its_verifier() -> None:
    assert set(VERIFIERS) == {f"{uri}-verifier" for uri in BUILTINS}
    shipped = set(builtin_names(verifiers=True)) - set(builtin_names())
    assert {f"builtin://{name}" for name in shipped} <= set(VERIFIERS)


@pytest.mark.parametrize("name", [uri.removeprefix("builtin://") for uri in BUILTINS])
def test_no_draft_of_a_built_in_model_is_longer_than_it_is_sized_for(name: str) -> None:
    said = json.loads((BUILTIN / name / "generation_config.json").read_text())["diffusion"]
    for part in (said, *said.get("presets", {}).values()):
        assert part.get("lookahead", 0) <= BUILTIN_LOOKAHEAD
    assert DEFAULT_LOOKAHEAD == generation_defaults.DEFAULT_LOOKAHEAD


def test_words_for_a_verifier_that_lies_nowhere_are_the_servers() -> None:
    assert list(VerifierName) == [verifier.SELF, verifier.NONE]


@pytest.mark.parametrize("word", ["self", "none", "builtin://smol-verifier", "pvc://models/v"])
def test_the_server_reads_which_verifier_to_take(word: str, tmp_path: Path) -> None:
    said = {"uri": word} if "://" in word else {"name": word}
    spec = {"model": {**LLADA, "verifier": {**said, **(SIZE if "pvc" in word else {})}}}
    read = read_by_the_server(spec, tmp_path, gpu=True)
    places = {"builtin://smol-verifier": "builtin:smol-verifier", "pvc://models/v": CLAIMED}
    assert read.model.verifier == places.get(word, word)


@pytest.mark.parametrize("unit", ["second", "minute", "hour", "day"])
def test_rates_mean_the_same(unit: str) -> None:
    spec = {**TINY, "rateLimit": {"requests": f"100/{unit}", "tokens": f"20000/{unit}"}}
    limits = parse(custom_resource(spec)).spec.rate_limit
    taken = settings.RateLimitSection(request_rate=limits.requests, token_rate=limits.tokens)
    assert (taken.request_rate, taken.token_rate) == (f"100/{unit}", f"20000/{unit}")


@st.composite
def decoding(draw: st.DrawFn) -> Json:
    """In bounds one by one; together it may be nonsense."""
    values = {
        "strategy": st.sampled_from([s.value for s in Strategy]),
        "cache": st.sampled_from([c.value for c in Cache]),
        "block_length": st.integers(1, 600),
        "max_block_length": st.integers(1, 600),
        "allowed_strategies": st.lists(st.sampled_from([s.value for s in Strategy]), min_size=1),
        "allowed_caches": st.lists(st.sampled_from([c.value for c in Cache]), min_size=1),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(values))))
    return {name: draw(values[name]) for name in sorted(chosen)}


@given(decoding())
def test_the_operator_refuses_what_the_server_would_refuse(values: Json) -> None:
    values = {name: v[:8] if isinstance(v, list) else v for name, v in values.items()}
    verdicts = []
    for model in (Decoding, settings.DecodingSection):
        try:
            model(**values)
            verdicts.append("taken")
        except ValidationError:
            verdicts.append("refused")
    assert verdicts[0] == verdicts[1]


def read_by_the_server(spec: Json, tmp_path: Path, *, gpu: bool) -> settings.Settings:
    written = server_config(parse(custom_resource(spec, name="chat")), gpu=gpu)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(written))
    return load({}, environ={}, config=file).settings


def test_the_server_reads_the_least_configuration(tmp_path: Path) -> None:
    read = read_by_the_server(TINY, tmp_path, gpu=False)
    assert read.model.model == "builtin:tiny"
    assert read.model.served_names == ("chat",)
    assert read.engine == settings.EngineSection()
    assert read.decoding == settings.DecodingSection()


def test_the_server_reads_every_field_as_it_was_meant(tmp_path: Path) -> None:
    read = read_by_the_server(FULL, tmp_path, gpu=True)
    spec = parse(custom_resource(FULL)).spec
    assert read.model.model == f"{MODEL_DIRECTORY}/model/files"
    assert read.model.verifier == f"{MODEL_DIRECTORY}/verifier/files"
    assert read.model.served_names == ("llada",)
    assert read.model.device == "cuda"
    for name in settings.DecodingSection.model_fields:
        assert getattr(read.decoding, name) == getattr(spec.decoding, name)
    for name in settings.EngineSection.model_fields:
        assert getattr(read.engine, name) == getattr(spec.engine, name)
    for name in OF_THE_MODEL:
        assert getattr(read.model, name) == getattr(spec.engine, name)
    assert (read.log.log_level, read.log.log_format) == ("debug", "json")
    assert read.log.log_prompts
    assert read.server.cors_origin == spec.server.cors_origins
    assert [str(network) for network in read.server.trusted_networks] == [
        "10.0.0.0/8",
        "192.0.2.7/32",
        "2001:db8::/32",
    ]
    assert read.server.max_body_bytes == spec.server.max_body_bytes
    assert read.rate_limit.request_rate == "100/minute"
    assert read.auth.api_keys_file is not None
