"""How many positions a fixed schedule commits in a step, by model family.

Both return at least 1 while masks are left and never more than are left; the last step of a block
takes all.
"""

from collections.abc import Callable

from dfastllm.decoding.strategy import RowView


def linear_quota(row: RowView) -> int:
    """LLaDA: the block's masks spread evenly, the remainder on the first steps."""
    base, extra = divmod(row.masks_at_start, row.steps)
    return _bounded(row, base + (1 if row.step < extra else 0))


def dream_quota(row: RowView) -> int:
    """Dream: floor(masks * (1 - s/t)) on the time grid from 1 to `EPS` in `steps` steps.

    The published loop commits nothing where the floor is 0; here a step always commits one.
    """
    t, s = (1 - (row.step + i) / row.steps * (1 - EPS) for i in (0, 1))
    return _bounded(row, int(row.masks_left * (1 - s / t)))


def steps_of_block(total_steps: int, block: int, n_blocks: int) -> int:
    """Block `block`'s share of `total_steps`: shares differ by one at most and add up."""
    return (block + 1) * total_steps // n_blocks - block * total_steps // n_blocks


def _bounded(row: RowView, quota: int) -> int:
    if row.step + 1 >= row.steps:
        return row.masks_left
    return min(max(quota, 1), row.masks_left)


EPS = 1e-3  # Dream's smallest time
SCHEDULES: dict[str, Callable[[RowView], int]] = {"linear": linear_quota, "dream": dream_quota}
