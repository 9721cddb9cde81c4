"""Changes of services go out step by step, or come back, on a real control plane.

An operator dies as it has written each transition for the first time, while all stories are told
side by side: they end as they do without that, and what they say on the way holds.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from canary_stories.every import STORIES
from cluster.rig import Rig
from dfastllm_operator.canary.table import TABLE
from support.endstate import difference
from support.moves import Moves, Row
from support.reaper import OncePerTransition
from support.telling import Theatre, chosen, telling, theatre

COMPARED = ("good", "bad", "back")
STRAYING = set(STORIES) - set(COMPARED)
"""Stories that are told without kills, too; the others are so in `make test-slow`."""

NOT_REACHED = {
    "scaler unhealthy",  # there is none here
    "not done by progressDeadline",  # no operator is away for so long, and none is refused
}

DELETED = ("deleted-in", "out-of", "updating-in", "held-in", "routeless-in", "given-up", "vanished")
"""Stories that end with nothing: what they leave is looked at where they delete it."""

MOST_MISSED = 10
"""Of more than a hundred. Where an operator is when it is killed is chance: it misses one or two,
hardly ever more."""

RETOLD = 5
"""How often `make test-slow` tells those again in which a transition was missed."""

pytestmark = pytest.mark.timeout(900)  # the first one waits for all that are told beside it


@dataclass(frozen=True, slots=True)
class Told:
    theatre: Theatre
    rows: Collection[Row]
    tellers: Mapping[Row, set[str]] = field(default_factory=dict)
    """The stories in which each of them was, where nobody died."""


@pytest.fixture(scope="module")
def calm(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Told]:
    stories = chosen(request, "test_undisturbed", STORIES)
    with theatre(rig) as here:
        moves = Moves(here.stage, lambda name, row: None)
        with telling(here, stories, moves.on_write, calm=True, straying=STRAYING):
            yield Told(here, moves.seen.keys(), moves.seen)


@pytest.fixture(scope="module")
def killed(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Told]:
    with theatre(rig) as here:
        reaper = OncePerTransition(here.stage)
        stories = chosen(request, "test_killed_in_each_transition", STORIES)
        with telling(here, stories, reaper.on_write, calm=False, straying=STRAYING):
            yield Told(here, reaper.killed)


CALM = [
    name if name in COMPARED else pytest.param(name, marks=pytest.mark.slow) for name in STORIES
]


@pytest.mark.parametrize("name", CALM)
def test_undisturbed(calm: Told, name: str) -> None:
    calm.theatre.end(name)


@pytest.mark.parametrize("name", list(STORIES))
def test_killed_in_each_transition(killed: Told, name: str, request: pytest.FixtureRequest) -> None:
    end = killed.theatre.end(name)
    assert (end is None) == name.startswith(DELETED), "what is not deleted is compared"
    if end is not None and name in chosen(request, "test_undisturbed", STORIES):
        undisturbed = request.getfixturevalue("calm").theatre.end(name)
        assert not difference(undisturbed, end)


ROWS = {Row(row.source, row.target, row.words) for row in TABLE if row.words not in NOT_REACHED}


def test_hardly_one_of_them_was_missed(killed: Told, request: pytest.FixtureRequest) -> None:
    _all_are_told(killed, "test_killed_in_each_transition", request)
    left = ROWS - set(killed.rows)
    assert len(left) <= MOST_MISSED, sorted(map(str, left))


@pytest.mark.slow
def test_none_of_them_is_missed_when_it_is_told_again(
    rig: Rig, calm: Told, killed: Told, request: pytest.FixtureRequest
) -> None:
    for told, test in (
        (calm, "test_undisturbed"),
        (killed, "test_killed_in_each_transition"),
    ):
        _all_are_told(told, test, request)
    met = set(killed.rows)
    for _ in range(RETOLD):
        again = set[str]().union(*(calm.tellers.get(row, ()) for row in ROWS - met))
        if not again:
            break
        with theatre(rig) as here:
            reaper = OncePerTransition(here.stage, met)
            stories = {name: STORIES[name] for name in again}
            with telling(here, stories, reaper.on_write, calm=False, straying=STRAYING):
                for name in again:
                    here.end(name)
        met = reaper.killed
    assert not ROWS - met, sorted(map(str, ROWS - met))


def _all_are_told(told: Told, test: str, request: pytest.FixtureRequest) -> None:
    if set(chosen(request, test, STORIES)) != set(STORIES):
        pytest.skip("not all stories are told")
    for name in STORIES:
        told.theatre.end(name)
