"""How the two routes word the same answer: whole choices, and the pieces of a stream.

A dialect makes the entries of `choices`; who asks for them when is `answers`' business.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from dfastllm.core import FinishReason, TokenLogprob
from dfastllm.server.context import TextCodec
from dfastllm.server.logprobs import ChatLogprobs, CompletionLogprobs
from dfastllm.server.translate import Job

Tokens = Sequence[TokenLogprob]


class Dialect(Protocol):
    """Makes the entries of `choices` for one request."""

    kind: str
    chunk_kind: str

    def heading(self) -> dict[str, Any]:
        """Extra keys of an answer and of the first chunk of a stream."""

    def whole(
        self, index: int, text: str, tokens: Tokens, finish: FinishReason
    ) -> dict[str, Any]: ...

    def opening(self, index: int) -> dict[str, Any] | None:
        """What a choice says before its first token, if anything."""

    def piece(self, index: int, text: str, tokens: Tokens) -> dict[str, Any]: ...

    def closing(self, index: int, finish: FinishReason) -> dict[str, Any]: ...

    def silent(self, index: int) -> dict[str, Any]:
        """An entry without content, for chunks that carry something else."""


class ChatDialect:
    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"

    def __init__(self, job: Job, codec: TextCodec):
        self._job = job
        skip = job.requests[0].skip_special_tokens
        self._logprobs = ChatLogprobs(codec, skip_special_tokens=skip) if job.logprobs else None

    def heading(self) -> dict[str, Any]:
        if not self._job.return_token_ids:
            return {}
        return {"prompt_token_ids": self._job.requests[0].prompt}

    def whole(self, index: int, text: str, tokens: Tokens, finish: FinishReason) -> dict[str, Any]:
        choice = {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._confidences(tokens),
            "finish_reason": finish.value,
        }
        return self._with_ids(choice, tokens)

    def opening(self, index: int) -> dict[str, Any] | None:
        return self._chunk(index, {"role": "assistant", "content": ""})

    def piece(self, index: int, text: str, tokens: Tokens) -> dict[str, Any]:
        choice = self._chunk(index, {"content": text})
        if self._logprobs and tokens:
            choice["logprobs"] = self._confidences(tokens)
        return self._with_ids(choice, tokens)

    def closing(self, index: int, finish: FinishReason) -> dict[str, Any]:
        return self._chunk(index, {}) | {"finish_reason": finish.value}

    def silent(self, index: int) -> dict[str, Any]:
        return self._chunk(index, {})

    def _chunk(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}

    def _confidences(self, tokens: Tokens) -> dict[str, Any] | None:
        return None if self._logprobs is None else self._logprobs.render(tokens)

    def _with_ids(self, choice: dict[str, Any], tokens: Tokens) -> dict[str, Any]:
        if self._job.return_token_ids:
            choice["token_ids"] = [token.token for token in tokens]
        return choice


class CompletionDialect:
    kind = "text_completion"
    chunk_kind = "text_completion"

    def __init__(self, job: Job, codec: TextCodec):
        self._job = job
        skip = job.requests[0].skip_special_tokens
        self._logprobs = (
            [CompletionLogprobs(codec, skip_special_tokens=skip) for _ in job.requests]
            if job.logprobs
            else None
        )

    def heading(self) -> dict[str, Any]:
        return {}

    def whole(self, index: int, text: str, tokens: Tokens, finish: FinishReason) -> dict[str, Any]:
        choice = self._entry(index, self._job.echoes[index] + text)
        choice["logprobs"] = self._confidences(index, tokens)
        choice["finish_reason"] = finish.value
        if self._job.return_token_ids:
            choice["prompt_token_ids"] = self._job.requests[index].prompt
            choice["token_ids"] = [token.token for token in tokens]
        return choice

    def opening(self, index: int) -> dict[str, Any] | None:
        if self._job.return_token_ids:
            choice = self._entry(index, self._job.echoes[index])
            choice["prompt_token_ids"] = self._job.requests[index].prompt
            choice["token_ids"] = []
            return choice
        echo = self._job.echoes[index]
        return self._entry(index, echo) if echo else None

    def piece(self, index: int, text: str, tokens: Tokens) -> dict[str, Any]:
        choice = self._entry(index, text)
        if tokens:
            choice["logprobs"] = self._confidences(index, tokens)
        if self._job.return_token_ids:
            choice["token_ids"] = [token.token for token in tokens]
        return choice

    def closing(self, index: int, finish: FinishReason) -> dict[str, Any]:
        return self._entry(index, "") | {"finish_reason": finish.value}

    def silent(self, index: int) -> dict[str, Any]:
        return self._entry(index, "")

    def _entry(self, index: int, text: str) -> dict[str, Any]:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": None}

    def _confidences(self, index: int, tokens: Tokens) -> dict[str, Any] | None:
        return None if self._logprobs is None else self._logprobs[index].render(tokens)
