"""The command line. Commands are imported when they are asked for, so `--help` is quick."""

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

# Every command's module offers `register(app)`; none imports torch or kserve before it runs.
COMMANDS = (
    "dfastllm.cli.serve",
    "dfastllm.cli.config",
    "dfastllm.cli.generate",
    "dfastllm.cli.chat",
    "dfastllm.cli.models",
    "dfastllm.cli.bench",
)


def build_cli() -> typer.Typer:
    """The whole command line; commands that this installation lacks are left out."""
    app = typer.Typer(
        name="dfastllm",
        help="Serve diffusion language models with an OpenAI API.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        rich_markup_mode="markdown",
    )
    app.callback()(_main)
    for module in COMMANDS:
        if find_spec(module) is not None:
            import_module(module).register(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from dfastllm import __version__

        typer.echo(__version__)
        raise typer.Exit


def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


__all__ = ["COMMANDS", "build_cli"]
