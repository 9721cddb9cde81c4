"""The tasks of the English model: the small model's, without what a base model knows, and more.

Left out are the small model's talk about itself, its fixed reply to all else, and closed sets of
facts, which an adapted model must keep from its base and not learn here.
"""

from training.examples import Group, Task
from training.tasks import inventions, lines, rewording, squares
from training.tasks.registry import TASKS as SMALL_TASKS

MANY_SHARE = 0.4
LEFT_OUT = frozenset({"small_talk", "recall", "foreign", "capital", "category", "calendar"})
PAIRS: tuple[tuple[str, str], ...] = (*lines.PAIRS, *squares.PAIRS, *rewording.PAIRS)

WIDE_TASKS: dict[str, Task] = {
    name: task for name, task in SMALL_TASKS.items() if name not in LEFT_OUT
} | {
    task.name: task for task in (*lines.TASKS, *squares.TASKS, *rewording.TASKS, *inventions.TASKS)
}


def wide_mix(many: float = MANY_SHARE, boost: dict[str, float] | None = None) -> dict[str, float]:
    """Return each task's share; `many` of all go to tasks with many right answers."""
    shares = {Group.ONE: 1 - many, Group.MANY: many}
    weights = {n: task.weight * (boost or {}).get(n, 1.0) for n, task in WIDE_TASKS.items()}
    totals = {
        group: sum(weights[name] for name, task in WIDE_TASKS.items() if task.group is group)
        for group in shares
    }
    return {
        name: shares[task.group] * weights[name] / totals[task.group]
        for name, task in WIDE_TASKS.items()
    }
