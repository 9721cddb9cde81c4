"""A window that was lost in a restart, filled again from a source that remembers."""

from dfastllm_operator.analysis.source import Source, Targets
from dfastllm_operator.analysis.window import Window

MOST_LOOKS = 60
JUST_NOW_S = 1.0


async def replay(source: Source, targets: Targets, window: Window, now: float) -> Window:
    """`window` with looks from its opening up to `now`; as it is where the source has no memory.

    A minute and at most sixty looks apart: between two looks only a process that was replaced
    twice could go unnoticed.
    """
    if not source.remembers or now <= window.opens_at:
        return window
    since = window.opens_at if window.at is None else window.at
    if now - since < JUST_NOW_S:  # two looks at one moment would find that nothing came between
        return window.after(await source.sample(targets, now))
    step = max(60.0, (now - since) / MOST_LOOKS)
    at = since
    while at < now:
        window = window.after(await source.sample(targets, at))
        at += step
    return window.after(await source.sample(targets, now))
