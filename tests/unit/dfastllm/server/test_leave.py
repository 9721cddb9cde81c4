"""How the process ends: at once where a thread may still be inside torch."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.engine.service import EngineService
from dfastllm.server.lifecycle import leave
from dfastllm.tokenizer import Tokenizer

# Never started, so it asks nothing of either.
_SERVICE = EngineService(cast(DFastLLMEngine, None), cast(Tokenizer, None))


class EndedAtOnce(BaseException):
    """Instead of the end of this process."""


@pytest.fixture(autouse=True)
def _still_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def exit_at_once(status: int) -> None:
        raise EndedAtOnce(status)

    monkeypatch.setattr(os, "_exit", exit_at_once)


@contextmanager
def busy(name: str) -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("name", ["load-model", "close-engine", _SERVICE._thread.name])
def test_nothing_is_taken_down_under_a_thread_that_is_busy(name: str) -> None:
    with busy(name), pytest.raises(EndedAtOnce, match=r"^3$"):
        leave(3)


def test_otherwise_the_interpreter_ends_in_order() -> None:
    with busy("anything"), pytest.raises(SystemExit, match=r"^3$"):
        leave(3)
