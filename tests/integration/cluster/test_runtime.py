"""The operator's way to the API server, against a real one: errors, watches, logins, kopf."""

import asyncio
import gc
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.rig import Rig
from dfastllm_operator.access import Access
from dfastllm_operator.cluster import Cluster
from dfastllm_operator.core import Json, Key
from dfastllm_operator.crwatch import CustomResourceWatch, Patience
from dfastllm_operator.discovery import Discovery
from dfastllm_operator.errors import ApiError, Conflict, Forbidden, Invalid, LeaseLost
from dfastllm_operator.faults import Silent
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    INFERENCE_SERVICE,
    LEASE,
    SECRET,
    SERVICE_RESOURCE,
    WATCHED,
    Kind,
)
from dfastllm_operator.leader import Leader, Terms
from dfastllm_operator.names import FIELD_MANAGER, SELECTOR, labels
from dfastllm_operator.store import Store
from dfastllm_operator.watch import Pace, Watch
from support.installed import install_crd
from support.kubeapi import KubeApi
from support.scripted_api import run, until

DEADLINE_S = 120.0

# A TLS connection that was broken off waits for the goodbye of the other end; the loop ends first.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

Body = Callable[[Cluster], Awaitable[None]]


@pytest.fixture(autouse=True)
def _leftovers_are_found_in_their_own_test() -> Iterator[None]:
    yield
    gc.collect()


def as_is(_: Kind, obj: Json) -> Json:
    return obj


def against(access: Access, body: Body) -> None:
    async def test() -> None:
        cluster = Cluster(access)
        try:
            await body(cluster)
        finally:
            await cluster.close()

    run(test(), DEADLINE_S)


def admin(rig: Rig) -> Access:
    return Access(str(rig.kubeconfig))


def config_map(namespace: str, name: str = "c", **data: str) -> Json:
    metadata = {"name": name, "namespace": namespace, "labels": labels("a")}
    return {"metadata": metadata, "data": data}


def account(rig: Rig, namespace: str, *verbs: str) -> Access:
    """An account that may do these things with config maps, and nothing else."""
    name = f"account-{secrets.token_hex(3)}"
    rig.kubectl("create", "serviceaccount", name, "-n", namespace)
    listed = ",".join(verbs)
    rig.kubectl(
        "create", "role", name, f"--verb={listed}", "--resource=configmaps", "-n", namespace
    )
    subject = f"--serviceaccount={namespace}:{name}"
    rig.kubectl("create", "rolebinding", name, f"--role={name}", subject, "-n", namespace)
    return Access(str(rig.service_account_kubeconfig(namespace, name)))


def test_apply_owns_what_it_wrote_and_yields_only_to_force(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        made = await cluster.apply(CONFIG_MAP, config_map(namespace, x="1"), force=True)
        again = await cluster.apply(CONFIG_MAP, config_map(namespace, x="1"), force=True)
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        patch = '{"data": {"x": "2", "y": "theirs"}}'
        rig.kubectl("patch", "cm/c", "-n", namespace, "--type=merge", "-p", patch)
        with pytest.raises(Conflict, match="kubectl-patch"):
            await cluster.apply(CONFIG_MAP, config_map(namespace, x="1"), force=False)
        forced = await cluster.apply(CONFIG_MAP, config_map(namespace, x="1"), force=True)
        assert forced["data"] == {"x": "1", "y": "theirs"}
        managers = [entry["manager"] for entry in forced["metadata"]["managedFields"]]
        assert FIELD_MANAGER in managers

    against(admin(rig), body)


def test_what_the_api_server_refuses_is_invalid(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        with pytest.raises(Invalid, match="lowercase"):
            await cluster.apply(CONFIG_MAP, config_map(namespace, "Upper_Case"), force=True)
        predictor = {
            "containers": [{"name": "kserve-container", "image": "x"}],
            "minReplicas": 5,
            "maxReplicas": 2,
        }
        refused = {
            "metadata": {"name": "refused", "namespace": namespace},
            "spec": {"predictor": predictor},
        }
        with pytest.raises(Invalid, match="denied the request"):
            await cluster.apply(INFERENCE_SERVICE, refused, force=True)

    against(admin(rig), body)


def test_only_the_very_object_is_replaced_or_deleted(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        made = await cluster.create(CONFIG_MAP, config_map(namespace, x="1"))
        with pytest.raises(Conflict):
            await cluster.create(CONFIG_MAP, config_map(namespace, x="1"))
        newer = await cluster.replace(CONFIG_MAP, {**made, "data": {"x": "2"}})
        with pytest.raises(Conflict):
            await cluster.replace(CONFIG_MAP, {**made, "data": {"x": "3"}})
        with pytest.raises(Conflict):
            await cluster.delete(CONFIG_MAP, namespace, "c", uid="another")
        uid = newer["metadata"]["uid"]
        assert await cluster.delete(CONFIG_MAP, namespace, "c", uid=uid) is True
        assert await cluster.delete(CONFIG_MAP, namespace, "c", uid=uid) is False
        assert await cluster.get(CONFIG_MAP, namespace, "c") is None

    against(admin(rig), body)


def test_a_namespace_on_its_way_out_is_no_missing_permission(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        held = config_map(namespace, "held")
        held["metadata"]["finalizers"] = ["example.com/held"]
        await cluster.create(CONFIG_MAP, held)
        rig.kubectl("delete", "namespace", namespace, "--wait=false")
        try:
            with pytest.raises(ApiError) as caught:
                await cluster.create(CONFIG_MAP, config_map(namespace, "late"))
            assert not isinstance(caught.value, Forbidden)
        finally:
            release = '{"metadata": {"finalizers": null}}'
            rig.kubectl("patch", "cm/held", "-n", namespace, "--type=merge", "-p", release)

    against(admin(rig), body)


def test_permissions_are_told_and_missing_ones_are_forbidden(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        assert await cluster.may("list", CONFIG_MAP, namespace)
        assert not await cluster.may("delete", CONFIG_MAP, namespace)
        assert not await cluster.may("list", CONFIG_MAP, None)
        assert not await cluster.may("list", SECRET, namespace)
        await cluster.list(CONFIG_MAP, namespace, as_is)
        with pytest.raises(Forbidden, match="cannot list resource"):
            await cluster.list(SECRET, namespace, as_is)
        discovery = Discovery(cluster)
        await discovery.look()
        assert discovery.served(WATCHED) == list(WATCHED), "discovery needs no permission"

    against(account(rig, namespace, "get", "list"), body)


def test_a_list_of_many_pages_is_whole(
    rig: Rig, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfastllm_operator.cluster.PAGE", 3)

    async def body(cluster: Cluster) -> None:
        for number in range(10):
            await cluster.create(CONFIG_MAP, config_map(namespace, f"c{number}"))
        found, version = await cluster.list(CONFIG_MAP, namespace, as_is, label_selector=SELECTOR)
        assert len(found) == 10
        assert int(version) >= max(int(o["metadata"]["resourceVersion"]) for o in found)
        slim, _ = await cluster.list(
            CONFIG_MAP, namespace, as_is, label_selector=SELECTOR, metadata_only=True
        )
        assert {o["metadata"]["name"] for o in slim} == {o["metadata"]["name"] for o in found}
        assert all("data" not in o for o in slim)

    against(admin(rig), body)


def test_an_idle_watch_ends_in_time_to_show_that_it_lives(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        _, version = await cluster.list(CONFIG_MAP, namespace, as_is, label_selector=SELECTOR)
        watch = cluster.watch(
            CONFIG_MAP,
            namespace,
            version,
            label_selector=SELECTOR,
            timeout_s=2.0,
            silence_s=10.0,
        )
        events = [event async for event, _ in watch]
        assert set(events) <= {"BOOKMARK"}
        silent = cluster.watch(CONFIG_MAP, namespace, version, timeout_s=60, silence_s=0.5)
        with pytest.raises(Silent):
            async for _ in silent:
                pass

    against(admin(rig), body)


def test_a_watch_follows_what_happens(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        store, woken = Store(), list[Key]()
        key = Key(namespace, "a")
        pace = Pace(resync_s=60.0, stream_s=1.0, inactivity_s=5.0)
        watch = Watch(CONFIG_MAP, namespace, cluster, store, woken.append, pace=pace)
        await cluster.apply(CONFIG_MAP, config_map(namespace, x="1"), force=True)
        task = asyncio.create_task(watch.run())
        await watch.synced.wait()
        assert woken == [key]

        def data() -> Any:
            return [seen.body["data"] for seen in store.children(key)]

        for value in ("2", "3", "4"):
            await cluster.apply(CONFIG_MAP, config_map(namespace, x=value), force=True)
            await until(lambda value=value: data() == [{"x": value}])  # type: ignore[misc]
            await asyncio.sleep(0.6)  # over the end of a stream
        rig.kubectl("label", "cm/c", "-n", namespace, "app.kubernetes.io/managed-by-")
        await until(lambda: data() == [])
        assert not watch.trouble
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    against(admin(rig), body)


def test_two_candidates_take_turns(rig: Rig, namespace: str) -> None:
    async def body(cluster: Cluster) -> None:
        terms = Terms(duration_s=4.0, renew_deadline_s=3.0, retry_s=0.1)
        one, two = (Leader(cluster, namespace, "l", name, terms) for name in ("one", "two"))
        await one.acquire()
        keeping = asyncio.create_task(one.keep())
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(1.0)
        assert not waiting.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await one.release()
        await waiting
        with pytest.raises(LeaseLost):
            one.permit()
        lease = await cluster.get(LEASE, namespace, "l")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "two"
        assert lease["spec"]["leaseTransitions"] == 1

    against(admin(rig), body)


def in_a_pod(
    rig: Rig, namespace: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *verbs: str
) -> tuple[Access, str]:
    """What a pod has, and the account's token, which is not in the folder yet."""
    kubeconfig = account(rig, namespace, *verbs).kubeconfig
    assert kubeconfig is not None
    token = yaml.safe_load(Path(kubeconfig).read_text())["users"][0]["user"]["token"]
    host, port = rig.url.removeprefix("https://").split(":")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    (folder / "ca.crt").write_bytes(rig.ca.read_bytes())
    (folder / "token").write_text("no-longer-valid")
    return Access(account=folder), token


def test_a_rotated_token_is_picked_up_at_once(
    rig: Rig, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, token = in_a_pod(rig, namespace, tmp_path, monkeypatch, "list")

    async def body(cluster: Cluster) -> None:
        with pytest.raises(Forbidden):
            await cluster.list(CONFIG_MAP, namespace, as_is)
        (tmp_path / "token").write_text(token)
        await cluster.list(CONFIG_MAP, namespace, as_is)

    against(access, body)


class Heard:
    """Events of kopf's, by name of the service."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def deliver(self, event: str, obj: Json) -> None:
        self.events.append((event, obj["metadata"]["name"]))


def kopf_hears(
    access: Access, namespaces: tuple[str, ...], body: Callable[[Heard], Awaitable[None]]
) -> None:
    async def test() -> None:
        heard = Heard()
        watch = CustomResourceWatch(access, namespaces, heard.deliver, Patience(outage_s=20.0))
        watch.start()
        try:
            await body(heard)
            assert not watch.ended.done()
        finally:
            await watch.close(10.0)

    run(test(), DEADLINE_S)


def test_kopf_tells_of_services_and_leaves_them_as_they_are(rig: Rig, namespace: str) -> None:
    api = KubeApi(rig)
    install_crd(api)
    service = {
        "metadata": {"name": "a"},
        "spec": {"model": {"uri": "builtin://tiny"}},
    }
    made = api.apply(SERVICE_RESOURCE, namespace, service)

    async def body(heard: Heard) -> None:
        await until(lambda: ("", "a") in heard.events)
        await asyncio.sleep(0.5)
        found = api.get(SERVICE_RESOURCE, namespace, "a")
        assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        rig.kubectl("annotate", "dfs/a", "-n", namespace, "note=1")
        await until(lambda: ("MODIFIED", "a") in heard.events)
        rig.kubectl("delete", "dfs/a", "-n", namespace)
        await until(lambda: ("DELETED", "a") in heard.events)

    try:
        kopf_hears(admin(rig), (namespace,), body)
        kopf_hears(admin(rig), (), _anything)
    finally:
        api.close()


async def _anything(_: Heard) -> None:
    await asyncio.sleep(1.0)


def test_kopf_logs_in_as_a_pod_and_survives_a_rotated_token(
    rig: Rig, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = KubeApi(rig)
    install_crd(api)
    access, token = in_a_pod(rig, namespace, tmp_path, monkeypatch, "list")
    grant = yaml.safe_dump(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": f"watch-{namespace}"},
            "rules": [
                {
                    "apiGroups": [SERVICE_RESOURCE.group],
                    "resources": [SERVICE_RESOURCE.plural],
                    "verbs": ["list", "watch"],
                }
            ],
        }
    )
    rig.kubectl.apply(grant)
    group = f"--group=system:serviceaccounts:{namespace}"
    role = f"--clusterrole=watch-{namespace}"
    rig.kubectl("create", "rolebinding", "watch", role, group, "-n", namespace)

    async def body(heard: Heard) -> None:
        await asyncio.sleep(1.0)  # refused a few times
        (tmp_path / "token").write_text(token)
        api.apply(
            SERVICE_RESOURCE,
            namespace,
            {"metadata": {"name": "a"}, "spec": {"model": {"uri": "builtin://tiny"}}},
        )
        await until(lambda: "a" in [name for _, name in heard.events])

    try:
        kopf_hears(access, (namespace,), body)
    finally:
        rig.kubectl("delete", "clusterrole", f"watch-{namespace}")
        api.close()
