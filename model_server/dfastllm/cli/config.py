"""`dfastllm config`: the effective settings, or with `--markdown` the reference page."""

import typer

from dfastllm.cli.flags import settings_command
from dfastllm.settings_docs import effective_yaml, markdown
from dfastllm.settings_sources import Configuration


def register(app: typer.Typer) -> None:
    switches = {"markdown": "Print the reference page of all settings instead."}
    app.command("config")(settings_command(config, model_argument=True, switches=switches))


def config(configuration: Configuration, *, markdown: bool = False) -> None:
    """Show the effective settings, and where each that is no default came from."""
    typer.echo(_page() if markdown else effective_yaml(configuration), nl=False)


_page = markdown
