"""Which requests become rows: checked, given their rule, their room in the queue reserved.

All of it happens on the thread of whoever asks, so that a refusal is immediate.
"""

from collections.abc import Iterable, Mapping

from dfastllm.core import Request
from dfastllm.decoding.strategy import Strategy
from dfastllm.engine.budget import QueueBudget
from dfastllm.engine.scheduler import Scheduler
from dfastllm.engine.sequence import Sequence
from dfastllm.engine.verifier import Verifier
from dfastllm.errors import InvalidRequest
from dfastllm.models.spec import ModelSpec


class Admission:
    """Turns requests into rows, all of a call or none."""

    def __init__(
        self,
        spec: ModelSpec,
        rules: Mapping[str, Strategy],
        verifier: Verifier | None,
        scheduler: Scheduler,
        budget: QueueBudget,
    ):
        self._spec = spec
        self._rules = rules
        self._verifier = verifier
        self._scheduler = scheduler
        self._budget = budget

    def prepare(self, requests: Iterable[Request], now_s: float) -> list[Sequence]:
        """Rows that arrive at `now_s`, their room reserved. Safe in any thread.

        Raises PromptTooLong, InvalidRequest or Overloaded; then nothing is reserved.
        """
        sequences = [Sequence(r, self._spec, self._rule(r), now_s) for r in requests]
        for sequence in sequences:
            self._scheduler.check(sequence)
        self._budget.reserve([s.request for s in sequences], sum(s.max_length for s in sequences))
        return sequences

    def _rule(self, request: Request) -> Strategy:
        """The request's decoding rule, when the model and the verifier can follow it."""
        if not request.prompt or request.max_tokens < 1:
            raise InvalidRequest("a request needs a prompt and room for an answer")
        if request.suffix and self._spec.causal_context:
            raise InvalidRequest(
                "suffix: this model reads its context causally and sees nothing right of what it "
                "fills in; ask without a suffix",
                param="suffix",
            )
        rule = self._rules.get(request.decoding.strategy)
        if rule is None:
            raise InvalidRequest(
                f"unknown strategy '{request.decoding.strategy}'; "
                f"there are {', '.join(self._rules)}",
                param="diffusion.strategy",
            )
        if rule.verifies:
            if self._verifier is None:
                raise InvalidRequest(
                    f"strategy '{request.decoding.strategy}' needs a verifier, and there is none",
                    param="diffusion.strategy",
                )
            self._verifier.check(request)
        return rule
