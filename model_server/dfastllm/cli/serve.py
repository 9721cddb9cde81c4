"""`dfastllm serve [MODEL] [flags]`: the server, with KServe's protocols or plain."""

import typer

from dfastllm.cli.flags import fail, settings_command
from dfastllm.settings_docs import effective_yaml
from dfastllm.settings_sources import Configuration


def register(app: typer.Typer) -> None:
    switches = {"print_config": "Show the effective settings and leave."}
    app.command("serve")(settings_command(serve, model_argument=True, switches=switches))


def serve(configuration: Configuration, *, print_config: bool = False) -> None:
    """Serve a model: OpenAI's API, and unless --plain KServe's protocols beside it."""
    if print_config:
        typer.echo(effective_yaml(configuration), nl=False)
        return
    from dfastllm import log
    from dfastllm.errors import DFastError

    settings = configuration.settings
    log.configure(settings.log.log_format, settings.log.log_level)
    log.log_settings(configuration.changed())
    try:
        from dfastllm.server.lifecycle import leave, leave_on_early_signals
        from dfastllm.server.loading import load

        leave_on_early_signals()
        if settings.server.plain:
            from dfastllm.server.plain import run_plain as run
        else:
            from dfastllm.server.kserve_app import run_kserve as run
        status = run(settings, lambda: load(settings))
    except ModuleNotFoundError as error:
        fail(f"{error}; the server needs: pip install 'dfastllm[server]'", status=1)
    except DFastError as error:  # keys or an address that cannot be used
        fail(str(error), status=1)
    leave(status)
