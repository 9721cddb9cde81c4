import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from dfastllm_operator import __version__
from dfastllm_operator.cli import build_cli
from dfastllm_operator.settings import PREFIX, Settings


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_cli(), list(words), env={f"{PREFIX}WORKERS": None})
    return result.exit_code, result.output


def test_the_version_is_shown() -> None:
    assert command("--version") == (0, f"{__version__}\n")


def test_the_crd_is_printed() -> None:
    status, text = command("crd")
    assert status == 0
    assert yaml.safe_load(text)["metadata"]["name"] == "dfastllmservices.dfastllm.io"


def test_every_setting_is_a_flag() -> None:
    _, text = command("run", "--help")
    for leaf in Settings.model_fields:
        assert f"--{leaf.replace('_', '-')}" in text
    assert "--no-leader-elect" in text


def test_a_wrong_flag_is_a_usage_error_without_a_trace() -> None:
    status, text = command("run", "--workers", "many")
    assert status == 2
    assert text.startswith("Error: --workers (DFASTLLM_OPERATOR_WORKERS): ")
    assert "Traceback" not in text


@pytest.mark.parametrize("words", [["--version"], ["run", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from dfastllm_operator.cli import build_cli\n"
        f"try: build_cli()({words!r})\n"
        "except SystemExit: pass\n"
        "assert not {'kopf', 'kubernetes', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
