"""The layout's own rules: what would break quietly if somebody forgot them."""

import operator
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "model_server" / "dfastllm", ROOT / "operator" / "dfastllm_operator"]
MODULES = sorted(p for package in PACKAGES for p in package.rglob("*.py"))
HARD_CEILING = 400  # lines; beyond it a module is a design problem
BANNED = {"utils", "helpers", "manager", "common", "misc"}


def test_operator_is_still_the_standard_librarys() -> None:
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("folder", ["model_server", "operator"])
def test_the_outer_folders_hold_their_package_and_nothing_else(folder: str) -> None:
    inside = {p.name for p in (ROOT / folder).iterdir() if p.name != "__pycache__"}
    assert len(inside) == 1
    assert not list((ROOT / folder).glob("*.py"))


def test_test_folders_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_small_named_and_introduced(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= HARD_CEILING
    assert module.stem not in BANNED
    assert module.stem not in sys.stdlib_module_names or module.parent.name != "dfastllm"
    assert text.startswith(('"""', 'r"""')), "a module says what it is for"


def test_the_wheel_holds_the_packages_and_the_built_in_models(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"dfastllm", "dfastllm_operator"}
    expected = {
        str(p.relative_to(package.parent))
        for package in PACKAGES
        for p in package.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert expected <= set(names)
    assert "dfastllm/builtin/tiny/model.safetensors" in names
    assert "dfastllm/builtin/smol/config.json" in names
    licences = {n.split("/licenses/")[1] for n in names if ".dist-info/licenses/" in n}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_weights_that_ship_stay_small() -> None:
    sizes = [path.stat().st_size for path in (PACKAGES[0] / "builtin").glob("*/*.safetensors")]
    assert max(sizes) <= 16_000_000
    assert sum(sizes) <= 40_000_000
