import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator.crwatch import CustomResourceWatch, Patience
from support.scripted_api import (
    Asked,
    ScriptedApi,
    Status,
    Stream,
    listed,
    made,
    run,
    serve_services,
    until,
)

GROUP = "/apis/dfastllm.io/v1alpha1"
PATH = f"{GROUP}/namespaces/ns/dfastllmservices"
PATIENCE = Patience(
    request_s=2.0,
    connect_s=1.0,
    stream_s=30.0,
    inactivity_s=5.0,
    outage_s=0.2,
    longest_wait_s=0.05,
    restart_s=0.01,
)
Body = Callable[[ScriptedApi, CustomResourceWatch, list[tuple[str, str]]], Awaitable[None]]


def answers(api: ScriptedApi, lists: list[Any], streams: list[Any]) -> None:
    def answer(asked: Asked) -> Any:
        queue = streams if "watch" in asked.query else lists
        return queue.pop(0) if len(queue) > 1 else queue[0]

    api.on("GET", PATH, answer)


def watching(folder: Path, body: Body, patience: Patience = PATIENCE) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            serve_services(api)
            heard: list[tuple[str, str]] = []

            def deliver(event: str, obj: Any) -> None:
                asyncio.get_running_loop()  # in the main loop, not in kopf's thread
                heard.append((event, obj["metadata"]["name"]))

            watch = CustomResourceWatch(api.login(), ("ns",), deliver, patience)
            try:
                await body(api, watch, heard)
            finally:
                await watch.close(10.0)

    run(test(), 30.0)


def test_events_arrive_as_they_come_and_nothing_is_written(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        changes = (
            ("ADDED", made("b", 12)),
            ("MODIFIED", made("a", 13)),
            ("DELETED", made("b", 14)),
        )
        answers(api, [listed(made("a", 10), version="11")], [Stream(changes, end="silent")])
        watch.start()
        await until(lambda: len(heard) == 4)
        assert sorted(heard) == [("", "a"), ("ADDED", "b"), ("DELETED", "b"), ("MODIFIED", "a")]
        assert not watch.ended.done()
        await watch.close(10.0)
        assert watch.ended.done()
        assert watch.ended.exception() is None
        assert {asked.method for asked in api.asked} == {"GET"}
        listed_or_watched = {asked.path for asked in api.asked if asked.query}
        assert listed_or_watched == {PATH}, "no look at CRDs or namespaces"

    watching(tmp_path, body)


def test_the_user_of_a_container_needs_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nobody)

    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        answers(api, [listed(made("a", 10))], [Stream(end="silent")])
        watch.start()
        await until(lambda: heard == [("", "a")])

    watching(tmp_path, body)


def test_a_refused_login_is_made_anew_with_the_token_of_the_day(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        def answer(asked: Asked) -> Any:
            if asked.headers["authorization"] != "Bearer fresh":
                return Status(401)
            return Stream(end="silent") if "watch" in asked.query else listed(made("a"))

        api.on("GET", PATH, answer)
        watch.start()
        await until(lambda: len(api.requests("GET", PATH)) >= 4)
        api.login("fresh")
        await until(lambda: heard == [("", "a")])

    watching(tmp_path, body)


def test_a_server_that_refuses_a_good_token_for_a_while_is_got_over(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        refusals = [Status(401)] * 6
        answers(api, [*refusals, listed(made("a"))], [Stream(end="silent")])
        watch.start()
        await until(lambda: heard == [("", "a")])

    watching(tmp_path, body)


@pytest.mark.parametrize(
    "ending",
    [Status(410), Stream((("ERROR", {"code": 500, "message": "x"}),))],
    ids=["410", "an error that is no 410"],
)
def test_a_stream_that_kopf_dies_of_is_begun_anew(tmp_path: Path, ending: Any) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        changes = (("MODIFIED", made("b", 13)),)
        lists = [listed(made("a", 10)), listed(made("b", 12))]
        answers(api, lists, [ending, Stream(changes, end="silent")])
        watch.start()
        await until(lambda: ("MODIFIED", "b") in heard)
        assert ("", "b") in heard
        assert not watch.ended.done()

    watching(tmp_path, body, replace(PATIENCE, outage_s=60.0))


def test_streams_that_fail_for_as_long_as_an_outage_end_the_watch(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        answers(api, [listed()], [Stream((("ERROR", {"code": 500, "message": "broken"}),))])
        watch.start()
        with pytest.raises(Exception, match="broken"):
            await watch.ended

    watching(tmp_path, body)


def test_a_watch_between_two_tries_can_be_closed(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        answers(api, [listed()], [Stream((("ERROR", {"code": 500, "message": "broken"}),))])
        watch.start()
        await until(lambda: len(api.requests("GET", PATH)) >= 2)
        await watch.close(10.0)
        assert watch.ended.done()
        assert watch.ended.exception() is None

    watching(tmp_path, body, replace(PATIENCE, outage_s=60.0, restart_s=60.0))


def test_an_outage_that_lasts_ends_the_watch_with_its_error(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        answers(api, [Status(503, "down")], [Stream()])
        watch.start()
        with pytest.raises(Exception, match="down"):
            await watch.ended

    watching(tmp_path, body)


def test_a_watch_that_was_never_started_can_be_closed(tmp_path: Path) -> None:
    async def body(
        api: ScriptedApi, watch: CustomResourceWatch, heard: list[tuple[str, str]]
    ) -> None:
        await watch.close(1.0)

    watching(tmp_path, body)
