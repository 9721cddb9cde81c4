"""The command line: `run` the operator, steer rollouts by `ctl`, print the `crd`.

One flag for every setting.

Nothing heavy is imported before a command needs it.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from dfastllm_operator import __version__
from dfastllm_operator.ctl.commands import ABOUT, build_ctl
from dfastllm_operator.settings import Settings, SettingsError, load


def build_cli() -> typer.Typer:
    app = typer.Typer(
        name="dfastllm-operator",
        help="Kubernetes operator for DFastLLMServices.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_main)
    app.command("run", help="Run the operator.")(_with_settings(_run))
    app.add_typer(build_ctl(), name="ctl", help=f"{ABOUT} Also `kubectl dfastllm`.")
    app.command("crd", help="Print the CustomResourceDefinition as YAML.")(_crd)
    return app


def _run(settings: Settings) -> None:
    import asyncio

    from dfastllm_operator import log, memory

    log.configure(settings.log_format, settings.log_level)
    memory.spare_synchronous_client()
    memory.spare_tls_buffers()
    from dfastllm_operator.app import run

    raise typer.Exit(asyncio.run(run(settings)))


def _crd() -> None:
    from dfastllm_operator.api.crd import text

    sys.stdout.write(text())


def _with_settings(command: Callable[[Settings], None]) -> Callable[..., None]:
    """A typer command with a flag for each setting; their values stay text on the way."""
    parameters = [_parameter(leaf, info) for leaf, info in Settings.model_fields.items()]

    def callback(**given: Any) -> None:
        try:
            settings = load(given)
        except SettingsError as error:
            for line in str(error).splitlines():
                typer.echo(f"Error: {line}", err=True)
            raise typer.Exit(2) from None
        command(settings)

    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in parameters}
    return callback


def _parameter(leaf: str, info: FieldInfo) -> inspect.Parameter:
    flag = f"--{leaf.replace('_', '-')}"
    kind: Any = str | None
    if info.annotation is bool:
        flag, kind = f"{flag}/--no-{leaf.replace('_', '-')}", bool | None
    default = ",".join(info.default) if isinstance(info.default, tuple) else str(info.default)
    option = typer.Option(flag, help=info.description, show_default=default or False)
    return inspect.Parameter(
        leaf, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _show_version(wanted: bool) -> None:
    if wanted:
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
