"""A model loaded into this process for a command, with a progress bar while it loads."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from dfastllm.llm import LLM

Verifier = Annotated[
    str | None,
    typer.Option(
        help="Causal model for strategy apd: built-in name, directory, hub id, self or none.",
        show_default="the one a built-in model brings",
    ),
]


def load_llm(model: str, verifier: str | None = None) -> "LLM":
    """Raises CheckpointError. The bar is on standard error, and only where that is a terminal."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("loading {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(model, total=None)
        # Imported here: torch takes seconds, and the bar is up by now.
        from dfastllm.llm import LLM

        def progress(done: int, whole: int) -> None:
            bar.update(task, completed=done, total=whole)

        return LLM(model, verifier=verifier, progress=progress)
