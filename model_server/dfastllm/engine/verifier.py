"""The second model of adaptive parallel decoding: drafts in, agreement out.

One verification is one causal forward over the drafts of all rows that verify, whatever their
progress. A row feeds its tokens from the first position whose K/V are not kept to the last but one
of its draft: the output there predicts the draft's last token, and nothing right of it is asked.
So no output is stored between steps, and whether a draft was accepted whole or in part makes no
difference but in how much of the K/V is kept (`RowKV.crop`).

Where the verifier is the network that reads the drafter's context, what it leaves behind is context
of the next step: both share one pool, and no other forward reads what was accepted.
"""

import logging
from collections.abc import Sequence as Seq

import numpy as np
import torch
from torch import Tensor

from dfastllm.cache.pool import KVPool
from dfastllm.core import CacheKind, Request
from dfastllm.decoding.apd import Coupling, draft, target
from dfastllm.decoding.candidates import NEG_INF
from dfastllm.engine.drafts import (
    Draft,
    Verified,
    coupling_of,
    draft_length,
    unjudged,
    verifier_row,
    verifying_rows,
)
from dfastllm.engine.runner import (
    Forwarded,
    PlannedRow,
    Runner,
    release_memory,
    row_failure,
)
from dfastllm.engine.sequence import Sequence
from dfastllm.errors import InvalidRequest, PromptTooLong, RowFailed
from dfastllm.models.spec import ModelSpec, NetworkSpec
from dfastllm.models.transformer import Transformer

_log = logging.getLogger(__name__)


class Verifier:
    """A causal model with its K/V memory; `spec` is the drafter's.

    `pool` is its own, or the drafter's where it reads the drafter's context.
    """

    def __init__(self, model: Transformer[NetworkSpec], spec: ModelSpec, pool: KVPool):
        self._max_position = model.spec.max_position
        self._spec = spec
        self._runner = Runner(model, pool, shift=1, vocab_size=spec.vocab_size)
        self.pool = pool

    def check(self, request: Request) -> None:
        """Raise InvalidRequest or PromptTooLong when the row can never be verified."""
        decoding = request.decoding
        if decoding.cache is not CacheKind.NONE:
            raise InvalidRequest(
                f"cache '{decoding.cache}' does not go with strategy '{decoding.strategy}', whose "
                "cache is its window",
                param="diffusion.cache",
            )
        length = len(request.prompt) + request.max_tokens
        if length > self._max_position:
            raise PromptTooLong(
                f"prompt and answer need {length} tokens, the verifier's context holds "
                f"{self._max_position}"
            )

    def verify(self, part: Forwarded) -> Verified:
        """Draw the drafts of the rows that verify and judge them; the others are left alone."""
        found = Verified()
        rows, places = verifying_rows(part)
        if rows:
            self._verify(Forwarded(rows, part.logits[places]), found)
        return found

    def _verify(self, part: Forwarded, found: Verified) -> None:
        """As `choose`: what fails for many rows is tried on halves, and a row fails alone.

        Nothing is noted of a row before all that may fail is done, so trying again is safe.
        """
        rows = part.rows
        try:
            self._judge(part, found)
            return
        except Exception as error:
            if len(rows) == 1:
                found.failed[rows[0].sequence] = row_failure(error, rows[0].sequence)
                return
            _log.warning("verifying %d rows failed, trying halves: %s", len(rows), error)
            release_memory(error, part.logits.device)
        half = len(rows) // 2
        cut = sum(len(row.positions) for row in rows[:half])
        self._verify(Forwarded(rows[:half], part.logits[:cut]), found)
        self._verify(Forwarded(rows[half:], part.logits[cut:]), found)

    def _judge(self, part: Forwarded, found: Verified) -> None:
        """Draw the drafts, have the verifier read them, and compare what the target draws."""
        logits = part.logits
        logits[:, list(self._spec.forbidden_ids)] = NEG_INF
        coupling = coupling_of(part.rows, logits.device)
        tokens = draft(logits, coupling).cpu().numpy()
        planned: list[PlannedRow] = []
        drafts: dict[Sequence, Draft] = {}
        sources: dict[Sequence, np.ndarray] = {}  # where a row's judged positions are in `logits`
        start = 0
        for row in part.rows:
            own = tokens[start : start + len(row.positions)]
            length = draft_length(row.sequence, own, self._spec.eos_ids)
            drafts[row.sequence] = unjudged(row.sequence, own, length)
            if length > 1 and row.sequence.request.decoding.r < 1:
                planned.append(verifier_row(row, own[:length]))
                sources[row.sequence] = np.arange(start + 1, start + length)
            start += len(row.positions)
        done, failed = self._runner.forward(planned) if planned else ([], [])
        drawn = [self._draw(read, sources, logits, coupling) for read in done]
        found.failed.update(failed)
        found.drafts.update(drafts)
        found.forwards += len(done)
        for sequence, own_draft in drafts.items():
            sequence.verification.drafted += own_draft.length
        for read, host in zip(done, drawn, strict=True):
            _settle(read.rows, host, found)

    def _draw(
        self,
        read: Forwarded,
        sources: dict[Sequence, np.ndarray],
        logits: Tensor,
        coupling: Coupling,
    ) -> np.ndarray:
        """The target's tokens at the positions read, and whether outputs are finite; [2, K]."""
        read.logits[:, list(self._spec.forbidden_ids)] = NEG_INF
        source = torch.from_numpy(np.concatenate([sources[r.sequence] for r in read.rows]))
        source = source.to(logits.device)
        tokens = target(logits[source], read.logits, coupling.rows(source))
        finite = torch.isfinite(read.logits.amax(-1))
        return torch.stack([tokens, finite.to(tokens.dtype)]).cpu().numpy()


def _settle(rows: Seq[PlannedRow], drawn: np.ndarray, found: Verified) -> None:
    """Note what the verifier read, and where the target drew what was drafted."""
    start = 0
    for row in rows:
        n = len(row.positions)
        tokens, finite = drawn[:, start : start + n]
        start += n
        found.fed_tokens += row.feed.n_tokens
        row.sequence.verification.kv.kept = row.feed.end
        row.sequence.verification.passes += 1
        if not finite.all():
            error = RowFailed("the verifier returned logits that are not finite")
            found.failed[row.sequence] = error
        own = found.drafts[row.sequence]
        own.agreed[1 : 1 + n] = tokens == own.tokens[1 : 1 + n]
