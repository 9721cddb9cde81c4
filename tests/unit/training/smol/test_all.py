"""One command runs every step, each with what the one before has made."""

from pathlib import Path

import pytest

from training.smol import all as everything

Command = list[str]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    found: list[Command] = []
    monkeypatch.setattr(everything.subprocess, "run", lambda c, check: found.append(c[2:]))
    monkeypatch.setattr("sys.argv", ["all", "--out", str(tmp_path), "--gpus", "1"])
    everything.main()
    return found


def value(command: Command, flag: str) -> str:
    return command[command.index(flag) + 1]


def test_stages_come_first_then_the_measuring_then_what_ships(commands: list[Command]) -> None:
    modules = [command[0] for command in commands]
    stages = []
    for run in everything.RUNS.values():
        stages += ["training.smol.data"] * bool(run.sampled) + ["training.smol.train"]
    end = ["training.smol.export", "benchmarks.quality", "benchmarks.quality",
           "training.smol.export"]  # fmt: skip
    assert modules == stages + end


def test_what_is_measured_and_shipped_is_the_last_stage(
    commands: list[Command], tmp_path: Path
) -> None:
    preview, ours, base, export = commands[-4:]
    last = value(commands[-5], "--out")
    assert value(preview, "--checkpoint") == value(export, "--checkpoint") == last
    assert value(ours, "--model") == value(preview, "--preview")
    assert Path(value(ours, "--model")).is_absolute()
    raw = [f"{Path(value(c, '--out')) / value(c, '--name')}.json" for c in (ours, base)]
    at = export.index("--results")
    assert export[at + 1 : at + 3] == raw


def test_a_folder_that_was_used_is_refused_before_the_training(
    commands: list[Command], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.clear()
    (tmp_path / "stage1").mkdir()
    with pytest.raises(SystemExit):
        everything.main()
    assert commands == []
    assert f"{tmp_path} is used already" in capsys.readouterr().err


def test_several_gpus_share_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Command] = []
    monkeypatch.setattr(everything.subprocess, "run", lambda c, check: found.append(c))
    everything.train(tmp_path, seed=1, gpus=2)
    trained = [command for command in found if "training.smol.train" in command]
    assert len(trained) == len(everything.RUNS)
    assert all(command[1:5] == ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
               for command in trained)  # fmt: skip
