"""What the Dockerfile promises, read without building it."""

import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from dfastllm.builtin.store import installed_store
from dfastllm.settings_sources import load
from dfastllm_operator.settings import PREFIX
from dfastllm_operator.settings import Settings as OperatorSettings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
LOCK = ROOT / "requirements" / "server.txt"
SHIPPED = ("server", "operator")
CUDA = ("torch==", "triton==", "cuda-", "nvidia-")


class Instruction(NamedTuple):
    stage: str
    name: str
    value: str


def read_dockerfile() -> list[Instruction]:
    lines = [ln for ln in DOCKERFILE.read_text().splitlines() if not ln.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = ""
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        if line.strip():
            name, value = line.split(maxsplit=1)
            if name == "FROM":
                stage = value.split(" AS ")[1]
            found.append(Instruction(stage, name, value))
    return found


INSTRUCTIONS = read_dockerfile()


def values(name: str, stage: str | None = None) -> list[str]:
    return [i.value for i in INSTRUCTIONS if i.name == name and stage in (None, i.stage)]


def only(name: str, stage: str = "server") -> str:
    (value,) = values(name, stage)
    return value


def environment(stage: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in only("ENV", stage).split())


def ancestry(stage: str) -> set[str]:
    """The stages that are built for `stage`, itself among them."""
    bases = {value.split(" AS ")[0] for value in values("FROM", stage)}
    sources = {value.split()[0] for value in values("COPY", stage)}
    copied = {value.removeprefix("--from=") for value in sources if value.startswith("--from=")}
    names = (bases | copied) & {i.stage for i in INSTRUCTIONS}
    return {stage}.union(*map(ancestry, names))


def copied_from_the_checkout() -> list[str]:
    copies = [value for value in values("COPY") if not value.startswith("--from=")]
    return [source for value in copies for source in value.split()[:-1]]


def is_kept(path: str) -> bool:
    """Whether .dockerignore lets a path into the build: the last pattern that matches decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        names = path.split("/")
        ups = ["/".join(names[: n + 1]) for n in range(len(names))]
        if pattern.startswith("**/"):
            hit = any(fnmatch(name, pattern.removeprefix("**/")) for name in names)
        else:
            hit = any(fnmatch(up, pattern) for up in ups)
        if hit:
            kept = line.startswith("!")
    return kept


def health_command() -> list[str]:
    command: list[str] = json.loads(only("HEALTHCHECK").split("CMD ", 1)[1])
    return command


def check_health(port: int) -> int:
    python, *rest = health_command()
    assert python == "python3"
    variables = {"DFASTLLM_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        [sys.executable, *rest], env=variables, capture_output=True, check=False, timeout=30
    ).returncode


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("stage", SHIPPED)
def test_the_user_is_a_number_and_not_root(stage: str) -> None:
    user, group = only("USER", stage).split(":")
    assert int(user) > 0
    assert int(group) == 0, "OpenShift's arbitrary users are of group 0"


def test_the_server_is_process_1_and_gets_the_signal_it_handles() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["dfastllm", "serve"]
    assert only("STOPSIGNAL") == "SIGTERM"
    assert not values("CMD", "server")


def test_the_operator_is_process_1_and_runs_unless_told_otherwise() -> None:
    assert json.loads(only("ENTRYPOINT", "operator")) == ["dfastllm-operator"]
    assert json.loads(only("CMD", "operator")) == ["run"]
    assert only("STOPSIGNAL", "operator") == "SIGTERM"


def test_the_operators_image_has_neither_torch_nor_the_model_server() -> None:
    assert ancestry("operator") == {
        "uv",
        "wheel",
        "operator-packages",
        "operator-project",
        "operator",
    }
    lock = (ROOT / "requirements" / "operator.txt").read_text()
    assert not [line for line in lock.splitlines() if line.startswith((*CUDA, "transformers=="))]
    assert "rm -r /build/project/bin/dfastllm " in only("RUN", "operator-project")
    assert "site-packages/dfastllm" in only("RUN", "operator-project")


def test_the_servers_image_has_nothing_of_the_operator() -> None:
    command = only("RUN", "project")
    assert "rm -r /build/project/bin/dfastllm-operator " in command
    assert "site-packages/dfastllm_operator" in command


def test_the_operator_writes_nothing_and_says_where_it_listens() -> None:
    set_by_image = environment("operator")
    assert set_by_image["PYTHONSAFEPATH"] == "1"
    assert set_by_image["PYTHONDONTWRITEBYTECODE"] == "1"
    assert not [name for name in set_by_image if name.startswith(PREFIX)]
    assert int(only("EXPOSE", "operator")) == OperatorSettings().health_port


def test_the_base_is_one_argument_with_a_tag_and_a_supported_python() -> None:
    stages = [value.split(" AS ") for value in values("FROM")]
    names = {name for _, name in stages}
    assert {base for base, _ in stages if base not in names} == {"${BASE_IMAGE}"}
    (base,) = (value for value in values("ARG", "") if value.startswith("BASE_IMAGE="))
    version = re.fullmatch(r"BASE_IMAGE=python:3\.(\d+)-[\w.-]+", base)
    assert version, "a tag that says which Python"
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert f"Programming Language :: Python :: 3.{version[1]}" in classifiers
    assert "latest" not in DOCKERFILE.read_text()


def test_no_index_is_named() -> None:
    assert "://" not in DOCKERFILE.read_text()
    arguments = [value for value in values("ARG") if "INDEX" in value]
    assert arguments
    assert not [value for value in arguments if "=" in value]
    for stage in SHIPPED:
        assert not [value for value in values("ARG", stage) if "INDEX" in value]


def test_everything_that_is_installed_is_pinned() -> None:
    commands = [part for run in values("RUN") for part in re.split(r";|&&", run)]
    installs = [part for part in commands if "pip install" in part]
    assert len(installs) == 7
    unhashed = [part for part in installs if "--require-hashes" not in part]
    assert all("--no-deps" in part for part in unhashed)
    assert [part.split()[-1] for part in unhashed] == [
        '"$TORCH_REQUIREMENT"',
        "/build/wheel/*.whl",
        "/build/wheel/*.whl",
    ]
    assert all("--require-hashes" in part for part in commands if "uv build" in part)


@pytest.mark.parametrize(
    ("stage", "origins"),
    [
        ("server", ["packages", "models", "project"]),
        ("operator", ["operator-packages", "operator-project"]),
    ],
)
def test_nothing_runs_in_a_stage_that_is_shipped(stage: str, origins: list[str]) -> None:
    assert not values("RUN", stage), "no compilers, no caches: files arrive from other stages"
    sources = [value.split()[0] for value in values("COPY", stage)]
    assert sources == [f"--from={origin}" for origin in origins]


def test_the_built_in_models_are_prepared_where_the_server_looks_first() -> None:
    (command,) = values("RUN", "models")
    assert "--no-deps --require-hashes" in command
    made = command.split(" --into ")[1].split()[0]
    (copied,) = (value for value in values("COPY", "server") if "--from=models" in value)
    assert copied.split()[1:] == [made, f"{environment('packages')['VIRTUAL_ENV']}/share/dfastllm"]
    place = installed_store().relative_to(sys.prefix)
    assert copied.endswith(str(place))


def test_the_server_is_built_by_default() -> None:
    assert [i.stage for i in INSTRUCTIONS if i.name != "ARG"][-1] == "server"


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = copied_from_the_checkout()
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_kept(source), source
    assert is_kept("model_server/dfastllm/builtin/tiny/model.safetensors")


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/unit/test_image.py",
        "training/tiny",
        "manifests/base/kustomization.yaml",
        "model_server/dfastllm/__pycache__/core.cpython-311.pyc",
    ],
)
def test_what_the_image_does_not_need_stays_out_of_the_build(path: str) -> None:
    assert not is_kept(path)


def test_the_server_knows_the_variables_that_the_image_sets() -> None:
    set_by_image = environment("server")
    assert set_by_image["PYTHONSAFEPATH"] == "1"
    settings = load(environ=set_by_image).settings
    assert settings.server.host == "0.0.0.0"
    assert settings.server.port == int(only("EXPOSE"))
    assert settings.model.model.startswith("builtin:")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_says_what_the_server_says(status: int, code: int) -> None:
    with answering(status) as port:
        assert check_health(port) == code


def test_the_health_check_fails_when_nothing_listens() -> None:
    with answering(200) as port:
        pass
    assert check_health(port) == 1


def left_of_the_lock(program: str) -> tuple[list[str], list[str]]:
    """Names of the packages that stay in it and of those that go; each keeps all its hashes."""
    kept = subprocess.run(
        ["awk", program, LOCK], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    lock = LOCK.read_text().splitlines()
    gone = [line for line in lock if line not in set(kept)]
    for some in (kept, gone):
        assert some[0][0].isalpha()
        assert all(b.startswith("    --hash=") for a, b in pairwise(some) if a[0].isalpha())
    assert len(kept) + len(gone) == len(lock)
    return [ln for ln in kept if ln[0].isalpha()], [ln for ln in gone if ln[0].isalpha()]


needs_awk = pytest.mark.skipif(shutil.which("awk") is None, reason="the build's own awk decides")


@needs_awk
def test_another_torch_takes_the_cuda_packages_out_of_the_lock_and_nothing_else() -> None:
    another, _ = re.findall(r"awk '(.*?)'", only_install())
    kept, gone = left_of_the_lock(another)
    assert not [line for line in kept if line.startswith(CUDA)]
    assert all(line.startswith(CUDA) for line in gone)


@needs_awk
def test_the_variant_for_cpus_keeps_the_locked_torch_and_what_it_calls_of_cuda() -> None:
    _, without_cuda = re.findall(r"awk '(.*?)'", only_install())
    kept, gone = left_of_the_lock(without_cuda)
    assert [line.split("==")[0] for line in kept if line.startswith(CUDA)] == [
        "nvidia-cuda-runtime",
        "nvidia-nvshmem-cu13",
        "torch",
    ]
    assert all(line.startswith(CUDA) for line in gone)


def test_the_variant_is_for_cuda_unless_told_otherwise() -> None:
    assert "VARIANT=cuda" in values("ARG", "packages")


def only_install() -> str:
    (command,) = (run for run in values("RUN", "packages") if "uv venv" in run)
    return command
