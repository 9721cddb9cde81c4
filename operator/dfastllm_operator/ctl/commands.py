"""The subcommands: arguments in, text and an exit status out. Nothing heavy before one is run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from dfastllm_operator.core import Key
    from dfastllm_operator.ctl.door import Door
    from dfastllm_operator.ctl.orders import Verb

FAILED = 1
INTERRUPTED = 130

Name = Annotated[str, typer.Argument(help="Name of the DFastLLMService.", show_default=False)]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Its namespace; left out: the context's.")
]
Kubeconfig = Annotated[
    str, typer.Option("--kubeconfig", help="Left out: $KUBECONFIG, or ~/.kube/config.")
]
Context = Annotated[str, typer.Option("--context", help="Left out: the current one.")]
UntilDone = Annotated[
    bool,
    typer.Option(
        "--until-done", help="End with the rollout: status 0 if it was promoted, 1 if it failed."
    ),
]

Work = Callable[["Door", "Key"], Awaitable[int]]


def build_ctl() -> typer.Typer:
    """The commands, for `dfastllm-operator ctl` and for `kubectl dfastllm`."""
    app = typer.Typer(
        name="dfastllm",
        help="See and steer the rollouts of DFastLLMServices.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("status", help="Show how the rollout stands.")(_status)
    app.command("watch", help="Show it as it goes on, until Ctrl-C.")(_watch)
    app.command("promote", help="Give the candidate all traffic now, whatever is left to measure.")(
        _promote
    )
    app.command("abort", help="Give stable all traffic back and drop the candidate.")(_abort)
    app.command("retry", help="Try a revision again that has failed.")(_retry)
    app.command("history", help="List the revisions that are kept.")(_history)
    return app


def _status(
    name: Name, namespace: Namespace = "", kubeconfig: Kubeconfig = "", context: Context = ""
) -> None:
    async def work(door: "Door", key: "Key") -> int:
        from dfastllm_operator.ctl.rendering import block
        from dfastllm_operator.ctl.view import view
        from dfastllm_operator.ctl.watching import wall_clock

        _print(block(view(await door.service(key)), wall_clock()))
        return 0

    _run(work, name, namespace, kubeconfig, context)


def _watch(
    name: Name,
    namespace: Namespace = "",
    until_done: UntilDone = False,
    kubeconfig: Kubeconfig = "",
    context: Context = "",
) -> None:
    async def work(door: "Door", key: "Key") -> int:
        from contextlib import aclosing

        from rich.console import Console

        from dfastllm_operator.ctl.watching import watch, well

        async with aclosing(door.changes(key)) as changes:
            last = await watch(changes, Console(), until_done=until_done)
        return 0 if well(last) else FAILED

    _run(work, name, namespace, kubeconfig, context)


def _promote(
    name: Name, namespace: Namespace = "", kubeconfig: Kubeconfig = "", context: Context = ""
) -> None:
    from dfastllm_operator.ctl.orders import Verb

    _run(_ordering(Verb.PROMOTE), name, namespace, kubeconfig, context)


def _abort(
    name: Name, namespace: Namespace = "", kubeconfig: Kubeconfig = "", context: Context = ""
) -> None:
    from dfastllm_operator.ctl.orders import Verb

    _run(_ordering(Verb.ABORT), name, namespace, kubeconfig, context)


def _retry(
    name: Name, namespace: Namespace = "", kubeconfig: Kubeconfig = "", context: Context = ""
) -> None:
    from dfastllm_operator.ctl.orders import Verb

    _run(_ordering(Verb.RETRY), name, namespace, kubeconfig, context)


def _history(
    name: Name, namespace: Namespace = "", kubeconfig: Kubeconfig = "", context: Context = ""
) -> None:
    async def work(door: "Door", key: "Key") -> int:
        from dfastllm_operator.ctl.history import history
        from dfastllm_operator.ctl.rendering import revisions
        from dfastllm_operator.ctl.view import view

        cr = await door.service(key)
        _print(revisions(history(cr, await door.revisions(key), view(cr))))
        return 0

    _run(work, name, namespace, kubeconfig, context)


def _ordering(verb: "Verb") -> Work:
    async def work(door: "Door", key: "Key") -> int:
        from dfastllm_operator.ctl.giving import give

        typer.echo(await give(door, key, verb))
        return 0

    return work


def _run(work: Work, name: str, namespace: str, kubeconfig: str, context: str) -> NoReturn:
    """Log in, do the work, and turn what goes wrong into one line and a status."""
    from dfastllm_operator.access import Access, NoAccess
    from dfastllm_operator.core import Key
    from dfastllm_operator.ctl import kubeconfig as files
    from dfastllm_operator.ctl.door import Door
    from dfastllm_operator.ctl.orders import Refused
    from dfastllm_operator.errors import ApiError, Forbidden

    access = Access(kubeconfig or None, context=context or None)
    chosen = namespace or files.namespace(kubeconfig or None, context or None)

    async def session() -> int:
        door = Door(access)
        try:
            return await work(door, Key(chosen, name))
        finally:
            await door.close()

    try:
        raise typer.Exit(asyncio.run(session()))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Forbidden as error:
        _fail(f"not allowed: {error}")
    except (ApiError, NoAccess, Refused) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(FAILED)


def _print(renderable: object) -> None:
    """Wide where nobody looks: a pipe must not break lines at a width that it has not."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(renderable)
