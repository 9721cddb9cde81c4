"""The documents against the code: links, numbers of lines, code blocks, names.

A fence after `<!-- run -->` is executed, the blocks of one page in one interpreter; one after
`<!-- run: server -->` against a server of the built-in model that its text names, in this process.
A `<!-- output -->` fence that follows says what is printed. A fence after `<!-- file: PATH -->` is
that file's text, without the comment at its head.
"""

import ast
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import MappingProxyType
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
from dfastllm_operator import reference
from dfastllm_operator.api import POD_FIELDS, Spec, parse
from dfastllm_operator.canary.diagram import mermaid
from dfastllm_operator.canary.phase import Cause
from dfastllm_operator.conditions import REASONS_OF, Reason
from dfastllm_operator.gates.metric import MetricName
from dfastllm_operator.kinds import SERVICE_RESOURCE
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.settings import PREFIX, Settings
from dfastllm_operator.sizing import size

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
OURS = [page for page in PAGES if page.parent.name != "adr" and page.name != "log.md"]
EXAMPLE_URL = "http://127.0.0.1:8080"
SERVED = ("smol", "tiny")
NO_SERVERS: Mapping[str, str] = MappingProxyType({})
README_LINES = 200
GUIDE = DOCS / "guides" / "operate-services.md"
CANARY = DOCS / "guides" / "canary.md"
SAMPLES = ROOT / "manifests" / "samples"

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[\w:./ -]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
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
    for document in yaml.safe_load_all(block.text):
        assert isinstance(document, dict)
        if document.get("kind") == SERVICE_RESOURCE.kind:
            parse(document)


def test_every_fence_says_what_it_holds() -> None:
    assert not [f"{name_of(b.page)}:{b.line}" for b in BLOCKS if not b.kind]
    for page in PAGES:  # a fence the pattern does not see would be checked by nothing
        fences = len(re.findall(r"^```", page.read_text("utf-8"), re.M))
        assert fences == 2 * len(blocks_of(page)), name_of(page)


def test_marks_stand_before_what_they_mark() -> None:
    known = {"": None, "run": "python", "run: server": "python", "output": "text", "file": "yaml"}
    for block in BLOCKS:
        mark = "file" if file_of(block) else block.mark
        assert mark in known, f"{name_of(block.page)}:{block.line}: {block.mark}"
        assert known[mark] in (None, block.kind)
    for page in PAGES:
        marks = len(re.findall(r"^<!-- (?:run|output|file)", page.read_text("utf-8"), re.M))
        assert marks == sum(bool(block.mark) for block in blocks_of(page)), name_of(page)


def file_of(block: Block) -> Path | None:
    """The file whose text a block is, if it says so."""
    return ROOT / block.mark[6:] if block.mark.startswith("file: ") else None


@pytest.mark.parametrize("block", [p for p in blocks("yaml") if file_of(p.values[0])])
def test_blocks_of_files_say_what_the_file_says(block: Block) -> None:
    file = file_of(block)
    assert file is not None
    assert block.text == re.sub(r"\A(?:#.*\n)+", "", file.read_text("utf-8"))


def test_the_guides_show_every_sample_but_the_full_one() -> None:
    shown = {file_of(block) for guide in (GUIDE, CANARY) for block in blocks_of(guide)}
    samples = set(SAMPLES.glob("*.yaml"))
    assert samples - shown == {SAMPLES / "full.yaml", SAMPLES / "kustomization.yaml"}
    assert "samples/full.yaml" in GUIDE.read_text("utf-8")


def test_the_guide_shows_the_arithmetic_as_it_is() -> None:
    sample = yaml.safe_load((SAMPLES / "gpu.yaml").read_text("utf-8"))
    words = size(parse(sample).spec, None).explanation.split()
    assert any(block.text.split() == words for block in blocks_of(GUIDE))


def test_the_guide_draws_the_states_as_they_are_decided() -> None:
    drawn = [block.text for block in blocks_of(CANARY) if block.kind == "mermaid"]
    assert drawn == [mermaid()], "copy it from docs/reference/rollouts.md"


def test_the_guide_says_what_to_do_about_each_cause_of_a_rollout() -> None:
    text = CANARY.read_text("utf-8")
    rows = text[text.index("| `status.rollout.cause` |") :].partition("\n\n")[0].splitlines()[2:]
    assert [_CODE.findall(row)[0] for row in rows] == list(map(str, Cause))


def test_the_guide_says_how_to_bound_each_metric_of_a_rollout() -> None:
    text = CANARY.read_text("utf-8")
    rows = text[text.index("| metric | bound to begin with |") :].partition("\n\n")[0].splitlines()
    told = {code for row in rows for code in _CODE.findall(row.split("|")[1])}
    assert told == set(map(str, MetricName))


def session(page: Path, mark: str) -> list[tuple[Block, str | None]]:
    """The blocks of a page to execute, each with the output promised for it."""
    found = blocks_of(page)
    followers = [*found[1:], None]
    return [
        (block, after.text if after is not None and after.mark == "output" else None)
        for block, after in zip(found, followers, strict=False)
        if block.mark == mark
    ]


def execute(page: Path, mark: str, urls: Mapping[str, str] = NO_SERVERS) -> None:
    """Run the blocks of a page; a model's name in one says which server it means."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block, promised in session(page, mark):
        meant = [name for name in SERVED if f'model="{name}"' in block.text]
        assert len(meant) == 1 or EXAMPLE_URL not in block.text, (
            f"{page}:{block.line}: which model?"
        )
        url = urls[meant[0]] if meant and urls else EXAMPLE_URL
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


@contextmanager
def served(name: str) -> Iterator[str]:
    """A server of a built-in model, and its address."""
    from dfastllm.build import build
    from dfastllm.engine.service import EngineService
    from dfastllm.server.context import ServerContext
    from dfastllm.settings import ModelSection, Settings
    from support.scripted import bare_app, serving

    built = build(Settings(model=ModelSection(model=f"builtin:{name}")))
    service = EngineService(built.engine, built.tokenizer)
    context = ServerContext(
        generator=service,
        codec=built.tokenizer,
        served_names=(name,),
        created=0,
        max_model_len=built.engine.config.max_model_len,
        eos_ids=built.engine.spec.eos_ids,
        defaults=built.defaults.decoding,
        presets=built.defaults.presets,
        can_infill=not built.engine.spec.causal_context,
        verifies=built.engine.verifies,
    )
    service.start()
    try:
        with serving(bare_app(context)) as url:
            yield url
    finally:
        service.close()


# The examples leave closing their client to the interpreter.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("page", pages_with("run: server"), ids=name_of)
def test_examples_run_against_a_server(page: Path) -> None:
    text = "".join(block.text for block, _ in session(page, "run: server"))
    with ExitStack() as stack:
        named = [name for name in SERVED if f'model="{name}"' in text]
        execute(page, "run: server", {name: stack.enter_context(served(name)) for name in named})


def instruments() -> tuple[set[str], set[str]]:
    """The server's names as they are scraped, and with every ending a sample may have."""
    registry = CollectorRegistry()
    made = make_instruments(registry)
    describe_model("m", registry=registry, instruments=made)
    return names_in(registry)


def names_in(registry: CollectorRegistry) -> tuple[set[str], set[str]]:
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
    for block in blocks_of(page):
        if block.kind == "yaml":
            named |= set(_METRIC.findall(block.text))
    modules = {path.stem for path in (ROOT / "model_server").rglob("*") if path.is_dir()}
    packages = {"dfastllm_operator"} | modules
    assert named - packages <= instruments()[1] | names_in(Metrics().registry)[1]


def test_every_metric_is_documented() -> None:
    assert instruments()[0] <= code_in("07-operations.md")


def test_every_setting_is_documented() -> None:
    text = (DOCS / "08-config.md").read_text("utf-8")
    for section in sections():
        assert f"## `{section}`" in text
    for _, leaf, _ in leaves():
        assert f"| `{leaf}` | `{flag_name(leaf)}` | `DFASTLLM_{leaf.upper()}` |" in text


def test_the_generated_pages_are_up_to_date() -> None:
    for name, text in reference.pages().items():
        assert (ROOT / name).read_text("utf-8") == text, f"{name}: run `make docs`"


def test_each_reason_is_at_home_at_one_condition() -> None:
    at_home = [reason for reasons in REASONS_OF.values() for reason in reasons]
    assert sorted(at_home) == sorted(Reason)


def test_each_reason_is_given_by_the_code() -> None:
    package = ROOT / "operator" / "dfastllm_operator"
    sources = [path for path in package.rglob("*.py") if path.name != "conditions.py"]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    assert not [reason for reason in Reason if not re.search(rf"Reason\.{reason.name}\b", code)]


def test_the_guide_says_what_to_do_about_each_reason() -> None:
    text = GUIDE.read_text("utf-8")
    rows = text[text.index("| symptom |") :].partition("\n\n")[0].splitlines()
    told = {code for row in rows for code in _CODE.findall(row.split("|")[2])}
    well = {"Complete", "Creating", "RollingOut", "AsExpected", "Serving", "Valid", "Loaded"}
    well |= {
        "NotBlocked",
        "Accepted",
        "KServeIngress",
        "IngressDisabled",
        "Fixed",
        "External",
        "Scaling",
    }
    assert told == set(map(str, Reason)) - well


def test_the_guide_says_of_each_field_whether_it_restarts_pods() -> None:
    text = GUIDE.read_text("utf-8")
    rows = text[text.index("| change | pods |") :].partition("\n\n")[0].splitlines()[2:]
    said = {verdict: set[str]() for verdict in ("replaced", "stay")}
    for row in rows:
        _, change, verdict, _ = row.split("|")
        said[verdict.strip().partition(":")[0]] |= set(_CODE.findall(change))
    pods = {str(Spec.model_fields[name].alias) for name in POD_FIELDS}
    others = {str(field.alias) for field in Spec.model_fields.values()} - pods
    assert pods == said["replaced"] - {"autoscaling.type", "none"}
    assert others == said["stay"]


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_operator_variables_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)", page.read_text("utf-8")))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_log_lines_of_the_operator_exist() -> None:
    text = (DOCS / "07-operations.md").read_text("utf-8")
    rows = text[text.index("### Its log") :].partition("### Its metrics")[0].splitlines()
    told = {code for row in rows if row[:3] == "| `" for code in _CODE.findall(row.split("|")[1])}
    package = ROOT / "operator" / "dfastllm_operator"
    code = "\n".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    assert told
    assert {line for line in told if f'"{line}"' not in code} == set()


@pytest.mark.parametrize("page", OURS, ids=name_of)
def test_helm_values_that_are_set_exist(page: Path) -> None:
    values = yaml.safe_load((ROOT / "charts/dfastllm/values.yaml").read_text("utf-8"))
    for path in re.findall(r"--set '?([A-Za-z.]+)=", page.read_text("utf-8")):
        found = values
        for part in path.split("."):
            assert part in found, path
            found = found[part]


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
    packages = [ROOT / "model_server" / "dfastllm", ROOT / "operator" / "dfastllm_operator"]
    found = {str(path.relative_to(top)) for top in packages for path in top.rglob("*.py")}
    last = {path.name for top in [*packages, ROOT / "tests"] for path in top.rglob("*.py")}
    for page in ("10-code-walkthrough.md", "03-architecture.md"):
        for name in {code for code in code_in(page) if code.endswith(".py")}:
            assert name in found | last or (ROOT / name).exists(), name
