"""One flag for every setting, made from the settings model, for commands that read settings."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic.fields import FieldInfo

from dfastllm.settings import default_of, leaves
from dfastllm.settings_docs import flag_name, type_words
from dfastllm.settings_sources import SettingsError, load

_Parameter = inspect.Parameter


def settings_command(
    command: Callable[..., None],
    *,
    model_argument: bool = False,
    switches: Mapping[str, str] | None = None,
) -> Callable[..., None]:
    """A typer callback that reads all settings and calls `command(configuration, **switches)`.

    `switches` are flags that are no settings: name to help text. Values of settings stay text on
    the way: one place, the settings model, says what is wrong with them.
    """
    own = switches or {}
    parameters = [_config_parameter(), *(_switch(name, text) for name, text in own.items())]
    parameters += [_flag(section, leaf, info) for section, leaf, info in leaves()]
    if model_argument:
        parameters.insert(0, _model_parameter())

    def callback(**given: Any) -> None:
        config = given.pop("config")
        switched = {name: given.pop(name) for name in own}
        positional = given.pop("model_name", None)
        if positional is not None:
            if given["model"] is not None:
                fail("the model is named twice, as an argument and with --model")
            given["model"] = positional
        try:
            configuration = load(given, config=config)
        except SettingsError as error:
            fail(str(error))
        command(configuration, **switched)

    callback.__doc__ = command.__doc__
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in parameters}
    return callback


def fail(message: str, status: int = 2) -> NoReturn:
    """Say what is wrong, one line per mistake, and leave; 2 is the status of a usage error."""
    for line in message.splitlines():
        typer.echo(f"Error: {line}", err=True)
    raise typer.Exit(status)


def _flag(section: str, leaf: str, info: FieldInfo) -> _Parameter:
    name = flag_name(leaf)
    kind: Any = str | None
    metavar: str | None = _metavar(info)
    if info.annotation is bool:
        name, kind, metavar = f"{name}/--no-{name.removeprefix('--')}", bool | None, None
    option = typer.Option(
        name,
        help=info.description,
        metavar=metavar,
        rich_help_panel=section,
        show_default=_default_text(info),
    )
    return _parameter(leaf, Annotated[kind, option])


def _default_text(info: FieldInfo) -> str | bool:
    default = default_of(info)
    if default in (None, (), ""):
        return False
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(info: FieldInfo) -> str:
    words = type_words(info)
    element = words.removeprefix("list of ")
    several = ",..." if element != words else ""
    return (element.replace(", ", "|") if ", " in element else element.upper()) + several


def _config_parameter() -> _Parameter:
    option = typer.Option("--config", metavar="FILE", help="YAML file of settings.")
    return _parameter("config", Annotated[Path | None, option])


def _model_parameter() -> _Parameter:
    argument = typer.Argument(metavar="MODEL", help="The same as --model.", show_default=False)
    return _parameter("model_name", Annotated[str | None, argument])


def _switch(name: str, text: str) -> _Parameter:
    option = typer.Option(flag_name(name), help=text)
    return _parameter(name, Annotated[bool, option], default=False)


def _parameter(name: str, annotation: Any, *, default: Any = None) -> _Parameter:
    return _Parameter(name, _Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
