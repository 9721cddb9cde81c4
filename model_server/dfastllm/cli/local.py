"""A model loaded into this process for a command, with a progress bar while it loads."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from dfastllm.llm import LLM


def load_llm(model: str) -> "LLM":
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

        return LLM(model, progress=lambda done, all_: bar.update(task, completed=done, total=all_))
