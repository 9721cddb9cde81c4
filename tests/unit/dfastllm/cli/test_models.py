import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from dfastllm.builtin.base import Base, install_command
from dfastllm.cli import build_cli
from dfastllm.models import source
from support.causal_context import two_network_checkpoint
from support.checkpoints import random_checkpoint
from support.reference import VECTORS
from support.small_base import model_folder
from support.two_networks import load_pair


def models(*args: str) -> Result:
    return CliRunner().invoke(build_cli(), ["models", *args])


def test_the_list_names_what_ships():
    assert json.loads(models("list", "--json").stdout) == models("list").stdout.split()


def test_preparing_says_where_each_built_in_is(tmp_path: Path):
    done = models("prepare", "builtin:tiny", "--into", str(tmp_path / "store"))
    name, path = done.stdout.split()
    assert (name, Path(path).name) == ("builtin:tiny", "tiny")
    assert (tmp_path / "store").is_dir()
    failed = models("prepare", "nothing", "--into", str(tmp_path))
    assert (failed.exit_code, "there is no built-in model 'nothing'" in failed.stderr) == (1, True)


def test_what_cannot_be_prepared_keeps_none_of_the_others_from_it(tmp_path: Path):
    done = models("prepare", "nothing", "tiny", "nowhere", "--into", str(tmp_path))
    assert done.exit_code == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["builtin:tiny"]
    errors = done.stderr.splitlines()
    assert [line.split(":")[2].split()[0] for line in errors] == ["nothing", "nowhere"]
    assert all("there is no built-in model" in line for line in errors)


def test_a_missing_base_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    absent = Base("dfastllm-absent-base", "2.0", "x.gguf", "0")
    monkeypatch.setattr(source, "_BUILTIN_ROOT", tmp_path / "builtin")
    (tmp_path / "builtin").mkdir()
    model_folder(tmp_path / "builtin" / "another", absent, {"unused": torch.zeros(1)})
    shipped = tmp_path / "builtin" / "whole"
    shipped.mkdir()
    random_checkpoint(shipped)
    done = models("prepare", "--into", str(tmp_path / "store"))
    assert done.exit_code == 1
    assert done.stdout.split() == ["builtin:whole", str(shipped)]
    assert "builtin:another is not prepared" in done.stderr
    assert install_command(absent) in done.stderr


@pytest.mark.parametrize("family", ["llada", "dream"])
def test_a_checkpoint_is_described_from_its_headers(family: str):
    report = json.loads(models("inspect", str(VECTORS / f"{family}-tiny"), "--json").stdout)
    assert report["model"]["family"] == family
    assert report["model"]["stored_bytes"] == {"F32": 4 * report["model"]["parameters"]}
    shape = report["shape"]
    assert shape["shifted_logits"] is (family == "dream")
    assert shape["causal_context"] is False
    assert shape["context_model"] is None
    assert shape["grouped_query_attention"] is (shape["kv_heads"] < shape["heads"])
    per_token = 2 * shape["layers"] * shape["kv_heads"] * shape["head_dim"]
    assert shape["kv_bytes_per_token"] == {"float32": 4 * per_token, "bfloat16": 2 * per_token}
    assert report["text"]["tokenizer"] is False
    assert "tokenizer.json" in report["text"]["problem"]


def test_the_network_that_reads_the_context_is_looked_at_too(tmp_path: Path):
    model = two_network_checkpoint(tmp_path)
    report = json.loads(models("inspect", str(model), "--json").stdout)
    assert report["shape"]["context_model"] == "context"
    loaded = [sum(p.numel() for p in network.parameters()) for network in load_pair(model)]
    assert report["model"]["parameters"] == sum(loaded)
    assert report["model"]["stored_bytes"] == {"F32": 4 * sum(loaded)}
    assert report["context"]["parameters"] == loaded[1]
    assert report["context"]["stored_bytes"] == {"F32": 4 * loaded[1]}
    (model / "context" / "model.safetensors").unlink()
    failed = models("inspect", str(model))
    assert failed.exit_code == 1
    assert "context holds neither model.safetensors" in failed.stderr


def test_tokenizer_and_template_are_looked_for(tmp_path: Path):
    report = json.loads(models("inspect", str(random_checkpoint(tmp_path)), "--json").stdout)
    assert report["text"] == {"tokenizer": True, "chat_template": True}


def test_presets_are_shown_as_the_model_means_them(tmp_path: Path):
    model = random_checkpoint(tmp_path)
    config = {"diffusion": {"presets": {"balanced": {}, "fast": {"factor": 2, "cache": "dual"}}}}
    (model / "generation_config.json").write_text(json.dumps(config))
    report = json.loads(models("inspect", str(model), "--json").stdout)
    assert report["presets"] == {
        "quality": {"strategy": "fixed"},
        "balanced": {},
        "fast": {"strategy": "factor", "factor": 2.0, "cache": "dual"},
    }
    rows = [line.split(maxsplit=1) for line in models("inspect", str(model)).stdout.splitlines()]
    assert ["balanced", "the default"] in [[name, *map(str.strip, said)] for name, *said in rows]
    assert ["fast", "strategy factor, factor 2.0, cache dual"] in rows


def test_the_table_shows_the_same(tmp_path: Path):
    shown = models("inspect", str(random_checkpoint(tmp_path))).stdout
    assert "llada" in shown
    assert "MiB F32" in shown


def test_a_folder_of_the_working_directory_needs_no_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine").mkdir()
    random_checkpoint(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert models("inspect", "mine").exit_code == 0


def test_what_is_wrong_is_said_on_one_line(tmp_path: Path):
    model = random_checkpoint(tmp_path)
    config = json.loads((model / "config.json").read_text())
    for change, words in (
        ({"d_model": 128}, "do not fit config.json"),
        ({"architectures": ["GPT2"]}, "GPT2"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ):
        (model / "config.json").write_text(json.dumps(config | change))
        result = models("inspect", str(model))
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert "there is no built-in" in models("inspect", "builtin:nothing").stderr
