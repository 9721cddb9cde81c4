"""`dfastllm generate [PROMPT]`: one answer, watched while it is denoised."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dfastllm.cli.canvas import CanvasView, printable, summary
from dfastllm.cli.flags import fail
from dfastllm.cli.local import Verifier, load_llm
from dfastllm.cli.options import AnswerOptions, Resolved, answer_command, check, resolve
from dfastllm.errors import CheckpointError, DFastError, InvalidRequest

if TYPE_CHECKING:
    from dfastllm.llm import LLM, Completion

_Prompt = Annotated[
    str, typer.Argument(help="What to answer; - reads standard input.", show_default=False)
]
_Model = Annotated[str, typer.Option(help="Built-in name, directory or hub id.")]
_Chat = Annotated[
    bool | None,
    typer.Option(
        "--chat/--raw", help="Through the chat template, or as plain text to go on from.",
        show_default="chat where the model has a template",
    ),
]  # fmt: skip
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_NoLive = Annotated[bool, typer.Option("--no-live", help="Print the answer when it is finished.")]
_Pace = Annotated[
    float, typer.Option(min=0, max=10, help="Least seconds a step of the live view stays.")
]


def register(app: typer.Typer) -> None:
    app.command("generate")(answer_command(generate))


def generate(
    *,
    options: AnswerOptions,
    prompt: _Prompt = "-",
    model: _Model = "builtin:tiny",
    verifier: Verifier = None,
    chat: _Chat = None,
    as_json: _Json = False,
    no_live: _NoLive = False,
    pace: _Pace = 0.05,
) -> None:
    """Answer one prompt with a model loaded here. In a terminal the canvas fills before you."""
    text = _read(prompt)
    try:
        check(options)  # a mistake should not have to wait for the model
        llm = load_llm(model, verifier)
        asked = resolve(options, llm)
        console = Console(highlight=False)
        with CanvasView(console, live=not (no_live or as_json), pace_s=pace) as view:
            answer = _answer(llm, text, asked, chat, view)
    except (InvalidRequest, CheckpointError) as error:
        fail(str(error))
    except DFastError as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(_report(answer, asked, model), ensure_ascii=False))
    elif console.is_terminal:
        stats = answer.stats
        console.print(printable(answer.text), markup=False)
        line = summary(stats.completion_tokens, stats.forward_passes, stats.verifier_passes)
        console.print(line, style="dim")
    else:
        typer.echo(answer.text)


def _read(prompt: str) -> str:
    if prompt != "-":
        return prompt
    if sys.stdin.isatty():
        fail("there is no prompt: give one, or - and pipe it in")
    try:
        text = sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        fail(f"standard input is not valid text: {error.reason}")
    return text or fail("standard input is empty")


def _answer(
    llm: "LLM", text: str, asked: Resolved, chat: bool | None, view: CanvasView
) -> "Completion":
    prompt: list[int] | str = text
    if llm.tokenizer.has_chat_template if chat is None else chat:
        prompt = llm.tokenizer.encode_chat([{"role": "user", "content": text}])
    (answer,) = llm.generate(
        [prompt],
        max_tokens=asked.max_tokens,
        sampling=asked.sampling,
        decoding=asked.decoding,
        stop=asked.stop,
        on_canvas=view.show if view.watching else None,
    )
    return answer


def _report(answer: "Completion", asked: Resolved, model: str) -> dict[str, Any]:
    stats = asdict(answer.stats)
    stats["tokens_per_forward"] = round(answer.stats.tokens_per_forward, 3)
    sampling = asdict(asked.sampling)
    sampling.pop("logit_bias")  # no flag sets it
    return {
        "text": answer.text,
        "token_ids": list(answer.token_ids),
        "finish_reason": answer.finish_reason.value,
        "stats": stats,
        "params": {
            "model": model,
            "max_tokens": asked.max_tokens,
            "stop": list(asked.stop),
            **asdict(asked.decoding),
            **sampling,
        },
    }
