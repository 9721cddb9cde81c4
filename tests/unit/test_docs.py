"""The documents against the code: links, numbers of lines, code blocks, names.

A fence after `<!-- run -->` is executed, the blocks of one page in one interpreter; one after
`<!-- run: server -->` against a server of `builtin:tiny` in this process. A `<!-- output -->` fence
that follows says what is printed.
"""

import ast
import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
import yaml
from prometheus_client import CollectorRegistry

from dfastllm.core import CacheKind, Remasking, StrategyName
from dfastllm.metrics import make_instruments
from dfastllm.metrics_vllm import describe_model
from dfastllm.server import parameters
from dfastllm.server.protocol import (
    ChatCompletionRequest,
    CompletionRequest,
    DiffusionOptions,
    StreamOptions,
)
from dfastllm.settings import leaves, sections
from dfastllm.settings_docs import flag_name

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
OURS = [page for page in PAGES if page.parent.name != "adr" and page.name != "log.md"]
EXAMPLE_URL = "http://127.0.0.1:8080"
README_LINES = 200

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[\w: ]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
_METRIC = re.compile(r"(?:dfastllm_|vllm:)[a-z0-9_]+")
_CODE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    page: Path
    kind: str
    mark: str
    text: str
    line: int


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, m["kind"], m["mark"] or "", m["text"], text.count("\n", 0, m.start("text")))
        for m in _FENCE.finditer(text)
    ]


def without_code(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The anchors a page has on GitHub."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def code_in(name: str) -> set[str]:
    """Everything a page writes in code, cut at blanks and commas."""
    found = _CODE.findall(without_code(DOCS / name))
    return {word for code in found for word in [code, *re.split(r"[\s,]+", code)]}


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(*kinds: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{name_of(block.page)}:{block.line}")
        for block in BLOCKS
        if block.kind in kinds
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_resolve(page: Path) -> None:
    targets = [target for target in _LINK.findall(without_code(page)) if "://" not in target]
    for target in targets:
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        assert file.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors_of(file), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_nothing_is_left_to_do(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", text)
    assert re.search(r"^# \S", text, re.M), "a page has a title"
    assert len(re.findall(r"^# \S", without_code(page), re.M)) == 1


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


def test_every_page_is_reached_from_the_index() -> None:
    reached = {
        (DOCS / target.partition("#")[0]).resolve()
        for target in _LINK.findall((DOCS / "index.md").read_text("utf-8"))
    }
    assert set(DOCS.rglob("*.md")) - reached <= {DOCS / "index.md"}


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_compile(block: Block) -> None:
    ast.parse(block.text, f"{name_of(block.page)}:{block.line}")


@pytest.mark.parametrize("block", blocks("json"))
def test_json_blocks_parse(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_blocks_parse(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


def test_every_fence_says_what_it_holds() -> None:
    assert not [f"{name_of(b.page)}:{b.line}" for b in BLOCKS if not b.kind]
    for page in PAGES:  # a fence the pattern does not see would be checked by nothing
        fences = len(re.findall(r"^```", page.read_text("utf-8"), re.M))
        assert fences == 2 * len(blocks_of(page)), name_of(page)


def test_marks_stand_before_what_they_mark() -> None:
    known = {"": None, "run": "python", "run: server": "python", "output": "text"}
    for block in BLOCKS:
        assert block.mark in known, f"{name_of(block.page)}:{block.line}: {block.mark}"
        assert known[block.mark] in (None, block.kind)
    for page in PAGES:
        marks = len(re.findall(r"^<!-- (?:run|output)", page.read_text("utf-8"), re.M))
        assert marks == sum(bool(block.mark) for block in blocks_of(page)), name_of(page)


def session(page: Path, mark: str) -> list[tuple[Block, str | None]]:
    """The blocks of a page to execute, each with the output promised for it."""
    found = blocks_of(page)
    followers = [*found[1:], None]
    return [
        (block, after.text if after is not None and after.mark == "output" else None)
        for block, after in zip(found, followers, strict=False)
        if block.mark == mark
    ]


def execute(page: Path, mark: str, url: str = EXAMPLE_URL) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block, promised in session(page, mark):
        code = compile(block.text.replace(EXAMPLE_URL, url), f"{page}:{block.line}", "exec")
        out = io.StringIO()
        with redirect_stdout(out):
            exec(code, names)
        if promised is not None:
            assert out.getvalue() == promised


def pages_with(mark: str) -> list[Path]:
    return [page for page in PAGES if session(page, mark)]


@pytest.mark.parametrize("page", pages_with("run"), ids=name_of)
def test_examples_run(page: Path) -> None:
    execute(page, "run")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from dfastllm.build import build
    from dfastllm.engine.service import EngineService
    from dfastllm.server.context import ServerContext
    from dfastllm.settings import Settings
    from support.scripted import bare_app, serving

    built = build(Settings())
    service = EngineService(built.engine, built.tokenizer)
    context = ServerContext(
        generator=service,
        codec=built.tokenizer,
        served_names=("tiny",),
        created=0,
        max_model_len=built.engine.config.max_model_len,
        eos_ids=built.engine.spec.eos_ids,
        defaults=built.defaults.decoding,
    )
    service.start()
    with serving(bare_app(context)) as url:
        yield url
    service.close()


# The examples leave closing their client to the interpreter.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("page", pages_with("run: server"), ids=name_of)
def test_examples_run_against_a_server(page: Path, server: str) -> None:
    execute(page, "run: server", server)


def instruments() -> tuple[set[str], set[str]]:
    """Names as they are scraped, and those with every ending a sample may have."""
    registry = CollectorRegistry()
    made = make_instruments(registry)
    describe_model("m", registry=registry, instruments=made)
    endings = {"counter": "_total", "info": "_info"}
    metrics = list(registry.collect())
    scraped = {metric.name + endings.get(metric.type, "") for metric in metrics}
    every = {
        metric.name + ending
        for metric in metrics
        for ending in ("", "_total", "_info", "_bucket", "_sum", "_count")
    }
    return scraped, every


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_metrics_that_are_named_exist(page: Path) -> None:
    named = {code for code in _CODE.findall(without_code(page)) if _METRIC.fullmatch(code)}
    modules = {path.stem for path in (ROOT / "model_server").rglob("*") if path.is_dir()}
    packages = {"dfastllm_operator"} | modules
    assert named - packages <= instruments()[1]


def test_every_metric_is_documented() -> None:
    assert instruments()[0] <= code_in("07-operations.md")


def test_every_setting_is_documented() -> None:
    text = (DOCS / "08-config.md").read_text("utf-8")
    for section in sections():
        assert f"## `{section}`" in text
    for _, leaf, _ in leaves():
        assert f"| `{leaf}` | `{flag_name(leaf)}` | `DFASTLLM_{leaf.upper()}` |" in text


@pytest.mark.parametrize("kind", [StrategyName, CacheKind, Remasking])
def test_every_way_to_decode_is_documented(
    kind: type[StrategyName | CacheKind | Remasking],
) -> None:
    assert {member.value for member in kind} <= code_in("05-decoding.md")


def test_every_parameter_is_documented() -> None:
    models = (ChatCompletionRequest, CompletionRequest, DiffusionOptions, StreamOptions)
    known = {name for model in models for name in model.model_fields}
    known |= parameters.CHAT.keys() | parameters.COMPLETIONS.keys()
    assert known <= code_in("06-api.md")


def test_every_error_code_is_documented() -> None:
    source = (ROOT / "model_server/dfastllm/server/errors.py").read_text("utf-8")
    table = source[source.index("_HTTP_KINDS = {") :].partition("}")[0]
    names = set(re.findall(r'"([a-z_]+)"', table)) | {"unsupported_parameter", "invalid_value"}
    assert names - {"permission_error"} <= code_in("06-api.md")


def test_files_that_the_walk_through_names_exist() -> None:
    package = ROOT / "model_server" / "dfastllm"
    found = {str(path.relative_to(package)) for path in package.rglob("*.py")}
    last = {path.name for top in (package, ROOT / "tests") for path in top.rglob("*.py")}
    named = {code for code in code_in("10-code-walkthrough.md") if code.endswith(".py")}
    for name in named:
        assert name in found | last or (ROOT / name).exists(), name
