import asyncio

import pytest

from dfastllm_operator.apply import Applied, Trouble
from dfastllm_operator.conditions import Reason
from dfastllm_operator.contest import REPAIRS, Contest
from dfastllm_operator.core import Json, Key
from dfastllm_operator.errors import ApiError, Busy, Conflict, Forbidden, NotFound
from dfastllm_operator.kinds import HPA, Kind
from dfastllm_operator.pinning import Pin, pin

KEY = Key("shop", "demo")
WANTED = Pin({"metadata": {"name": "demo-b-predictor"}, "spec": {"replicas": 1}}, 3)


class Server:
    """Takes numbers of replicas, or fails."""

    def __init__(self, failing: ApiError | None = None) -> None:
        self.written: list[tuple[str, int]] = []
        self._failing = failing

    async def scale(self, kind: Kind, seen: Json, replicas: int) -> None:
        if self._failing is not None:
            raise self._failing
        self.written.append((seen["metadata"]["name"], replicas))


def pinned(server: Server, contest: Contest | None = None, done: Applied | None = None) -> Applied:
    done = done or Applied()
    asyncio.run(pin(server, contest or Contest(lambda: 0.0), KEY, [WANTED], done))
    return done


def test_each_write_is_told_with_both_numbers() -> None:
    server = Server()
    assert pinned(server).writes == ["scale Deployment/demo-b-predictor (1 to 3)"]
    assert server.written == [("demo-b-predictor", 3)]


@pytest.mark.parametrize("error", [Conflict("moved on", status=409), NotFound("x", status=404)])
def test_one_that_moved_on_is_left_to_the_next_look(error: ApiError) -> None:
    done = pinned(Server(error))
    assert (done.writes, done.troubles, done.busy) == ([], [], None)


def test_a_refusal_is_a_trouble_in_words() -> None:
    (trouble,) = pinned(Server(Forbidden("may not patch deployments/scale", status=403))).troubles
    assert trouble.reason is Reason.APPLY_FAILED
    assert "deployments/scale" in trouble.message


def test_an_overloaded_server_is_tried_again_and_one_that_is_gone_ends_the_look() -> None:
    assert pinned(Server(Busy("slow down", status=429))).busy is not None
    with pytest.raises(Busy):
        pinned(Server(Busy("no answer")))


def test_who_undoes_it_again_and_again_is_not_fought() -> None:
    server, contest = Server(), Contest(lambda: 0.0)
    for _ in range(REPAIRS):
        pinned(server, contest)
    (trouble,) = pinned(server, contest).troubles
    assert trouble.reason is Reason.CONTESTED
    assert "spec.replicas" in trouble.message
    assert len(server.written) == REPAIRS


def test_nothing_grows_while_the_scaler_could_not_be_told_its_bounds() -> None:
    server = Server()
    refused = Trouble(HPA, "demo", Reason.APPLY_FAILED, "no")
    assert pinned(server, done=Applied(troubles=[refused])).writes == []
    assert server.written == []
