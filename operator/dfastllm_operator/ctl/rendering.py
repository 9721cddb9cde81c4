"""A rollout on the screen: a block for `status` and the live view, else a line for each change.

Pure: views in, text out. Only `rich`'s own renderables leave here; no terminal is touched.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.ctl.history import Entry
from dfastllm_operator.ctl.view import MeasurementView, RolloutView, SideView
from dfastllm_operator.gates.measurement import Outcome

BAR = 30
GOOD, BAD, OPEN, FAINT = "green", "red", "yellow", "dim"
OUTCOME_STYLE = {
    "Pass": GOOD,
    "Fail": BAD,
    "Waiting": FAINT,
    "Inconclusive": OPEN,
    "Error": OPEN,
    "Shown": FAINT,
}
PHASE_STYLE: dict[str, str] = {
    RolloutPhase.STABLE: GOOD,
    RolloutPhase.FAILED: BAD,
    RolloutPhase.ROLLING_BACK: BAD,
    RolloutPhase.PAUSED: OPEN,
}


def block(found: RolloutView, now: datetime) -> RenderableType:
    """Everything about one rollout."""
    parts: list[RenderableType] = [_head(found, now)]
    if found.frozen:
        parts.append(Text("spec.paused is set: the operator changes nothing, not even back", OPEN))
    parts.extend(Text(said, OPEN) for said in _waits(found))
    if not found.phase:
        parts.append(Text(f"no rollout: strategy {found.strategy}"))
        return Group(*parts)
    parts.extend(_sides(found, now))
    if found.candidate is not None:
        parts.append(_steps(found))
    if found.measurements:
        parts += [Text(), _measurements(found.measurements)]
        parts.extend(_reasons(found.measurements))
    if found.failures:
        count = f"{found.failures} of {found.failure_limit}"
        parts.append(Text(f"failed looks at this step: {count}", BAD))
    if found.message or found.cause:
        parts += [Text(), Text(": ".join(filter(None, (found.cause, found.message))))]
    return Group(*parts)


def line(found: RolloutView) -> str:
    """The same in one line, which changes when something happens."""
    words = [found.phase] if found.phase else [f"no rollout, strategy {found.strategy}"]
    if found.candidate is not None:
        words += [f"step={found.step + 1}/{len(found.steps)}", f"weight={_weight(found)}"]
        words.append(f"candidate={found.candidate.revision}")
    if found.stable is not None:
        words.append(f"stable={found.stable.revision}")
    if found.leaving is not None:
        words.append(f"leaving={found.leaving.revision}")
    judged = (entry for entry in found.measurements if entry.outcome != Outcome.SHOWN)
    words += [_short(entry) for entry in judged]
    if found.failures:
        words.append(f"failures={found.failures}")
    if found.failed:
        words.append(f"failed={found.failed}")
    if found.cause:
        words.append(f"cause={found.cause}")
    if found.message:
        words.append(f"- {found.message}")
    words += [f"- {said}" for said in _waits(found)]
    return " ".join(words)


def revisions(entries: Sequence[Entry]) -> RenderableType:
    """The table of `history`."""
    if not entries:
        return Text("no revisions are kept")
    table = _table("revision", "created", "role", "model", "image", "changed")
    for entry in entries:
        table.add_row(
            entry.revision, entry.created, entry.role, entry.model, entry.image, entry.changed
        )
    return table


def age(since: datetime | None, now: datetime) -> str:
    """As kubectl writes it: 42s, 5m10s, 3h2m, 4d."""
    if since is None:
        return "?"
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{hours // 24}d"


def _head(found: RolloutView, now: datetime) -> Text:
    text = Text(found.title, "bold")
    if found.phase:
        text.append("  ").append(found.phase, PHASE_STYLE.get(found.phase, ""))
        text.append(f" for {age(found.since, now)}", FAINT)
    if found.candidate is not None and found.step_since is not None:
        text.append(f", at this step for {age(found.step_since, now)}", FAINT)
    return text


def _waits(found: RolloutView) -> Iterator[str]:
    """Why the latest change is not under way, if it is not."""
    if not found.heard:
        yield "the operator has not looked at the latest change yet"
    if found.held:
        yield f"the latest change is held: {found.held}"
    if found.trouble:
        yield f"the latest change does not go on: {found.trouble}"


def _sides(found: RolloutView, now: datetime) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for role, side in (("stable", found.stable), ("candidate", found.candidate)):
        if side is not None:
            table.add_row(
                role, side.revision, f"slot {side.slot}", f"{side.weight:>3} %", _bar(side)
            )
    if found.leaving is not None:
        since = f"no traffic for {age(found.leaving_since, now)}"
        table.add_row("leaving", found.leaving.revision, f"slot {found.leaving.slot}", "", since)
    yield table
    if found.confirmed != found.weight:
        yield Text(f"the route still gives the candidate {found.confirmed} %", OPEN)
    if found.failed:
        yield Text(f"revision {found.failed} failed and is not tried again by itself", BAD)


def _bar(side: SideView) -> Text:
    filled = round(side.weight * BAR / 100)
    return Text("#" * filled).append("." * (BAR - filled), FAINT)


def _steps(found: RolloutView) -> Text:
    text = Text("steps      ")
    for number, step in enumerate(found.steps):
        if number:
            text.append(" > ", FAINT)
        held = f" for {step.pause}" if step.pause else ""
        if number == found.step:
            text.append(f"[{step.weight} %{held}]", "bold")
        else:
            text.append(f"{step.weight} %{held}", GOOD if number < found.step else FAINT)
    return text


def _measurements(measured: Iterable[MeasurementView]) -> Table:
    table = _table("metric", "candidate", "stable", "allowed", "samples", "verdict")
    for entry in measured:
        verdict = Text(entry.outcome, OUTCOME_STYLE.get(entry.outcome, ""))
        samples = str(entry.samples) if entry.samples else ""
        table.add_row(entry.metric, entry.candidate, entry.stable, entry.bound, samples, verdict)
    return table


def _reasons(measured: Iterable[MeasurementView]) -> Iterator[Text]:
    """Each sentence once: a source that is away says the same of every metric."""
    said = {entry.message: entry.outcome for entry in measured if entry.message}
    for message, outcome in said.items():
        yield Text(message, OUTCOME_STYLE.get(outcome, ""))


def _short(entry: MeasurementView) -> str:
    value = f"{entry.candidate}|{entry.stable}" if entry.stable else entry.candidate
    return f"{entry.metric}={value.replace(' ', '') or '-'}:{entry.outcome}"


def _weight(found: RolloutView) -> str:
    if found.confirmed == found.weight:
        return str(found.weight)
    return f"{found.confirmed}->{found.weight}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=FAINT)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
