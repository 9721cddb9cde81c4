"""`dfastllm bench`: load on any OpenAI endpoint, measured from the client's side."""

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dfastllm.cli.flags import fail
from dfastllm.errors import DFastError, InvalidRequest

# Small tasks that builtin:tiny knows, of different lengths; larger models know them as well.
PROMPTS = (
    "What is 27 + 48?", "What is 91 - 34?", "What is 7 * 8?", "Sort: pear, apple, fig, plum",
    "Sort these numbers: 42, 7, 19, 88, 3", "Reverse the list: red, green, blue, black",
    "Convert to JSON: name = Ada, age = 36, city = Paris", "Write as a JSON list: 4, 8, 15, 16, 23",
    "Write 352 in words", "Count from 3 to 12", "Is 17 even or odd?", "Which is larger, 81 or 18?",
    "Write in upper case: quiet river", "Repeat the word tree 4 times", "What can you do?",
    "How many items are in this list: cup, lamp, chair?",
)  # fmt: skip
MAX_REQUESTS = 1_000_000

_Url = Annotated[str, typer.Option(help="Server, http://host:port, with or without /v1.")]
_Model = Annotated[
    str | None, typer.Option(help="Name of the model.", show_default="the first one served")
]
_Clients = Annotated[
    int | None,
    typer.Option(min=1, max=4096, help="Closed loop: this many wait for their answers.",
                 show_default="1"),
]  # fmt: skip
_Rate = Annotated[
    float | None, typer.Option(help="Open loop: Poisson arrivals a second.", show_default=False)
]
_Requests = Annotated[int, typer.Option(min=1, max=MAX_REQUESTS, help="Requests to send.")]
_WarmUp = Annotated[int, typer.Option(min=0, max=10_000, help="Requests before, not counted.")]
_Prompts = Annotated[
    Path | None,
    typer.Option(help="File with one prompt per line.", show_default="a small built-in set"),
]
_MaxTokens = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")]
_Diffusion = Annotated[
    str | None,
    typer.Option(help='The `diffusion` object, as JSON: \'{"threshold": 0.9}\'.',
                 show_default=False),
]  # fmt: skip
_Stream = Annotated[bool, typer.Option("--stream/--no-stream", help="Stream the answers.")]
_Api = Annotated[bool, typer.Option("--chat/--completions", help="Route to call.")]
_ApiKey = Annotated[str | None, typer.Option(help="Key for the server.", show_default=False)]
_Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write the report to this file; - prints it instead of a table.",
                 show_default=False),
]  # fmt: skip
_Seed = Annotated[int, typer.Option(help="Fixes the arrivals of the open loop.")]
_Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds for one request.")]
_MaxDuration = Annotated[
    float, typer.Option(min=0.1, max=86_400, help="Seconds after which the run is cut off.")
]


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    *,
    url: _Url = "http://127.0.0.1:8080",
    model: _Model = None,
    clients: _Clients = None,
    rate: _Rate = None,
    requests: _Requests = 100,
    warm_up: _WarmUp = 4,
    prompts: _Prompts = None,
    max_tokens: _MaxTokens = 96,
    diffusion: _Diffusion = None,
    stream: _Stream = True,
    chat: _Api = True,
    api_key: _ApiKey = None,
    out: _Json = None,
    seed: _Seed = 0,
    timeout: _Timeout = 120.0,
    max_duration: _MaxDuration = 600.0,
) -> None:
    """Load an OpenAI endpoint. Waiting times of an open loop count from the planned moment."""
    if rate is not None and clients is not None:
        fail("--clients is a closed loop and --rate an open one; choose one of them")
    if rate is not None and not 0 < rate <= 100_000:
        fail("--rate must be above 0 and at most 100000")
    body: dict[str, Any] = {"max_tokens": max_tokens}
    if diffusion is not None:
        body["diffusion"] = _object(diffusion)
    texts = _read_prompts(prompts) if prompts else PROMPTS

    from dfastllm.cli.bench_client import Target
    from dfastllm.cli.bench_load import Load, run_load
    from dfastllm.cli.bench_report import summarise, tables
    from dfastllm.cli.remote import api_base

    try:
        base = api_base(url)
        body["model"] = model or _first_model(url, api_key)
    except InvalidRequest as error:
        fail(str(error))
    except DFastError as error:
        fail(str(error), status=1)
    target = Target(body, chat, stream, timeout)
    load = Load(requests, clients or 1, rate, warm_up, seed, max_duration)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    measured = asyncio.run(run_load(base, headers, target, texts, load))
    asked = {
        "url": base,
        "clients": None if rate else load.clients,
        "rate": rate,
        "stream": stream,
        "route": target.path,
        "prompts": len(texts),
        "warm_up": warm_up,
        "seed": seed,
        **body,
    }
    report = {"load": asked, **summarise(measured)}
    _show(report, out, tables(report))
    if not report["answers"]:
        raise typer.Exit(1)


def _first_model(url: str, api_key: str | None) -> str:
    from dfastllm.cli.remote import RemoteModel

    with closing(RemoteModel(url, api_key=api_key)) as remote:
        return remote.name


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        fail(f"--diffusion is not JSON: {error}")
    return value if isinstance(value, dict) else fail("--diffusion must be a JSON object")


def _read_prompts(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--prompts {path} cannot be read: {error}")
    return tuple(line for line in lines if line.strip()) or fail(f"--prompts {path} is empty")


def _show(report: dict[str, Any], out: Path | None, tables: list[Any]) -> None:
    text = json.dumps(report, indent=1, ensure_ascii=False)
    if out == Path("-"):
        typer.echo(text)
        return
    if out is not None:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            typer.echo(text)  # what was measured should not be lost
            fail(f"--json {out} cannot be written: {error.strerror}", status=1)
    console = Console(highlight=False)
    for table in tables:
        console.print(table)
        console.print()
