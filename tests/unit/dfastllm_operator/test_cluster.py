import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dfastllm_operator import names
from dfastllm_operator.cluster import PAGE, Cluster
from dfastllm_operator.core import Json
from dfastllm_operator.errors import (
    ApiError,
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    LeaseLost,
    NotFound,
)
from dfastllm_operator.faults import GONE, Silent
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    LEASE,
    POD,
    SERVICE_RESOURCE,
    Kind,
)
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.transport import Timeouts
from support.scripted_api import Hang, ScriptedApi, Status, Stream, Text, listed, made, run

CONFIG_MAPS = "/api/v1/namespaces/ns/configmaps"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/ns/inferenceservices"

Body = Callable[[ScriptedApi, Cluster], Awaitable[None]]


def against(
    folder: Path, body: Body, *, request_s: float = 5.0, metrics: Metrics | None = None
) -> None:
    async def test() -> None:
        async with ScriptedApi(folder) as api:
            cluster = Cluster(
                api.login(), timeouts=Timeouts(request_s=request_s, connect_s=2.0), metrics=metrics
            )
            try:
                await body(api, cluster)
            finally:
                await cluster.close()

    run(test())


def whole(_: Kind, obj: Json) -> Json:
    return obj


def test_an_object_is_read_with_the_token(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", f"{CONFIG_MAPS}/a", made("a"))
        found = await cluster.get(CONFIG_MAP, "ns", "a")
        assert found is not None
        assert found["metadata"]["name"] == "a"
        assert api.asked[0].headers["authorization"] == "Bearer secret"

    against(tmp_path, body)


def test_an_object_that_is_not_there_is_none(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        assert await cluster.get(CONFIG_MAP, "ns", "a") is None

    against(tmp_path, body)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Status(400), Invalid),
        (Status(401), Forbidden),
        (Status(403, 'pods is forbidden: User "x" cannot list resource'), Forbidden),
        (Status(403, 'admission webhook "v.kserve.io" denied the request: no'), Invalid),
        (Status(403, "exceeded quota: gpus"), Busy),
        (Status(403, "namespace ns is being terminated"), Busy),
        (Status(404), NotFound),
        (Status(409), Conflict),
        (Status(413), Invalid),
        (Status(422), Invalid),
        (Status(418), Invalid),
        (Status(429), Busy),
        (Status(500), Busy),
        (Status(503), Busy),
        (Status(504), Busy),
        (Text("<html>bad gateway</html>", 502), Busy),
        (Text("<html>welcome</html>", 200), Busy),
        (Text("[1]", 200), Busy),
    ],
)
def test_every_bad_answer_has_its_error(
    tmp_path: Path, answer: Status | Text, error: type[ApiError]
) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("PATCH", f"{CONFIG_MAPS}/a", answer)
        with pytest.raises(ApiError) as caught:
            await cluster.apply(CONFIG_MAP, made("a"), force=True)
        assert type(caught.value) is error
        if isinstance(answer, Status):
            assert caught.value.status == answer.code
            assert str(caught.value) == answer.message

    against(tmp_path, body)


@pytest.mark.parametrize(
    "answer",
    [
        Status(429, headers={"Retry-After": "7"}),
        Status(503, details={"retryAfterSeconds": 7}),
    ],
)
def test_the_servers_wish_to_wait_is_kept(tmp_path: Path, answer: Status) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", f"{CONFIG_MAPS}/a", answer)
        with pytest.raises(Busy) as caught:
            await cluster.get(CONFIG_MAP, "ns", "a")
        assert caught.value.retry_after_s == 7.0

    against(tmp_path, body)


def test_a_date_as_retry_after_is_no_wish(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        answer = Status(503, headers={"Retry-After": "Tue, 24 Nov 2026 12:00:00 GMT"})
        api.on("GET", f"{CONFIG_MAPS}/a", answer)
        with pytest.raises(Busy) as caught:
            await cluster.get(CONFIG_MAP, "ns", "a")
        assert caught.value.retry_after_s is None

    against(tmp_path, body)


def test_no_answer_in_time_is_busy(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", f"{CONFIG_MAPS}/a", Hang())
        with pytest.raises(Busy, match="no answer") as caught:
            await cluster.get(CONFIG_MAP, "ns", "a")
        assert caught.value.status == 0

    against(tmp_path, body, request_s=0.05)


def test_a_server_that_is_gone_is_busy(tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedApi(tmp_path) as api:
            cluster = Cluster(api.login())
        with pytest.raises(Busy, match="no answer"):
            await cluster.get(CONFIG_MAP, "ns", "a")
        await cluster.close()

    run(test())


def test_a_refused_login_is_renewed_once(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        def answer(asked: Any) -> Any:
            fresh = asked.headers["authorization"] == "Bearer fresh"
            return made("a") if fresh else Status(401, "Unauthorized")

        api.on("GET", f"{CONFIG_MAPS}/a", answer)
        with pytest.raises(Forbidden):
            await cluster.get(CONFIG_MAP, "ns", "a")
        assert len(api.asked) == 2
        api.login("fresh")
        assert await cluster.get(CONFIG_MAP, "ns", "a") is not None
        assert await cluster.get(CONFIG_MAP, "ns", "a") is not None
        assert len(api.asked) == 5

    against(tmp_path, body)


def test_a_renewed_login_cuts_off_nobody(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        event = asyncio.Event()

        api.on("GET", f"{CONFIG_MAPS}/a", Status(401))
        api.on("GET", CONFIG_MAPS, Stream((("ADDED", made("b")),), end="silent"))
        heard = []

        async def watch() -> None:
            async for kind, _ in cluster.watch(CONFIG_MAP, "ns", "1", timeout_s=60):
                heard.append(kind)
                event.set()

        watching = asyncio.create_task(watch())
        await event.wait()
        with pytest.raises(Forbidden):
            await cluster.get(CONFIG_MAP, "ns", "a")
        assert not watching.done()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    against(tmp_path, body)


def test_a_list_is_read_page_by_page_and_says_what_its_items_are(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", CONFIG_MAPS, listed(made("a"), after="more"), listed(made("b"), version="9"))
        found, version = await cluster.list(CONFIG_MAP, "ns", whole, label_selector="x=y")
        assert [o["metadata"]["name"] for o in found] == ["a", "b"]
        assert {(o["apiVersion"], o["kind"]) for o in found} == {("v1", "ConfigMap")}
        assert version == "9"
        first, second = api.asked
        assert first.query == {"labelSelector": "x=y", "limit": str(PAGE)}
        assert second.query == {"labelSelector": "x=y", "limit": str(PAGE), "continue": "more"}

    against(tmp_path, body)


def test_a_list_whose_pages_grew_too_old_is_begun_anew_and_then_read_whole(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        old = listed(made("a"), after="more")
        api.on("GET", CONFIG_MAPS, old, Status(GONE), old, Status(GONE), listed(made("b")))
        found, _ = await cluster.list(CONFIG_MAP, "ns", whole)
        assert [o["metadata"]["name"] for o in found] == ["b"]
        assert "limit" not in api.asked[-1].query

    against(tmp_path, body)


def test_the_whole_cluster_is_listed_without_a_namespace(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", "/apis/dfastllm.io/v1alpha1/dfastllmservices", listed())
        found = await cluster.list(SERVICE_RESOURCE, None, whole, metadata_only=True)
        assert found == ([], "1")
        assert "PartialObjectMetadataList" in api.asked[0].headers["accept"]

    against(tmp_path, body)


def test_apply_is_server_side_with_our_name_and_says_what_the_object_is(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("PATCH", f"{SERVICES}/a", made("a"))
        for force in (True, False):
            await cluster.apply(INFERENCE_SERVICE, made("a"), force=force)
            asked = api.asked[-1]
            assert asked.query == {
                "fieldManager": names.FIELD_MANAGER,
                "force": "true" if force else "false",
            }
            assert asked.headers["content-type"] == "application/apply-patch+yaml"
            assert asked.body["apiVersion"] == "serving.kserve.io/v1beta1"
            assert asked.body["kind"] == "InferenceService"

    against(tmp_path, body)


def test_status_is_applied_under_another_name(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        path = "/apis/dfastllm.io/v1alpha1/namespaces/ns/dfastllmservices/a/status"
        api.on("PATCH", path, made("a"))
        await cluster.patch_status(SERVICE_RESOURCE, made("a"))
        assert api.asked[0].query["fieldManager"] == names.STATUS_MANAGER

    against(tmp_path, body)


def test_a_number_of_replicas_is_written_to_the_very_object_as_it_was_seen(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        path = "/apis/apps/v1/namespaces/ns/deployments/a/scale"
        api.on("PATCH", path, {}, Status(409))
        await cluster.scale(DEPLOYMENT, made("a", 7), 3)
        (asked,) = api.asked
        assert asked.headers["content-type"] == "application/merge-patch+json"
        assert asked.query == {"fieldManager": names.FIELD_MANAGER}
        assert asked.body == {
            "metadata": {"uid": "uid-a", "resourceVersion": "7"},
            "spec": {"replicas": 3},
        }
        with pytest.raises(Conflict):
            await cluster.scale(DEPLOYMENT, made("a", 7), 3)

    against(tmp_path, body)


def test_only_the_very_object_is_deleted(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("DELETE", f"{CONFIG_MAPS}/a", {})
        assert await cluster.delete(CONFIG_MAP, "ns", "a", uid="u") is True
        assert api.asked[0].body["preconditions"] == {"uid": "u"}
        assert api.asked[0].body["propagationPolicy"] == "Background"
        assert await cluster.delete(CONFIG_MAP, "ns", "b", uid="u") is False

    against(tmp_path, body)


def test_what_a_group_serves_leaves_out_subresources(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        resources = [{"name": "pods"}, {"name": "pods/log"}]
        api.on("GET", "/api/v1", {"resources": resources})
        api.on("GET", "/apis", {"groups": [{"name": "apps"}, {"name": "keda.sh"}]})
        assert await cluster.served("v1") == {"pods"}
        assert await cluster.served("keda.sh/v1alpha1") == frozenset()
        assert await cluster.groups() == {"apps", "keda.sh"}

    against(tmp_path, body)


def test_a_permission_is_asked_for_as_it_would_be_used(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        api.on("POST", path, {"status": {"allowed": True}}, {"status": {"allowed": False}}, {})
        assert await cluster.may("patch", SERVICE_RESOURCE, "ns", "status")
        assert api.asked[0].body["spec"]["resourceAttributes"] == {
            "verb": "patch",
            "group": "dfastllm.io",
            "resource": "dfastllmservices",
            "subresource": "status",
            "namespace": "ns",
        }
        assert not await cluster.may("list", POD, None)
        assert api.asked[1].body["spec"]["resourceAttributes"] == {
            "verb": "list",
            "resource": "pods",
        }
        assert not await cluster.may("list", POD, None)

    against(tmp_path, body)


def test_without_a_permit_nothing_is_written_but_the_lease(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        def deposed() -> float:
            raise LeaseLost("another leads")

        leases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
        api.on("POST", leases, made("l"))
        api.on("PUT", f"{leases}/l", made("l"))
        api.on("GET", f"{CONFIG_MAPS}/a", made("a"))
        cluster.permit = deposed
        for write in (
            cluster.apply(CONFIG_MAP, made("a"), force=True),
            cluster.patch_status(SERVICE_RESOURCE, made("a")),
            cluster.scale(DEPLOYMENT, made("a"), 2),
            cluster.create(CONFIG_MAP, made("a")),
            cluster.replace(CONFIG_MAP, made("a")),
            cluster.delete(CONFIG_MAP, "ns", "a", uid="u"),
        ):
            with pytest.raises(LeaseLost):
                await write
        assert api.asked == []
        await cluster.create(LEASE, made("l"))
        await cluster.replace(LEASE, made("l"))
        assert await cluster.get(CONFIG_MAP, "ns", "a") is not None

    against(tmp_path, body)


def test_a_write_does_not_outlive_the_lease(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("PATCH", f"{CONFIG_MAPS}/a", Hang())
        cluster.permit = lambda: 0.05
        with pytest.raises(Busy):
            await cluster.apply(CONFIG_MAP, made("a"), force=True)

    against(tmp_path, body, request_s=3600.0)


def test_a_watch_yields_events_and_bookmarks_until_it_is_closed(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        long = made("c", annotations={"x": "y" * 3_000_000})
        events = (("ADDED", made("a")), ("BOOKMARK", made("")), ("DELETED", long))
        api.on("GET", CONFIG_MAPS, Stream(events))
        heard = [
            event
            async for event in cluster.watch(
                CONFIG_MAP, "ns", "5", label_selector="x=y", timeout_s=30
            )
        ]
        assert heard == list(events)
        assert api.asked[0].query == {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "5",
            "timeoutSeconds": "30",
            "labelSelector": "x=y",
        }

    against(tmp_path, body)


@pytest.mark.parametrize(
    ("stream", "error", "status"),
    [
        (Stream((("ERROR", {"code": GONE, "message": "too old"}),)), ApiError, GONE),
        (Stream((("ERROR", {"code": 500}),)), Busy, 500),
        (Stream((("ADDED", made("a")),), end="cut"), Busy, 0),
        (Stream(raw=b"not json\n"), Busy, 0),
        (Stream(raw=b'{"type": "ADDED"}\n'), Busy, 0),
        (Stream((("ADDED", made("a")),), end="silent"), Silent, 0),
        (Hang(), Silent, 0),
        (Status(404), NotFound, 404),
    ],
)
def test_a_watch_that_ends_badly_raises_why(
    tmp_path: Path, stream: Stream | Status | Hang, error: type[ApiError], status: int
) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", CONFIG_MAPS, stream)
        watch = cluster.watch(CONFIG_MAP, "ns", "5", timeout_s=30, silence_s=0.1)
        with pytest.raises(ApiError) as caught:
            async for _ in watch:
                pass
        assert type(caught.value) is error
        assert caught.value.status == status

    against(tmp_path, body)


def test_half_a_line_at_the_end_of_a_watch_is_no_event(tmp_path: Path) -> None:
    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("GET", CONFIG_MAPS, Stream((("ADDED", made("a")),), raw=b'{"type": "DEL'))
        heard = [event async for event, _ in cluster.watch(CONFIG_MAP, "ns", "5", timeout_s=30)]
        assert heard == ["ADDED"]

    against(tmp_path, body)


def test_requests_and_writes_are_counted(tmp_path: Path) -> None:
    metrics = Metrics()

    async def body(api: ScriptedApi, cluster: Cluster) -> None:
        api.on("PATCH", f"{CONFIG_MAPS}/a", made("a"), Status(500))
        api.on("GET", CONFIG_MAPS, listed())
        await cluster.apply(CONFIG_MAP, made("a"), force=True)
        with pytest.raises(Busy):
            await cluster.apply(CONFIG_MAP, made("a"), force=True)
        await cluster.list(CONFIG_MAP, "ns", whole)

    against(tmp_path, body, metrics=metrics)

    def count(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"dfastllm_operator_{name}_total", labels)

    assert count("writes", kind="ConfigMap", verb="PATCH") == 1
    assert count("requests", verb="PATCH", code="200") == 1
    assert count("requests", verb="PATCH", code="500") == 1
    assert count("requests", verb="LIST", code="200") == 1
