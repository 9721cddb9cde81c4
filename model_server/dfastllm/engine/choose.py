"""From the logits of a step to the tokens each row commits.

Rows with different sampling and decoding parameters share one pass over the logits (`draw.py`);
rows of one strategy share one call of it. What a row gets depends on nothing but itself.
"""

import logging
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dfastllm.core import TokenLogprob
from dfastllm.decoding.candidates import Candidates
from dfastllm.decoding.strategy import BlockView, Choice
from dfastllm.engine.drafts import Verified
from dfastllm.engine.draw import Drawn, draw
from dfastllm.engine.runner import Forwarded, PlannedRow, release_memory, row_failure
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import RowFailed
from dfastllm.models.spec import ModelSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RowChoice:
    """What one row commits and masks again, in absolute positions; or why it failed."""

    sequence: Sequence
    positions: np.ndarray
    entries: list[TokenLogprob] = field(default_factory=list)
    revoked: np.ndarray | None = None
    error: RowFailed | None = None


def choose(forwarded: Forwarded, spec: ModelSpec, verified: Verified) -> list[RowChoice]:
    """The commits of every row of one forward, in the order of its rows.

    What fails for many rows is tried again on halves, as a forward is: memory that does not suffice
    for all may suffice for some, and a row that breaks it fails alone.
    """
    rows = forwarded.rows
    try:
        drawn = draw(rows, forwarded.logits, spec, verified)
        commit = torch.zeros_like(drawn.found.finite)
        revoked: dict[int, np.ndarray] = {}
        failed = {
            i: verified.failed[row.sequence]
            for i, row in enumerate(rows)
            if row.sequence in verified.failed
        }
        for members in _by_strategy(rows):
            _apply(members, rows, drawn, spec, commit, revoked, failed)
        return _to_rows(rows, drawn, commit, revoked, failed)
    except Exception as error:
        if len(rows) == 1:
            failure = row_failure(error, rows[0].sequence)
            return [RowChoice(rows[0].sequence, rows[0].positions[:0], error=failure)]
        _log.warning("choosing for %d rows failed, trying halves: %s", len(rows), error)
        release_memory(error, forwarded.logits.device)
    half = len(rows) // 2
    cut = sum(len(row.positions) for row in rows[:half])
    first = Forwarded(rows[:half], forwarded.logits[:cut])
    second = Forwarded(rows[half:], forwarded.logits[cut:])
    return choose(first, spec, verified) + choose(second, spec, verified)


def _by_strategy(rows: Seq[PlannedRow]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(id(row.sequence.strategy), []).append(i)
    return list(groups.values())


def _apply(
    members: list[int],
    rows: Seq[PlannedRow],
    drawn: Drawn,
    spec: ModelSpec,
    commit: Tensor,
    revoked: dict[int, np.ndarray],
    failed: dict[int, RowFailed],
) -> None:
    """Run one strategy on its rows; a row it cannot handle fails alone."""
    try:
        choice, flat, source = _ask(members, rows, drawn, spec)
        picked = choice.commit.flatten()[flat]
        if not rows[members[0]].sequence.strategy.may_idle:
            _check_progress(choice, members)
        commit[source] = picked
        if choice.revoke is not None:
            for r, i in enumerate(members):
                columns = choice.revoke[r].nonzero()[:, 0].cpu().numpy()
                revoked[i] = rows[i].sequence.block_bounds[0] + columns
    except Exception as error:
        if len(members) == 1:
            request_id = rows[members[0]].sequence.request.request_id
            _log.exception("decoding of request %s failed", request_id, exc_info=error)
            failed[members[0]] = RowFailed("the decoding rule failed on this request")
            return
        for i in members:
            _apply([i], rows, drawn, spec, commit, revoked, failed)


def _check_progress(choice: Choice, members: list[int]) -> None:
    progress = choice.commit.any(-1)
    if not bool(progress.all()):
        raise RowFailed(f"the decoding rule committed nothing in {len(members)} rows")


def _ask(
    members: list[int], rows: Seq[PlannedRow], drawn: Drawn, spec: ModelSpec
) -> tuple[Choice, Tensor, Tensor]:
    """The strategy's choice, and for each masked position its place in the view and in the draw."""
    bounds = [rows[i].sequence.block_bounds for i in members]
    width = max(end - start for start, end in bounds)
    device = drawn.score.device
    flat = torch.from_numpy(
        np.concatenate(
            [r * width + rows[i].positions - bounds[r][0] for r, i in enumerate(members)]
        )
    ).to(device)
    source = torch.from_numpy(
        np.concatenate([np.arange(drawn.offsets[i], drawn.offsets[i + 1]) for i in members])
    ).to(device)
    keeps_eos = [rows[i].sequence.request.ignore_eos for i in members]
    filler = drawn.found.token[source] == spec.fill_id
    if any(keeps_eos):
        counted = torch.as_tensor(
            np.repeat(keeps_eos, [len(rows[i].positions) for i in members]), device=device
        )
        filler = filler & ~counted

    def spread(values: Tensor, empty: float | bool) -> Tensor:
        full = torch.full((len(members) * width,), empty, dtype=values.dtype, device=device)
        return full.index_copy_(0, flat, values).view(len(members), width)

    view = BlockView(
        masked=spread(torch.ones_like(filler), False),
        token=spread(drawn.found.token[source], 0),
        confidence=spread(drawn.found.logprob[source].exp(), float("-inf")),
        score=spread(drawn.score[source], float("-inf")),
        filler=spread(filler, False),
        rows=[drawn.views[i] for i in members],
        state=[rows[i].sequence.state for i in members],
        agreed=spread(drawn.agreed[source], False),
    )
    return rows[members[0]].sequence.strategy.choose(view), flat, source


def _to_rows(
    rows: Seq[PlannedRow],
    drawn: Drawn,
    commit: Tensor,
    revoked: dict[int, np.ndarray],
    failed: dict[int, RowFailed],
) -> list[RowChoice]:
    """Bring what was decided to the host in one copy and cut it into rows."""
    found = drawn.found
    host = (
        torch.stack(
            [commit.double(), found.finite.double(), found.token.double(), found.logprob.double()]
        )
        .cpu()
        .numpy()
    )
    choices = []
    for i, row in enumerate(rows):
        start, end = drawn.offsets[i], drawn.offsets[i + 1]
        error = failed.get(i)
        if error is None and not host[1, start:end].all():
            error = RowFailed("the model returned logits that are not finite")
        if error is not None:
            choices.append(RowChoice(row.sequence, row.positions[:0], error=error))
            continue
        at = start + np.flatnonzero(host[0, start:end])
        entries = _entries(at, host, found, row.sequence.request.top_logprobs)
        choices.append(RowChoice(row.sequence, row.positions[at - start], entries, revoked.get(i)))
    return choices


def _entries(at: np.ndarray, host: np.ndarray, found: Candidates, n_top: int) -> list[TokenLogprob]:
    tops: list[tuple[tuple[int, float], ...]] = [()] * len(at)
    if n_top and found.top_tokens is not None and found.top_logprobs is not None:
        ids = found.top_tokens[at, :n_top].tolist()
        values = found.top_logprobs[at, :n_top].tolist()
        tops = [tuple(zip(i, v, strict=True)) for i, v in zip(ids, values, strict=True)]
    return [
        TokenLogprob(int(host[2, k]), float(host[3, k]), top)
        for k, top in zip(at.tolist(), tops, strict=True)
    ]
