"""All tasks by name."""

from training.examples import Group, Task
from training.tasks import (
    arithmetic,
    choices,
    foreign,
    grids,
    numerals,
    records,
    sequences,
    smalltalk,
    strings,
)

MANY_SHARE = 0.26
FOREIGN_SHARE = 0.10

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        *arithmetic.TASKS,
        *sequences.TASKS,
        *strings.TASKS,
        *records.TASKS,
        *numerals.TASKS,
        grids.SOLVE,
        *smalltalk.TASKS,
        *choices.TASKS,
        *foreign.TASKS,
    )
}


def mix(boost: dict[str, float] | None = None) -> dict[str, float]:
    """Return each task's share of the stream; `boost` multiplies the weight of single tasks."""
    shares = {
        Group.ONE: 1 - MANY_SHARE - FOREIGN_SHARE,
        Group.MANY: MANY_SHARE,
        Group.FOREIGN: FOREIGN_SHARE,
    }
    weights = {name: task.weight * (boost or {}).get(name, 1.0) for name, task in TASKS.items()}
    totals = {
        group: sum(weights[name] for name, task in TASKS.items() if task.group is group)
        for group in Group
    }
    return {
        name: shares[task.group] * weights[name] / totals[task.group]
        for name, task in TASKS.items()
    }
