import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from dfastllm.core import CacheKind, DecodingParams, StrategyName
from dfastllm.errors import CheckpointError
from dfastllm.presets import GENERIC, Preset, PresetName
from dfastllm.server.loading import check_defaults, load
from dfastllm.settings import ModelSection, Settings
from dfastllm.settings_decoding import DecodingSection
from support.checkpoints import causal_checkpoint, random_checkpoint


@pytest.mark.parametrize(
    ("defaults", "limits", "name"),
    [
        (
            DecodingParams(StrategyName.FACTOR),
            {"allowed_strategies": (StrategyName.FIXED,)},
            "strategy",
        ),
        (DecodingParams(cache=CacheKind.DUAL), {"allowed_caches": (CacheKind.NONE,)}, "cache"),
        (DecodingParams(block_length=64), {"max_block_length": 32}, "block_length"),
        (DecodingParams(threshold=0.5), {"min_threshold": 0.8}, "threshold"),
        (DecodingParams(factor=3.0), {"max_factor": 2.0}, "factor"),
        (DecodingParams(r=0.5), {"max_r": 0.4}, "r"),
        (DecodingParams(window=32), {"max_window": 16}, "window"),
        (DecodingParams(lookahead=128), {"max_lookahead": 64}, "lookahead"),
    ],
)
def test_a_models_default_beyond_the_limits_is_refused_at_the_start(
    defaults: DecodingParams, limits: dict[str, Any], name: str
) -> None:
    with pytest.raises(CheckpointError, match=f"default {name} is"):
        check_defaults(defaults, DecodingSection(**limits))
    check_defaults(DecodingParams(), DecodingSection())


def test_a_default_that_needs_a_verifier_is_refused_at_the_start_without_one() -> None:
    apd = DecodingParams(StrategyName.APD)
    with pytest.raises(CheckpointError, match="--verifier"):
        check_defaults(apd, DecodingSection())
    check_defaults(apd, DecodingSection(), verifies=True)


def test_a_preset_beyond_the_limits_is_refused_at_the_start_and_named() -> None:
    section = DecodingSection(preset=PresetName.FAST, min_threshold=0.8)
    fast = GENERIC[PresetName.FAST].over(DecodingParams())
    with pytest.raises(CheckpointError, match="default threshold with preset fast is 0"):
        check_defaults(fast, section)


DIFFUSION = {
    "cache": "dual",
    "lookahead": 8,
    "presets": {"fast": {"strategy": "apd", "r": 0.25, "window": 4}},
}
APD = Preset(StrategyName.APD, r=0.25, window=4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose own preset `fast` verifies and whose default keeps a cache."""
    (tmp_path / "model").mkdir()
    model = random_checkpoint(tmp_path / "model")
    (model / "generation_config.json").write_text(json.dumps({"diffusion": DIFFUSION}))
    return model


def settings_of(model: Path, verifier: Path | str = "none", **decoding: Any) -> Settings:
    return Settings(
        model=ModelSection(model=str(model), verifier=str(verifier)),
        decoding=DecodingSection(**decoding),
    )


def test_a_server_serves_the_presets_of_its_model(model: Path) -> None:
    loaded = load(settings_of(model))
    assert loaded.context.presets == {**GENERIC, PresetName.FAST: APD}
    assert loaded.context.defaults == DecodingParams(cache=CacheKind.DUAL, lookahead=8)
    loaded.close()


def test_a_preset_of_the_server_stands_between_its_own_fields_and_the_model(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "verifier").mkdir()
    verifier = causal_checkpoint(tmp_path / "verifier")
    loaded = load(settings_of(model, verifier, preset="fast", r=0.75))
    assert loaded.context.defaults == DecodingParams(
        StrategyName.APD, cache=CacheKind.DUAL, lookahead=8, r=0.75, window=4
    )
    loaded.close()


def test_a_preset_that_needs_a_verifier_is_refused_at_the_start_without_one(model: Path) -> None:
    with pytest.raises(CheckpointError, match="with preset fast is apd, which needs a verifier"):
        load(settings_of(model, preset="fast"))


def test_metrics_tell_the_name_of_the_service_beside_others_that_clients_use(model: Path) -> None:
    section = ModelSection(
        model=str(model), verifier="none", served_model_name=("new", "old"), kserve_name="chat"
    )
    loaded = load(Settings(model=section))
    loaded.close()
    assert loaded.context.served_names == ("new", "old")
    told = {
        sample.labels["model_name"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "dfastllm_model_info"
    }
    assert told == {"chat"}


def test_a_model_that_sees_nothing_right_of_its_answer_takes_no_suffix(model: Path) -> None:
    loaded = load(settings_of(model))
    loaded.close()
    assert loaded.context.can_infill
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"context_attention": "causal"}))
    loaded = load(settings_of(model))
    loaded.close()
    assert not loaded.context.can_infill
