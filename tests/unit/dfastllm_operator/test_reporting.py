"""The Events of a rollout's moves: one for each, whatever becomes of attempts to create them."""

import asyncio
import json
from collections.abc import Callable

import pytest

from dfastllm_operator.canary.record import MOST_MOVES
from dfastllm_operator.core import Json
from dfastllm_operator.errors import ApiError, Busy, Forbidden, Invalid
from dfastllm_operator.kinds import EVENT, SERVICE_RESOURCE, Kind
from support.little_cluster import KEY, LittleCluster
from support.steady import CANARY, Steady

RECHECK_S = 15.0
WAITS: Json = {**CANARY, "steps": [{"weight": 10, "pause": "forever"}, {"weight": 100}]}
LONG: Json = {**CANARY, "steps": [{"weight": weight} for weight in (1, 5, 10, 25, 50, 75, 100)]}
FAILURES: list[ApiError] = [
    Forbidden("exceeded quota", status=403),
    Invalid("denied by a policy", status=422),
    Busy("too many requests", status=429),
    Busy("internal error", status=500),
    Busy("no answer from the API server"),
]


class Gagged(LittleCluster):
    """What Events are asked of it is remembered by name; `gag` may refuse them."""

    def __init__(self, spec: Json) -> None:
        self.asked: list[str] = []
        self.gag: Callable[[Json], None] | None = None
        self.loses_answers = False
        self.written: dict[str, Json] = {}
        super().__init__(spec, Steady())

    async def create(self, kind: Kind, body: Json) -> Json:
        if kind != EVENT:
            return await super().create(kind, body)
        self.asked.append(body["metadata"]["name"])
        if self.gag is not None:
            self.gag(body)
        made = await super().create(kind, body)
        if self.loses_answers:
            raise Busy("no answer from the API server")
        return made

    async def patch_status(self, kind: Kind, body: Json) -> Json:
        made = await super().patch_status(kind, body)
        moves = (made["status"].get("rollout") or {}).get("moves", [])
        assert len(moves) <= MOST_MOVES
        self.written |= {json.dumps(move, sort_keys=True): move for move in moves}
        return made

    @property
    def moves(self) -> list[str]:
        """What is to be told of all that were ever written, oldest first."""
        return [move["message"] for move in self.written.values()]

    @property
    def told(self) -> list[str]:
        """What was, in the order in which it was."""
        events = [body for (kind, _), body in self.objects.items() if kind == EVENT]
        return [body["message"] for body in events if body["message"] in self.moves]

    def reach(self, phase: str) -> None:
        list(self.until(phase))

    def come_back(self, gone: Json) -> None:
        self._put(SERVICE_RESOURCE, gone)

    def look(self) -> float | None:
        return asyncio.run(self.reconciler.reconcile(KEY))


def refusing(error: ApiError, reason: str = "") -> Callable[[Json], None]:
    """All Events, or those with that reason."""

    def gag(event: Json) -> None:
        if reason in ("", event["reason"]):
            raise error

    return gag


def changed(rollout: Json = CANARY) -> Gagged:
    """A service that serves its first revision and is asked for another."""
    cluster = Gagged({"rollout": rollout})
    for _ in range(6):
        cluster.tick()
    assert cluster.service["status"]["phase"] == "Ready"
    assert not cluster.moves
    cluster.edit(decoding={"threshold": 0.8})
    return cluster


@pytest.mark.parametrize("error", FAILURES, ids=str)
def test_what_is_refused_at_first_is_told_after_the_next_moves(error: ApiError) -> None:
    cluster = changed()
    cluster.gag = refusing(error)
    cluster.reach("Analyzing")
    assert len(cluster.moves) == 4
    assert cluster.told == []
    cluster.gag = None
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.told == cluster.moves, "each once, oldest first"


def test_all_of_a_rollout_by_the_default_steps_can_be_told_when_it_is_over() -> None:
    cluster = changed()
    cluster.gag = refusing(Forbidden("exceeded quota", status=403))
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.told == []
    cluster.gag = None
    cluster.tick()
    assert len(cluster.moves) == 13
    assert cluster.told == cluster.moves


def test_of_more_moves_than_a_status_keeps_the_latest_are_told() -> None:
    cluster = changed(LONG)
    cluster.gag = refusing(Busy("internal error", status=500))
    cluster.reach("Stable")
    cluster.gag = None
    cluster.tick()
    assert len(cluster.moves) > MOST_MOVES
    assert cluster.told == cluster.moves[-MOST_MOVES:]


def test_what_was_carried_out_without_an_answer_is_told_once() -> None:
    cluster = changed()
    cluster.loses_answers = True
    cluster.reach("Analyzing")
    cluster.loses_answers = False
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.told == cluster.moves


def test_while_nothing_is_told_one_attempt_is_made_at_a_look() -> None:
    cluster = changed(WAITS)
    cluster.gag = refusing(Busy("no answer from the API server"))
    cluster.reach("Paused")
    cluster.asked.clear()
    cluster.look()
    assert len(cluster.asked) == 1


def test_one_that_is_refused_for_what_it_says_keeps_no_other_back() -> None:
    cluster = changed(WAITS)
    cluster.gag = refusing(Invalid("denied by a policy", status=422), "WeightWanted")
    cluster.reach("Paused")
    cluster.tick()
    refused = [m["message"] for m in cluster.written.values() if m["reason"] == "WeightWanted"]
    assert [m for m in cluster.moves if m not in cluster.told] == refused
    cluster.gag = None
    cluster.tick()
    assert sorted(cluster.told) == sorted(cluster.moves)


def test_what_is_told_is_not_asked_for_again() -> None:
    cluster = changed()
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.told == cluster.moves
    assert len(cluster.asked) == len(set(cluster.asked))
    cluster.asked.clear()
    for _ in range(5):
        cluster.tick()
    cluster.tick(3600)
    cluster.tick()
    assert cluster.asked == []


def test_at_rest_what_is_not_told_yet_is_a_reason_to_look_again_soon_for_a_while() -> None:
    cluster = changed()
    cluster.gag = refusing(Forbidden("exceeded quota", status=403))
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.look() == RECHECK_S
    cluster.tick(3600)
    assert cluster.look() is None
    assert cluster.told == []
    cluster.gag = None
    cluster.tick()
    assert cluster.told == cluster.moves, "nobody else can have told it"
    assert cluster.look() is None


def test_an_operator_that_starts_anew_tells_what_is_left_and_nothing_twice() -> None:
    cluster = changed()
    cluster.gag = refusing(Busy("internal error", status=500), "RolloutAnalyzing")
    cluster.reach("Analyzing")
    cluster.tick(0)
    assert len(cluster.told) == len(cluster.moves) - 1
    cluster.start()
    cluster.gag = None
    cluster.asked.clear()
    cluster.tick(0)
    assert cluster.told == cluster.moves
    assert len(cluster.asked) == len(set(cluster.asked)) == len(cluster.moves)
    cluster.asked.clear()
    cluster.tick(0)
    assert cluster.asked == []


def test_an_operator_that_starts_anew_leaves_alone_what_may_have_been_told_and_forgotten() -> None:
    cluster = changed()
    cluster.gag = refusing(Forbidden("exceeded quota", status=403))
    cluster.reach("Stable")
    cluster.tick()
    cluster.gag = None
    cluster.asked.clear()
    cluster.start()
    cluster.tick(3600)
    assert cluster.asked == []


def test_a_service_that_goes_takes_along_what_is_known_of_it() -> None:
    cluster = changed()
    cluster.reach("Stable")
    cluster.tick()
    cluster.asked.clear()
    gone = cluster.take(SERVICE_RESOURCE, KEY.name)
    cluster.look()
    assert cluster.asked == []
    cluster.come_back(gone)
    cluster.tick()
    assert len(cluster.asked) == len(cluster.moves)
    assert cluster.told == cluster.moves


def as_written_before(service: Json) -> None:
    """By operators that kept the news of the latest move alone."""
    rollout = service["status"]["rollout"]
    rollout["news"] = rollout.pop("moves")[-1]


@pytest.mark.parametrize("was_told", [True, False])
def test_news_in_the_form_before_is_told_once_and_goes_with_the_next_move(was_told: bool) -> None:
    cluster = changed(WAITS)
    cluster.reach("Paused")
    cluster.tick(0)
    last = cluster.moves[-1]
    cluster.meddle(SERVICE_RESOURCE, KEY.name, as_written_before)
    if not was_told:
        (event,) = [
            n for (k, n), b in cluster.objects.items() if k == EVENT and b["message"] == last
        ]
        cluster.take(EVENT, event)
    cluster.start()
    cluster.asked.clear()
    cluster.tick(0)
    assert len(cluster.asked) == 1
    assert cluster.told == cluster.moves
    cluster.annotate(promote=f"{cluster.rollout['candidate']['revision']}/1")
    cluster.reach("Promoting")
    assert "news" not in cluster.rollout
    assert cluster.rollout["moves"][0]["message"] == last
    cluster.reach("Stable")
    cluster.tick()
    assert cluster.told == cluster.moves
