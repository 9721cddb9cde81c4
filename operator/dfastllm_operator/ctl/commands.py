"""The subcommands: arguments in, text and an exit status out. Nothing heavy before one is run."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from dfastllm_operator.core import Key
    from dfastllm_operator.ctl.door import Door

ABOUT = "See and steer the rollouts of DFastLLMServices."
ORDERS = {
    "promote": "Give the candidate all traffic now, whatever is left to measure.",
    "abort": "Give stable all traffic back and drop the candidate.",
    "retry": "Try a revision again that has failed.",
}
KINDS = ("dfs", "dfastllmservice", "dfastllmservices")
OBJECT_NAME = r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?"
FAILED = 1
INTERRUPTED = 130

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the DFastLLMService.", show_default=False)
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="Its namespace; left out: the context's."
    ),
]
Kubeconfig = Annotated[
    str,
    typer.Option("--kubeconfig", metavar="FILE", help="Left out: $KUBECONFIG, or ~/.kube/config."),
]
Context = Annotated[
    str, typer.Option("--context", metavar="NAME", help="Left out: the current one.")
]
UntilDone = Annotated[
    bool,
    typer.Option(
        "--until-done",
        help="End when the latest change is done with: status 0 if it serves, 1 if it does not.",
    ),
]
Within = Annotated[
    str,
    typer.Option(
        "--timeout",
        metavar="TIME",
        help="Give up after, for example, 30m, with status 1. Left out: never.",
    ),
]

Work = Callable[["Door", "Key"], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster and namespace is meant; what is empty is found as kubectl finds it."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""

    def over(self, other: "Where") -> "Where":
        """What is said after the command goes before what is said in front of it."""
        return Where(
            self.namespace or other.namespace,
            self.kubeconfig or other.kubeconfig,
            self.context or other.context,
        )


def build_ctl() -> typer.Typer:
    """The commands, for `dfastllm-operator ctl` and for `kubectl dfastllm`."""
    app = typer.Typer(
        name="dfastllm",
        help=ABOUT,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_anywhere)
    app.command("status", help="Show how the rollout stands.")(_command(_status))
    app.command("watch", help="Show it as it goes on, until Ctrl-C.")(_watch)
    for word, about in ORDERS.items():
        app.command(word, help=about)(_command(_order(word)))
    app.command("history", help="List the revisions that are kept, and what each changed.")(
        _command(_history)
    )
    return app


def _anywhere(
    context: typer.Context,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = "",
    cluster: Context = "",
) -> None:
    context.obj = Where(namespace, kubeconfig, cluster)


def _command(work: Work) -> Callable[..., None]:
    def command(
        context: typer.Context,
        name: Name,
        namespace: Namespace = "",
        kubeconfig: Kubeconfig = "",
        cluster: Context = "",
    ) -> None:
        _run(work, name, Where(namespace, kubeconfig, cluster).over(context.obj))

    return command


async def _status(door: "Door", key: "Key") -> int:
    from dfastllm_operator.ctl.rendering import block
    from dfastllm_operator.ctl.view import view
    from dfastllm_operator.ctl.watching import wall_clock

    _print(block(view(await door.service(key)), wall_clock()))
    return 0


async def _history(door: "Door", key: "Key") -> int:
    from dfastllm_operator.ctl.history import history
    from dfastllm_operator.ctl.rendering import revisions
    from dfastllm_operator.ctl.view import view

    cr = await door.service(key)
    _print(revisions(history(cr, await door.revisions(key), view(cr))))
    return 0


def _order(word: str) -> Work:
    async def work(door: "Door", key: "Key") -> int:
        from dfastllm_operator.ctl.giving import give
        from dfastllm_operator.ctl.orders import Verb

        typer.echo(await give(door, key, Verb(word)))
        return 0

    return work


def _watch(
    context: typer.Context,
    name: Name,
    namespace: Namespace = "",
    until_done: UntilDone = False,
    timeout: Within = "",
    kubeconfig: Kubeconfig = "",
    cluster: Context = "",
) -> None:
    within_s = _seconds(timeout)

    async def work(door: "Door", key: "Key") -> int:
        from contextlib import aclosing

        from rich.console import Console

        from dfastllm_operator.ctl.watching import watch, well

        async with asyncio.timeout(within_s), aclosing(door.changes(key)) as changes:
            last = await watch(changes, Console(), until_done=until_done)
        return 0 if well(last) else FAILED

    try:
        _run(work, name, Where(namespace, kubeconfig, cluster).over(context.obj))
    except TimeoutError:
        _fail(f"not done within {timeout}")


def _seconds(text: str) -> float | None:
    from dfastllm_operator.api.duration import PATTERN, seconds

    if not text:
        return None
    if re.fullmatch(PATTERN, text) is None:
        raise typer.BadParameter(
            f"{text} is no time: write for example 90s, 30m or 1h30m", param_hint="--timeout"
        )
    return seconds(text)


def _run(work: Work, name: str, where: Where) -> NoReturn:
    """Log in, do the work, and turn what goes wrong into one line and a status."""
    from dfastllm_operator.access import Access, NoAccess
    from dfastllm_operator.core import Key
    from dfastllm_operator.ctl import kubeconfig as files
    from dfastllm_operator.ctl.door import Door
    from dfastllm_operator.ctl.orders import Refused
    from dfastllm_operator.errors import ApiError, Forbidden

    file, context = where.kubeconfig or None, where.context or None
    access = Access(file, context=context)
    namespace = where.namespace or files.namespace(file, context)
    key = Key(_object_name(namespace, "a namespace"), _object_name(_bare(name), "a service"))

    async def session() -> int:
        door = Door(access)
        try:
            return await work(door, key)
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


def _bare(name: str) -> str:
    """`dfs/chat` is what `kubectl get -o name` says, and what people paste."""
    kind, slash, rest = name.rpartition("/")
    return rest if slash and kind.partition(".")[0] in KINDS else name


def _object_name(word: str, what: str) -> str:
    if re.fullmatch(OBJECT_NAME, word) is None:
        _fail(f"{word!r} is no name of {what}: small letters, digits, - and . are")
    return word


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(FAILED)


def _print(renderable: object) -> None:
    """Wide where nobody looks: a pipe must not break lines at a width that it has not."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(renderable)
