"""The clients that the stories count with, against a server on loopback: no cluster is needed."""

import random
import signal
from collections.abc import Callable

import pytest

from e2e.clients import Endpoint, Question, ask, asking, draw, draw_alike
from e2e.tally import Asked, Outcome, Tally
from support.process import running, until

SERVE = "dfastllm serve builtin:tiny"
TOLD = ("--log-format", "json")
HERE = "http://tiny.example.com"


def at(url: str) -> Endpoint:
    """A name that leads nowhere, by way of the address that serves."""
    return Endpoint(HERE, via=url.removeprefix("http://"))


def test_readers_get_right_answers_in_full_until_they_are_stopped() -> None:
    with running(*TOLD, command=SERVE) as server:
        with asking(at(server.url), "tiny", seed=3) as readers:
            readers.wait_for(12)
        tally = readers.tally
        assert tally.requests == tally.finished >= 12
        assert not tally.lost
        assert not tally.errors
        assert tally.wrong <= tally.requests // 4
        assert max(one.chunks for one in tally.asked) > 20  # streams that last


def test_a_server_that_is_killed_leaves_broken_streams_then_failures() -> None:
    with running(*TOLD, command=SERVE) as server:
        with asking(at(server.url), "tiny") as readers:
            readers.wait_for(4)
            server.signal(signal.SIGKILL)
            server.wait()
            seen = readers.tally.requests
            until(lambda: readers.tally.requests >= seen + 8)
        tally = readers.tally
    assert tally.failed >= 1
    assert tally.lost == tally.requests - tally.finished
    assert any("APIConnectionError" in error for error in tally.errors)


def test_an_error_of_the_server_is_told_with_its_status() -> None:
    with running(*TOLD, command=SERVE) as server, at(server.url).openai() as client:
        asked = ask(client, "another", Question([{"role": "user", "content": "Hello"}], "", {}))
    assert asked.outcome is Outcome.FAILED
    assert "404" in asked.detail


def test_an_answer_tells_by_which_rule_it_was_decoded() -> None:
    with running(*TOLD, "--strategy", "factor", command=SERVE) as server:
        with asking(at(server.url), "tiny", seed=3, count=1, draw=draw_alike) as readers:
            readers.wait_for(4)
        assert len(readers.tally.by_rule("factor")) == readers.tally.finished
        assert not readers.tally.by_rule("threshold")


@pytest.mark.parametrize("draw", [draw, draw_alike])
def test_questions_are_drawn_by_the_seed(draw: Callable[[random.Random], Question]) -> None:
    first, again, other = ([draw(rng) for _ in range(8)] for rng in map(random.Random, (1, 1, 2)))
    assert first == again != other
    assert {bool(question.right) for question in first} == {True, False}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BROKEN, Outcome.UNFINISHED])
def test_whatever_did_not_finish_is_lost(outcome: Outcome) -> None:
    tally = Tally()
    tally.add(Asked(0, 1, Outcome.FINISHED, wrong=True))
    tally.add(Asked(0, 2, outcome, "why"))
    assert (tally.requests, tally.finished, tally.lost, tally.wrong) == (2, 1, 1, 1)
    assert "why" in str(tally)
