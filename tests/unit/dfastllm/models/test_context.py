"""A network that reads the context is loaded beside the model, or refused with what is wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfastllm.errors import CheckpointError
from dfastllm.models.checkpoint import load_model
from dfastllm.models.context import load_context
from dfastllm.models.packed import PackedLinear
from support.causal_context import CONTEXT, causal_context_checkpoint, two_network_checkpoint

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_network_checkpoint(tmp_path)


def change(folder: Path, **fields: Any) -> None:
    path = folder / CONTEXT / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_it_is_loaded_in_the_models_number_format(folder: Path) -> None:
    model = load_model(folder, dtype="bfloat16", device=CPU)
    found = load_context(folder, model)
    assert found is not None
    assert found.directory == (folder / CONTEXT).resolve()
    assert found.network.embed.weight.dtype is torch.bfloat16
    assert found.network.spec.n_layers == model.spec.n_layers
    assert type(found.network.layers[0].down) is type(model.layers[0].down)  # packed, or neither
    single = load_context(folder, load_model(folder, device=CPU))
    assert single is not None
    assert not any(isinstance(module, PackedLinear) for module in single.network.modules())


def test_it_may_be_a_link_to_another_checkpoint(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "base"
    other.parent.mkdir()
    shutil.move(folder / CONTEXT, other)
    (folder / CONTEXT).symlink_to(other)
    found = load_context(folder, load_model(folder, device=CPU))
    assert found is not None
    assert found.directory == other.resolve()


def test_a_model_that_reads_its_context_itself_has_none(tmp_path: Path) -> None:
    folder = causal_context_checkpoint(tmp_path)
    assert load_context(folder, load_model(folder, device=CPU)) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_hidden_layers": 2}, "whose n_layers is 2; the model needs 3"),
        ({"num_key_value_heads": 4}, "whose n_kv_heads is 4; the model needs 2"),
        ({"head_dim": 32}, "whose head_dim is 32; the model needs 16"),
        ({"vocab_size": 500}, "whose vocab_size is 500; the model needs 512"),
        ({"rope_theta": 10000.0}, "whose rope_theta is 10000.0; the model needs 1000000.0"),
        ({"architectures": ["DreamModel"]}, "cannot read the context: .*DreamModel"),
        ({"intermediate_size": 64}, "cannot be loaded: the weights do not fit"),
    ],
)
def test_one_that_does_not_fit_is_refused_by_field_and_value(
    folder: Path, fields: dict[str, Any], words: str
) -> None:
    change(folder, **fields)
    with pytest.raises(CheckpointError, match=f"context_model is 'context', .*{words}"):
        load_context(folder, load_model(folder, device=CPU))


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    shutil.rmtree(folder / CONTEXT)
    with pytest.raises(CheckpointError, match=r"context_model is 'context', but .* is no folder$"):
        load_context(folder, load_model(folder, device=CPU))


def test_a_hub_repository_has_no_folders_and_that_is_said(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--someone--two" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    folder = two_network_checkpoint(snapshot)
    shutil.rmtree(folder / CONTEXT)
    with pytest.raises(CheckpointError, match=r"no folders are fetched: serve it from a directory"):
        load_context(folder, load_model(folder, device=CPU))


def test_its_weights_are_checked_as_strictly_as_the_models(folder: Path) -> None:
    file = folder / CONTEXT / "model.safetensors"
    save_file(load_file(file) | {"surplus": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match=r"cannot be loaded: .*not part of this model"):
        load_context(folder, load_model(folder, device=CPU))
