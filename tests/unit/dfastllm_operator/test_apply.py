import asyncio
import copy
import itertools
from typing import Any

import pytest

from dfastllm_operator.apply import Applied, Applier
from dfastllm_operator.conditions import Reason
from dfastllm_operator.contest import Contest
from dfastllm_operator.core import Child, Json, Key, Seen
from dfastllm_operator.errors import ApiError, Busy, Conflict, Departed, Invalid
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    HPA,
    INFERENCE_SERVICE,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_RESOURCE,
    Kind,
)
from dfastllm_operator.names import FIELD_MANAGER

KEY = Key("shop", "demo")
UID = "uid-of-the-cr"


def _fields(body: Json) -> Json:
    return {f"f:{k}": _fields(v) if isinstance(v, dict) else {} for k, v in body.items()}


class Server:
    """Just enough of server-side apply to see what is written and in which order."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str], Json] = {
            (SERVICE_RESOURCE, KEY.name): {"metadata": {"uid": UID}}
        }
        self.log: list[str] = []
        self.failing: dict[str, ApiError] = {}
        self.overriding: dict[str, Any] = {}
        self._versions = itertools.count(1)

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        return copy.deepcopy(self.objects.get((kind, name)))

    async def apply(self, kind: Kind, body: Json, *, force: bool) -> Json:
        name = body["metadata"]["name"]
        self._check(kind, name)
        made = copy.deepcopy(body)
        made["metadata"].setdefault("uid", f"uid-{name}")
        made["metadata"]["resourceVersion"] = str(next(self._versions))
        made["metadata"]["ownerReferences"] = [{"uid": UID, "name": "demo", "kind": "X"}]
        made["metadata"]["managedFields"] = [
            {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": _fields(body)}
        ]
        made.update(self.overriding.get(name, {}))
        self.objects[kind, name] = made
        self.log.append(f"apply {kind}/{name}{' force' if force else ''}")
        return copy.deepcopy(made)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> bool:
        self._check(kind, name)
        self.log.append(f"delete {kind}/{name}")
        return self.objects.pop((kind, name), None) is not None

    def put(self, kind: Kind, obj: Json) -> Key | None:
        return KEY

    def remove(self, kind: Kind, obj: Json) -> Key | None:
        return KEY

    def seen(self) -> list[Seen]:
        return [Seen(kind, copy.deepcopy(body)) for (kind, _), body in self.objects.items()]

    def _check(self, kind: Kind, name: str) -> None:
        if error := self.failing.get(name):
            raise error


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def applier(server: Server) -> Applier:
    return Applier(server, server, Contest(lambda: 0.0))


def child(kind: Kind, name: str, **fields: Any) -> Child:
    return Child(kind, {"metadata": {"name": name, "namespace": "shop"}, **fields})


def run(applier: Applier, server: Server, *wanted: Child) -> Applied:
    return asyncio.run(applier.apply(KEY, UID, wanted, server.seen()))


def test_what_is_missing_is_made_without_force_in_the_given_order(
    applier: Applier, server: Server
) -> None:
    run(applier, server, child(CONFIG_MAP, "c"), child(INFERENCE_SERVICE, "i"))
    assert server.log == ["apply ConfigMap/c", "apply InferenceService/i"]


def test_a_second_look_writes_nothing(applier: Applier, server: Server) -> None:
    wanted = child(SERVICE, "s", spec={"ports": [{"port": 80}]})
    run(applier, server, wanted)
    server.log.clear()
    assert run(applier, server, wanted).writes == []
    assert server.log == []


def test_an_edited_field_is_put_back_with_force(applier: Applier, server: Server) -> None:
    wanted = child(SERVICE, "s", spec={"type": "ClusterIP"})
    run(applier, server, wanted)
    server.objects[SERVICE, "s"]["spec"]["type"] = "NodePort"
    done = run(applier, server, wanted)
    assert done.writes == ["apply Service/s (spec.type)"]
    assert server.objects[SERVICE, "s"]["spec"]["type"] == "ClusterIP"


def test_a_field_of_somebody_else_is_left_alone(applier: Applier, server: Server) -> None:
    wanted = child(SERVICE, "s", spec={"type": "ClusterIP"})
    run(applier, server, wanted)
    server.objects[SERVICE, "s"]["spec"]["externalName"] = "theirs"
    assert run(applier, server, wanted).writes == []


def test_a_field_that_is_wanted_no_more_is_taken_away(applier: Applier, server: Server) -> None:
    run(applier, server, child(SERVICE, "s", spec={"type": "ClusterIP", "x": 1}))
    done = run(applier, server, child(SERVICE, "s", spec={"type": "ClusterIP"}))
    assert done.writes == ["apply Service/s (spec.x)"]
    assert "x" not in server.objects[SERVICE, "s"]["spec"]


def test_a_key_inside_a_list_that_is_one_value_is_taken_away(
    applier: Applier, server: Server
) -> None:
    run(applier, server, child(SERVICE, "s", spec={"from": [{"labels": {"a": "b"}}]}))
    done = run(applier, server, child(SERVICE, "s", spec={"from": [{"labels": {}}]}))
    assert len(done.writes) == 1
    assert server.objects[SERVICE, "s"]["spec"]["from"] == [{"labels": {}}]


def test_an_inference_service_gets_no_annotation_that_its_pods_would_get(
    applier: Applier, server: Server
) -> None:
    run(applier, server, child(INFERENCE_SERVICE, "i"), child(SERVICE, "s"))
    assert "annotations" not in server.objects[INFERENCE_SERVICE, "i"]["metadata"]
    assert "annotations" in server.objects[SERVICE, "s"]["metadata"]


def test_an_object_of_somebody_else_is_reported_and_never_touched(
    applier: Applier, server: Server
) -> None:
    foreign = {"metadata": {"name": "s", "uid": "x", "ownerReferences": []}, "spec": {"a": 1}}
    server.objects[SERVICE, "s"] = copy.deepcopy(foreign)
    done = asyncio.run(applier.apply(KEY, UID, [child(SERVICE, "s", spec={"a": 2})], []))
    assert [t.reason for t in done.troubles] == [Reason.NAME_TAKEN]
    assert server.objects[SERVICE, "s"] == foreign
    assert server.log == []


def _left_behind(applier: Applier, server: Server) -> Child:
    """A child that lost its owner, and what it should be."""
    run(applier, server, child(SERVICE, "s", spec={"type": "ClusterIP"}))
    server.objects[SERVICE, "s"]["metadata"]["ownerReferences"] = []
    server.log.clear()
    return child(SERVICE, "s", spec={"type": "NodePort"})


@pytest.mark.parametrize(
    "service",
    [
        None,
        {"metadata": {"uid": "another"}},
        {"metadata": {"uid": UID, "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
    ids=["gone", "made again", "on its way out"],
)
def test_nothing_is_made_for_or_given_back_to_a_service_that_leaves(
    applier: Applier, server: Server, service: Json | None
) -> None:
    wanted = _left_behind(applier, server)
    del server.objects[SERVICE_RESOURCE, KEY.name]
    if service is not None:
        server.objects[SERVICE_RESOURCE, KEY.name] = service
    for child_ in (wanted, child(CONFIG_MAP, "new")):
        with pytest.raises(Departed) as raised:
            asyncio.run(applier.apply(KEY, UID, [child_], []))
        assert raised.value.present == service
    assert server.log == []


def test_a_child_that_was_left_behind_is_taken_back(applier: Applier, server: Server) -> None:
    wanted = _left_behind(applier, server)
    done = asyncio.run(applier.apply(KEY, UID, [wanted], []))
    assert done.writes == ["apply Service/s (spec.type)"]
    assert done.troubles == []


def test_an_object_that_appears_between_look_and_write_is_reported(
    applier: Applier, server: Server
) -> None:
    server.failing["s"] = Conflict("spec.a is owned by kubectl", status=409)
    done = run(applier, server, child(SERVICE, "s", spec={"a": 2}))
    assert [t.reason for t in done.troubles] == [Reason.NAME_TAKEN]


def test_what_is_no_longer_wanted_is_deleted_last(applier: Applier, server: Server) -> None:
    run(applier, server, child(CONFIG_MAP, "old"))
    server.log.clear()
    run(applier, server, child(CONFIG_MAP, "new"))
    assert server.log == ["apply ConfigMap/new", "delete ConfigMap/old"]


def test_one_scaler_goes_before_the_other_comes(applier: Applier, server: Server) -> None:
    run(applier, server, child(HPA, "s"))
    server.log.clear()
    run(applier, server, child(SCALED_OBJECT, "s"))
    assert server.log == ["delete HorizontalPodAutoscaler/s", "apply ScaledObject/s"]


def test_an_immutable_object_with_other_content_is_replaced(
    applier: Applier, server: Server
) -> None:
    wanted = child(CONFIG_MAP, "c", data={"config.yaml": "a: 1"}, immutable=True)
    run(applier, server, wanted)
    server.objects[CONFIG_MAP, "c"]["data"] = {"config.yaml": "a: 2"}
    server.log.clear()
    run(applier, server, wanted)
    assert server.log == ["delete ConfigMap/c", "apply ConfigMap/c"]


def test_a_refusal_of_one_object_does_not_keep_the_others_back(
    applier: Applier, server: Server
) -> None:
    server.failing["bad"] = Invalid("spec.x: unknown", status=422)
    done = run(applier, server, child(CONFIG_MAP, "bad"), child(SERVICE, "good"))
    assert server.log == ["apply Service/good"]
    assert [(t.name, t.reason, t.terminal) for t in done.troubles] == [
        ("bad", Reason.APPLY_FAILED, True)
    ]


def test_no_pod_starts_with_what_somebody_else_put_in_the_place(
    applier: Applier, server: Server
) -> None:
    server.objects[CONFIG_MAP, "c"] = {"metadata": {"name": "c", "uid": "x"}}
    done = asyncio.run(
        applier.apply(KEY, UID, [child(CONFIG_MAP, "c"), child(INFERENCE_SERVICE, "i")], [])
    )
    assert server.log == []
    assert [t.name for t in done.troubles] == ["c"]


def test_a_refusal_for_now_is_told_and_to_be_tried_again(applier: Applier, server: Server) -> None:
    server.failing["c"] = Busy("exceeded quota", status=403)
    done = run(applier, server, child(CONFIG_MAP, "c"), child(SERVICE, "s"))
    assert server.log == ["apply Service/s"]
    assert done.busy is server.failing["c"]
    assert not done.troubles[0].terminal


def test_a_server_that_is_not_there_ends_the_attempt(applier: Applier, server: Server) -> None:
    server.failing["c"] = Busy("no answer")
    with pytest.raises(Busy):
        run(applier, server, child(CONFIG_MAP, "c"), child(SERVICE, "s"))
    assert server.log == []


def test_a_webhook_with_the_last_word_is_reported_and_not_fought(
    applier: Applier, server: Server
) -> None:
    server.overriding["s"] = {"spec": {"type": "NodePort"}}
    wanted = child(SERVICE, "s", spec={"type": "ClusterIP"})
    run(applier, server, wanted)
    first = run(applier, server, wanted)
    assert [t.reason for t in first.troubles] == [Reason.CONTESTED]
    server.log.clear()
    again = run(applier, server, wanted)
    assert server.log == []
    assert [t.reason for t in again.troubles] == [Reason.CONTESTED]


def test_an_object_on_its_way_out_is_not_deleted_twice(applier: Applier, server: Server) -> None:
    run(applier, server, child(SERVICE, "s"))
    server.objects[SERVICE, "s"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    server.log.clear()
    run(applier, server)
    assert server.log == []
