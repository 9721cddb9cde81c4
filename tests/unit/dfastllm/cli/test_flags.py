import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dfastllm.cli import build_cli
from dfastllm.settings_docs import markdown

RUN = CliRunner(env={"COLUMNS": "200"})


def run(*args: str) -> tuple[int, str]:
    result = RUN.invoke(build_cli(), args)
    return result.exit_code, result.output


def test_flags_become_settings() -> None:
    status, said = run("serve", "builtin:x", "--port", "9", "--plain", "--print-config")
    assert status == 0
    assert "  port: 9  # flag --port\n" in said
    assert "  plain: true  # flag --plain\n" in said
    assert "  model: builtin:x  # flag --model\n" in said


def test_mistakes_are_told_without_a_trace() -> None:
    assert run("serve", "--port", "abc", "--print-config") == (
        2,
        "Error: server.port = 'abc' (from flag --port): Input should be a valid integer, unable to "
        "parse string as an integer\n",
    )
    assert run("serve", "a", "--model", "b")[0] == 2
    assert run("serve", "--prot", "1")[0] == 2


def test_the_config_command_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("log: {log_level: DEBUG}")
    status, said = run("config", "--config", str(file))
    assert status == 0
    assert f"  log_level: debug  # file {file}\n" in said


def test_the_page_is_what_the_command_prints() -> None:
    assert run("config", "--markdown") == (0, markdown())


def test_help_shows_every_flag_under_its_section() -> None:
    status, said = run("serve", "--help")
    assert status == 0
    for expected in ("engine", "--max-queued-tokens", "--no-access-log", "(8080)"):
        assert expected in said


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["config"]])
def test_small_commands_load_neither_torch_nor_kserve(args: list[str]) -> None:
    program = (
        "import sys; from dfastllm.__main__ import main\n"
        f"sys.argv = ['dfastllm', *{args!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'kserve', 'fastapi', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
