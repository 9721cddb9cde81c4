"""`dfastllm chat`: a conversation in the terminal, with a model loaded here or a running server."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console

from dfastllm.cli.canvas import CanvasView, printable, summary
from dfastllm.cli.flags import fail
from dfastllm.cli.local import Verifier, load_llm
from dfastllm.cli.options import AnswerOptions, answer_command, check, resolve
from dfastllm.core import CanvasState
from dfastllm.errors import CheckpointError, DFastError, InvalidRequest

if TYPE_CHECKING:
    from dfastllm.cli.remote import RemoteModel
    from dfastllm.llm import LLM

_Model = Annotated[
    str | None,
    typer.Option(
        help="Built-in name, directory or hub id; with --url a name served there.",
        show_default="builtin:tiny; with --url the first served",
    ),
]
_Url = Annotated[str | None, typer.Option(help="Talk to this server, http://host:port.")]
_ApiKey = Annotated[str | None, typer.Option(help="Key for the server.")]
_NoLive = Annotated[bool, typer.Option("--no-live", help="Do not show the canvas.")]
_Pace = Annotated[
    float, typer.Option(min=0, max=10, help="Least seconds a step of the live view stays.")
]

_HELP = "/reset forgets the conversation, /exit or Ctrl-D leaves"
_Turns = list[dict[str, str]]


class Partner(Protocol):
    """Who answers: shows the answer while it is made, returns it and a line about its cost."""

    def answer(self, turns: _Turns, view: CanvasView) -> tuple[str, str]: ...

    def close(self) -> None: ...


def register(app: typer.Typer) -> None:
    app.command("chat")(answer_command(chat))


def chat(
    *,
    options: AnswerOptions,
    model: _Model = None,
    verifier: Verifier = None,
    url: _Url = None,
    api_key: _ApiKey = None,
    no_live: _NoLive = False,
    pace: _Pace = 0.05,
) -> None:
    """Talk to a model, turn by turn. Ctrl-D or /exit leaves, /reset begins anew."""
    console = Console(highlight=False)
    try:
        partner = _partner(options, model, verifier, url, api_key)
    except (InvalidRequest, CheckpointError) as error:
        fail(str(error))
    except DFastError as error:
        fail(str(error), status=1)
    if sys.stdin.isatty():
        console.print(_HELP, style="dim")
    with closing(partner):
        converse(partner, console, live=not no_live, pace_s=pace)


def _partner(
    options: AnswerOptions,
    model: str | None,
    verifier: str | None,
    url: str | None,
    api_key: str | None,
) -> Partner:
    check(options)
    if url is None:
        return _Local(load_llm(model or "builtin:tiny", verifier), options)
    if verifier is not None:
        raise InvalidRequest("--verifier is the server's own; it does not go with --url")
    from dfastllm.cli.remote import RemoteModel

    return _Remote(RemoteModel(url, model=model, api_key=api_key), options)


def converse(partner: Partner, console: Console, *, live: bool, pace_s: float) -> None:
    """Answer line by line until the input ends; a turn that fails is forgotten."""
    turns: _Turns = []
    for line in _lines(console):
        if line == "/reset":
            turns.clear()
            console.print("the conversation is forgotten", style="dim")
            continue
        if line.startswith("/"):
            console.print(f"there is no {line.split()[0]}; {_HELP}", style="dim", markup=False)
            continue
        turns.append({"role": "user", "content": line})
        try:
            with CanvasView(console, live=live, pace_s=pace_s) as view:
                text, cost = partner.answer(turns, view)
        except DFastError as error:
            typer.echo(f"Error: {error}", err=True)
            turns.pop()
            continue
        turns.append({"role": "assistant", "content": text})
        console.print(
            printable(text) if console.is_terminal else text, markup=False, soft_wrap=True
        )
        if console.is_terminal and cost:
            console.print(cost, style="dim")


def _lines(console: Console) -> Iterator[str]:
    """What was typed, line by line, blank ones left out, up to /exit or the end."""
    typed = sys.stdin.isatty()
    if typed:
        import readline  # noqa: F401 - importing it gives input() editing and history
    while True:
        try:
            line = (input("> ") if typed else next(sys.stdin)).strip()
        except (EOFError, StopIteration, KeyboardInterrupt):
            if typed:
                console.print()
            return
        if line == "/exit":
            return
        if line:
            yield line


class _Local:
    def __init__(self, llm: "LLM", options: AnswerOptions):
        resolve(options, llm)
        self._llm, self._options = llm, options

    def close(self) -> None:
        pass

    def answer(self, turns: _Turns, view: CanvasView) -> tuple[str, str]:
        asked = resolve(self._options, self._llm)  # each turn draws a seed of its own
        done = self._llm.chat(
            turns,
            max_tokens=asked.max_tokens,
            sampling=asked.sampling,
            decoding=asked.decoding,
            stop=asked.stop,
            on_canvas=view.show if view.watching else None,
        )
        return done.text, summary(
            done.stats.completion_tokens, done.stats.forward_passes, done.stats.verifier_passes
        )


class _Remote:
    def __init__(self, remote: "RemoteModel", options: AnswerOptions):
        self._remote, self._options = remote, options

    def close(self) -> None:
        self._remote.close()

    def answer(self, turns: _Turns, view: CanvasView) -> tuple[str, str]:
        text, canvases = "", 0

        def on_text(piece: str) -> None:
            nonlocal text
            text += piece
            if not canvases:
                view.show_text(text)

        def on_canvas(state: CanvasState) -> None:
            nonlocal canvases
            canvases += 1
            view.show(state)

        done = self._remote.answer(
            turns,
            self._options.body(),
            on_text=on_text,
            on_canvas=on_canvas if view.watching else None,
        )
        if done.completion_tokens is None or done.forwards is None:
            return done.text, ""
        return done.text, summary(done.completion_tokens, done.forwards, done.verifier_passes)
