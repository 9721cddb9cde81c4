"""The engine on its own thread, behind an asyncio door.

Requests are checked and their room reserved on the caller's thread, so that a refusal is immediate;
everything else happens on the engine thread between steps: joining, leaving, stop strings. What a
step produced for all readers crosses to the event loop in one call.
"""

import asyncio
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from dfastllm.answers import Answer
from dfastllm.cache.pool import PAGE_TOKENS
from dfastllm.core import CacheKind, Chunk, DecodingParams, Delta, Request, StrategyName
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.mailbox import Mailbox
from dfastllm.errors import EngineFailed, NotReady, RowFailed
from dfastllm.tokenizer import Tokenizer

_log = logging.getLogger(__name__)
_NEARLY_DRAFTER = 0.99  # as `r` in a warm-up: drafts are verified, unlike at 1, and hold
_Post = tuple[Mailbox, Chunk | Exception]


class EngineService:
    """Implements `server.context.Generator` over one engine.

    Answers are read on the event loop that submits; there is one. `close` from anywhere.
    """

    def __init__(self, engine: DFastLLMEngine, tokenizer: Tokenizer):
        self._engine = engine
        self._tokenizer = tokenizer
        self._answers: dict[str, tuple[Answer, Mailbox]] = {}  # engine thread only
        self._inbox: deque[Callable[[], list[Delta]]] = deque()
        self._wake = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="dfastllm-engine", daemon=True)
        self._closing = False
        self._death: BaseException | None = None

    # -- life -----------------------------------------------------------------------------------

    def warm_up(self, decoding: DecodingParams) -> None:
        """Answer a short request by `decoding` on this thread, and one by `apd` if this verifies.

        Raises what the engine raises. Before `start` only. Memory, kernels and thread pools exist
        afterwards, and a model that cannot answer never becomes ready.
        """
        rules = {decoding.strategy: decoding}
        if self._engine.verifies:
            apd = replace(decoding, strategy=StrategyName.APD, cache=CacheKind.NONE)
            rules.setdefault(StrategyName.APD, apd)
        self._engine.add([self._warm_up_request(rule) for rule in rules.values()])
        while self._engine.has_work:
            for delta in self._engine.step():
                if delta.error is not None:
                    raise delta.error

    def _warm_up_request(self, rule: DecodingParams) -> Request:
        """Two blocks (or drafts) long, each taken whole: few forwards, whatever the model says.

        The second one reads what was kept of the first. The end of the turn ends nothing: a model
        that says it at once would leave all but the first forward untried.
        """
        span = rule.block_length
        if rule.strategy is StrategyName.APD:
            span = rule.lookahead or span
            rule = replace(rule, lookahead=span)
        config = self._engine.config
        pages = config.kv_cache_tokens // PAGE_TOKENS * PAGE_TOKENS
        # A model that keeps nothing needs no page, and may have none.
        most = min(config.max_model_len, pages or config.max_model_len)
        length = max(min(2 * span, most - 1), 1)
        return Request(
            f"warm-up-{rule.strategy}",
            prompt=(self._engine.spec.fill_id,),
            max_tokens=length,
            decoding=replace(
                rule,
                steps=-(-length // span) if rule.strategy is StrategyName.FIXED else None,
                threshold=0.0,
                factor=math.inf,
                r=_NEARLY_DRAFTER,
            ),
            ignore_eos=True,
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the step in progress; unfinished answers end with NotReady."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        return self._death is None

    @property
    def ready(self) -> bool:
        return self.alive and not self._closing and self._thread.is_alive()

    # -- requests -------------------------------------------------------------------------------

    def submit(self, requests: Sequence[Request]) -> list[Mailbox]:
        """Queue all or none; raises as `DFastLLMEngine.prepare`, or NotReady, EngineFailed."""
        if self._death is not None:
            raise EngineFailed("the engine has failed; this server must be restarted")
        if not self.ready:
            raise NotReady("the engine is not running")
        self._loop = asyncio.get_running_loop()
        answers = [Answer(request, self._tokenizer) for request in requests]
        sequences = self._engine.prepare(requests)
        mailboxes = [Mailbox(r.request_id, self.cancel, whole=not r.stream) for r in requests]

        def join() -> list[Delta]:
            for request, entry in zip(requests, zip(answers, mailboxes, strict=True), strict=True):
                self._answers[request.request_id] = entry
            self._engine.enqueue(sequences)
            return []

        if not self._call(join):
            raise NotReady("the server is shutting down")
        return mailboxes

    def cancel(self, request_id: str) -> None:
        """Drop a request before the next step."""
        self._call(lambda: self._engine.cancel(request_id))

    def _call(self, action: Callable[[], list[Delta]]) -> bool:
        """Have the engine thread do this before its next step; False when it takes no more."""
        with self._wake:
            if self._closing:
                return False
            self._inbox.append(action)
            self._wake.notify()
            return True

    # -- the engine thread ----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait():
                deltas: list[Delta] = []
                while self._inbox:
                    deltas += self._inbox.popleft()()
                if self._engine.has_work:
                    deltas += self._engine.step()
                self._post([post for delta in deltas for post in self._deliver(delta)])
            self._abandon(NotReady("the server is shutting down"))
        except BaseException as error:
            self._death = error
            _log.critical("the engine thread died", exc_info=error)
            self._abandon(EngineFailed("the engine has failed; this server must be restarted"))

    def _wait(self) -> bool:
        """Sleep until there is something to do; False when it is time to end."""
        with self._wake:
            while not (self._closing or self._inbox or self._engine.has_work):
                self._wake.wait()
            return not self._closing

    def _deliver(self, delta: Delta) -> list[_Post]:
        answer, mailbox = self._answers[delta.request_id]
        if delta.done:
            del self._answers[delta.request_id]
        if delta.error is not None:
            return [(mailbox, delta.error)]
        try:
            chunk, must_end = answer.feed(delta)
        except Exception as error:  # the text of one answer must not end them all
            _log.exception("the text of request %s failed", delta.request_id, exc_info=error)
            self._engine.fail(delta.request_id, error)
            self._answers.pop(delta.request_id, None)
            return [(mailbox, RowFailed("its tokens could not be turned into text"))]
        if must_end:
            del self._answers[delta.request_id]
            (ended,) = self._engine.finish(delta.request_id)
            chunk = answer.close(chunk, ended)
        if chunk.finish_reason is not None and chunk.stats is not None:
            self._engine.report(chunk.stats, chunk.finish_reason)
        if not (chunk.text or chunk.tokens or chunk.finish_reason or chunk.canvas):
            return []
        return [(mailbox, chunk)]

    def _post(self, posts: list[_Post]) -> None:
        if posts and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(_put_all, posts)
            except RuntimeError:  # the loop is closed: nobody reads any more
                self._closing = True

    def _abandon(self, error: Exception) -> None:
        with self._wake:
            self._closing = True
        while self._inbox:  # requests that were on their way in
            try:
                self._inbox.popleft()()
            except Exception as late:
                _log.debug("dropped on the way out: %s", late)
        self._post([(mailbox, error) for _, mailbox in self._answers.values()])
        self._answers.clear()


def _put_all(posts: list[_Post]) -> None:
    for mailbox, item in posts:
        mailbox.put(item)
