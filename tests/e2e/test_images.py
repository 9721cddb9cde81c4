"""The images as they are built from this checkout, each run by itself: `pytest tests/e2e -m e2e`.

Needs root and Debian's packages (`python -m images packages`, from `tests/`).
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e import site
from images import archives, machine
from images.archives import Archive
from images.buildah import Buildah
from images.recipes import RECIPES
from images.sandbox import MODELS, Sandbox, running

pytestmark = pytest.mark.e2e

READY_S = 240.0  # a machine may be busy; it takes seconds on an idle one
BUILD_S = 3600
ANOTHER_USER = "1000680000:0"  # as OpenShift chooses one
OF_THE_MACHINE = ("pip.conf", "uv/uv.toml")  # what is lent to a build
ASK = """
import sys, urllib.request
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
request = urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], body)
request.add_header("content-type", "application/json")
print(urllib.request.urlopen(request, timeout=100).read().decode())
"""


@pytest.fixture(scope="module")
def built() -> dict[str, Archive]:
    if site.elsewhere():
        pytest.skip("the images are given, and not this checkout's")
    return archives.ensure(RECIPES)


@pytest.fixture
def buildah() -> Buildah:
    return Buildah(archives.cache_folder())


@pytest.fixture(params=RECIPES)
def files(request: pytest.FixtureRequest, built: dict[str, Archive]) -> Iterator[Path]:
    """The root file system of each image."""
    buildah = Buildah(archives.cache_folder())
    container = buildah.container(built[request.param].path, f"images-{os.getpid()}-files")
    yield buildah.mount(container)
    buildah.remove(container)


def answer(sandbox: Sandbox, model: str, question: str, **options: object) -> str:
    messages = [{"role": "user", "content": question}]
    body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 32, **options}
    said = sandbox.execute("python3", "-c", ASK, "/v1/chat/completions", json.dumps(body))
    text: str = json.loads(said)["choices"][0]["message"]["content"]
    return text


@pytest.mark.timeout(BUILD_S)
@pytest.mark.parametrize(
    ("model", "question", "expected"),
    [("tiny", "What is 7 plus 5?", "12"), ("smol", "What is the capital of France?", "Paris")],
)
@pytest.mark.parametrize("user", ["", ANOTHER_USER])
def test_the_server_answers_as_any_user_without_network_on_a_root_that_is_read_only(
    built: dict[str, Archive], buildah: Buildah, model: str, question: str, expected: str, user: str
) -> None:
    with running(buildah, built["server"], [f"builtin:{model}"], user) as sandbox:
        sandbox.until("python3", "-c", ASK, "/health/ready", deadline_s=READY_S)
        assert expected in answer(sandbox, model, question)
        assert expected in answer(sandbox, model, question, diffusion={"strategy": "apd"})
        written = sandbox.execute("python3", "-c", "import os; print(os.listdir('/tmp'))")
    assert written == "[]\n"


def test_the_server_says_what_it_is_without_a_model(
    built: dict[str, Archive], buildah: Buildah
) -> None:
    with running(buildah, built["server"], ["--help"]) as sandbox:
        assert sandbox.wait(READY_S) == 0
        assert "builtin:" in sandbox.log.read_text()


@pytest.mark.parametrize("argument", ["--help", "--version", "crd"])
def test_the_operator_starts(built: dict[str, Archive], buildah: Buildah, argument: str) -> None:
    with running(buildah, built["operator"], [argument]) as sandbox:
        assert sandbox.wait(READY_S) == 0, sandbox.log.read_text()


def test_the_storage_initializer_brings_a_model(
    built: dict[str, Archive], buildah: Buildah, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)  # as a volume of a pod is to its containers
    arguments = ["file:///opt/kserve-storage/pyvenv.cfg", MODELS]
    with running(buildah, built["storage-initializer"], arguments, models=tmp_path) as sandbox:
        assert sandbox.wait(READY_S) == 0, sandbox.log.read_text()
    assert (tmp_path / "pyvenv.cfg").is_symlink()  # what is local is linked to


def test_the_storage_initializer_says_why_it_fails(
    built: dict[str, Archive], buildah: Buildah
) -> None:
    arguments = ["nowhere://models/llada", "/tmp/models"]
    with running(buildah, built["storage-initializer"], arguments) as sandbox:
        assert sandbox.wait(READY_S) == 1
        assert "cannot fetch nowhere://models/llada: " in sandbox.log.read_text().splitlines()[-1]


def test_no_image_says_where_it_was_built(files: Path) -> None:
    """Neither the machine's settings nor, in words, any part of them."""
    for name in (*OF_THE_MACHINE, "apt/sources.list", "hostname", "resolv.conf"):
        place = files / "etc" / name
        assert not place.exists() or not place.read_text(), name
    for word in words_of_the_machine():
        found = subprocess.run(
            ["grep", "-rlF", "--binary-files=text", "-e", word, files],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not found.stdout, word


def words_of_the_machine() -> list[str]:
    """Hosts and folders that packages come from here."""
    places = [place for value in machine.pip_settings().values() for place in value.split()]
    return [urlsplit(place).hostname or place for place in places if "/" in place]
