"""`dfastllm models`: what ships with the package, and what a checkpoint on disk is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dfastllm.cli.flags import fail
from dfastllm.errors import CheckpointError
from dfastllm.presets import PresetName

if TYPE_CHECKING:
    from dfastllm.models.source import ModelSource
    from dfastllm.models.summary import ModelSummary

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(metavar="DIR_OR_NAME", help="Built-in, directory or hub id.")]
_Names = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="Built-in models, for example tiny.")
]
_Into = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep them there instead of in the cache.")
]

Report = dict[str, dict[str, Any]]


def register(app: typer.Typer) -> None:
    words = "List and prepare built-in models, inspect a checkpoint."
    models = typer.Typer(help=words, no_args_is_help=True)
    models.command("list")(list_models)
    models.command("inspect")(inspect_model)
    models.command("prepare")(prepare_models)
    app.add_typer(models, name="models")


def list_models(*, as_json: _Json = False) -> None:
    """The models that ship with the package."""
    from dfastllm.models.source import builtin_names

    names = [f"builtin:{name}" for name in builtin_names()]
    typer.echo(json.dumps(names) if as_json else "\n".join(names) or "none")


def prepare_models(names: _Names = None, *, into: _Into = None) -> None:
    """Put built-in models together that ship as a difference to another; once, then they are kept.

    Prints where each is. Without names: all of them. What cannot be prepared keeps none of the
    others from it; it is named at the end, and the exit status is 1.
    """
    from dfastllm.models.source import builtin_names, prepare_builtin

    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
    problems = []
    terminal = Console(stderr=True)
    for name in names or builtin_names(verifiers=True):
        plain = name.removeprefix("builtin:").removeprefix("//")
        try:
            with terminal.status(f"preparing builtin:{plain}"):  # seconds, the first time
                directory = prepare_builtin(plain, into)
        except CheckpointError as error:
            problems.append(f"builtin:{plain} is not prepared: {error}")
        else:
            typer.echo(f"builtin:{plain}  {directory}")
    if problems:
        fail("\n".join(problems), status=1)


def inspect_model(name: _Name, *, as_json: _Json = False) -> None:
    """What a checkpoint is and whether it can be served; weights are not loaded."""
    from dfastllm.models.source import resolve_model
    from dfastllm.models.summary import summarise

    try:
        source = resolve_model(_as_model(name))
        report = _report(source, summarise(source.directory))
    except CheckpointError as error:
        fail(str(error), status=1)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)


def _as_model(name: str) -> str:
    """A folder here may be written without the leading ./ that the settings ask for."""
    plain = not name.startswith(("builtin:", "/", ".", "~"))
    return f"./{name}" if plain and Path(name).is_dir() else name


def _report(source: "ModelSource", summary: "ModelSummary") -> Report:
    spec = summary.spec
    report: Report = {
        "model": {
            "name": source.name,
            "family": spec.family,
            "parameters": summary.parameters,
            "stored_bytes": summary.stored_bytes,
            "context": spec.max_position,
        },
        "shape": {
            "layers": spec.n_layers,
            "hidden": spec.hidden_size,
            "heads": spec.n_heads,
            "kv_heads": spec.n_kv_heads,
            "head_dim": spec.head_dim,
            "intermediate": spec.intermediate_size,
            "vocabulary": spec.vocab_size,
            "embedding_rows": spec.embedding_rows,
            "rope_theta": spec.rope_theta,
            "qkv_bias": spec.qkv_bias,
            "tied_head": spec.tied_head,
            "grouped_query_attention": spec.n_kv_heads != spec.n_heads,
            "shifted_logits": spec.shift_logits,
            "causal_context": spec.causal_context,
            "context_model": spec.context_model,
            "kv_bytes_per_token": summary.kv_bytes_per_token,
        },
        "ids": {
            "mask": spec.mask_id,
            "end": list(spec.eos_ids),
            "fill": spec.fill_id,
            "bos": spec.bos_id,
        },
        "text": _text(source, spec.vocab_size, spec.mask_id),
        "defaults": {
            "temperature": summary.defaults.temperature,
            "top_p": summary.defaults.top_p,
            "top_k": summary.defaults.top_k,
            **asdict(summary.defaults.decoding),
        },
        "presets": {name.value: preset.said for name, preset in summary.defaults.presets.items()},
    }
    if summary.context is not None:
        reader = summary.context
        report["context"] = {
            "parameters": reader.parameters,
            "stored_bytes": reader.stored_bytes,
            "context": reader.spec.max_position,
        }
    return report


def _text(source: "ModelSource", vocab_size: int, mask_id: int) -> dict[str, Any]:
    """Whether there is a tokenizer, and whether it can render a conversation."""
    from dfastllm.tokenizer import Tokenizer

    try:
        tokenizer = Tokenizer.load(
            source.tokenizer_directory, vocab_size=vocab_size, mask_id=mask_id
        )
    except CheckpointError as error:
        return {"tokenizer": False, "chat_template": False, "problem": str(error)}
    return {"tokenizer": True, "chat_template": tokenizer.has_chat_template}


def _print(report: Report) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for section, entries in report.items():
        table.add_row(section, "")
        for name, value in entries.items():
            table.add_row(f"  {name.replace('_', ' ')}", _words(name, value))
    Console(highlight=False, markup=False, soft_wrap=True).print(table)


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "stored_bytes":
        return ", ".join(f"{size / 2**20:,.1f} MiB {dtype}" for dtype, size in value.items())
    if name in tuple(PresetName):
        return ", ".join(f"{key} {said}" for key, said in value.items()) or "the default"
    if isinstance(value, dict):
        return ", ".join(f"{size:,} {dtype}" for dtype, size in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return "none" if name == "bos" else "-"
    return f"{value:,}" if name in ("parameters", "context") else str(value)
