"""A cluster in memory for the whole reconcile: objects with versions, KServe, a gateway, a clock.

What was written is there at once; pods get ready, and the gateway reports, a second later.
"""

import asyncio
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.analysis import Source
from dfastllm_operator.census import Census
from dfastllm_operator.core import Json, Key, Platform
from dfastllm_operator.errors import Conflict, Forbidden, NotFound
from dfastllm_operator.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    HPA,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
    SERVICE_RESOURCE,
    Kind,
)
from dfastllm_operator.measuring import Measuring
from dfastllm_operator.metrics import Metrics
from dfastllm_operator.reconcile import Reconciler
from dfastllm_operator.store import Store
from support.services import condition
from support.situations import GATEWAY, platform, raw

KEY = Key("shop", "demo")
START = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 40
Id = tuple[Kind, str]


class NoHub:
    async def config(self, repository: str, revision: str | None) -> None:
        return None


class LittleCluster:
    """`cluster.Cluster` as far as a reconcile uses it, with what reacts to its writes."""

    def __init__(self, spec: Json, source: Source) -> None:
        self.now = START
        self.objects: dict[Id, Json] = {}
        self.writes: list[str] = []
        self.broken = ""
        self.image = "server:1"
        self.wish = 0
        self.forbidden: Kind | None = None
        self.spoil: Callable[[Json], None] | None = None
        self._version = 100
        self._source = source
        self.store = Store("example.com", GATEWAY)
        self.start()
        self._put(SERVICE_RESOURCE, raw(spec))

    # What a test does.

    def start(self) -> None:
        """An operator that remembers nothing."""
        apis = frozenset({"metrics.k8s.io"})
        found: Platform = platform(server_image=self.image, gateway=GATEWAY, metrics_apis=apis)
        self.metrics = Metrics()
        self.reconciler = Reconciler(
            self,  # type: ignore[arg-type]
            self.store,
            NoHub(),
            lambda: found,
            Census(self.metrics),
            reporter="test",
            clock=lambda: self.now,
            measuring=Measuring(lambda *_: self._source),
        )

    @property
    def service(self) -> Json:
        return self.objects[SERVICE_RESOURCE, "demo"]

    @property
    def rollout(self) -> Json:
        found: Json = self.service.get("status", {}).get("rollout") or {}
        return found

    @property
    def weights(self) -> dict[str, int]:
        backends = self.objects[HTTP_ROUTE, "demo"]["spec"]["rules"][0]["backendRefs"]
        return {b["name"].removeprefix("demo-")[0]: b["weight"] for b in backends}

    def said(self, kind: str) -> str:
        """The message of a condition."""
        return str(condition(self.service, kind)["message"])

    def named(self, kind: Kind) -> list[str]:
        return sorted(name for k, name in self.objects if k == kind)

    def pods(self) -> dict[str, str]:
        """Revision by uid."""
        return {
            body["metadata"]["uid"]: body["metadata"]["labels"][names.REVISION_LABEL]
            for (kind, _), body in self.objects.items()
            if kind == POD
        }

    def metric(self, name: str, **labels: str) -> float | None:
        """What the operator tells of the service; without labels, of all of them."""
        return self.metrics.registry.get_sample_value(f"dfastllm_operator_{name}", labels)

    def of_service(self, name: str, **labels: str) -> float | None:
        return self.metric(name, namespace=KEY.namespace, service=KEY.name, **labels)

    def edit(self, **spec: Any) -> None:
        body = deepcopy(self.service)
        body["spec"] = {k: v for k, v in {**body["spec"], **spec}.items() if v is not None}
        body["metadata"]["generation"] += 1
        self._put(SERVICE_RESOURCE, body)

    def annotate(self, **annotations: str) -> None:
        body = deepcopy(self.service)
        body["metadata"]["annotations"] = {
            f"{names.GROUP}/rollout-{kind}": order for kind, order in annotations.items()
        }
        self._put(SERVICE_RESOURCE, body)

    def meddle(self, kind: Kind, name: str, edit: Callable[[Json], None]) -> None:
        """Somebody edits an object by hand."""
        body = deepcopy(self.objects[kind, name])
        edit(body)
        body["metadata"]["generation"] += 1
        self._put(kind, body)

    def take(self, kind: Kind, name: str) -> Json:
        """Somebody deletes an object; what it was."""
        gone = self.objects[kind, name]
        self._drop(kind, name)
        return gone

    def evict(self, pod: str) -> None:
        """Its node ends it. It stays listed, and KServe's Deployment makes another."""
        over = deepcopy(self.objects[POD, pod])
        self._drop(POD, pod)
        over["metadata"] |= {"name": f"{pod}-evicted", "uid": f"{over['metadata']['uid']}-evicted"}
        over["status"] = {"phase": "Failed", "reason": "Evicted", "message": "Low on memory."}
        self._put(POD, over)

    def tick(self, seconds: float = 1.0) -> None:
        """Time goes on, KServe and the gateway act, the operator does all it wants to do now."""
        self.now += timedelta(seconds=seconds)
        self._react()
        for _ in range(AT_ONCE):
            if asyncio.run(self.reconciler.reconcile(KEY)) != 0.0:
                return
        raise AssertionError(f"never comes to rest: {self.writes[-12:]}")

    def until(self, phase: str, within: int = 120) -> Iterator[Json]:
        """Ticks until the rollout is in `phase`; what it was after each."""
        for _ in range(within):
            self.tick()
            yield self.rollout
            if self.rollout.get("phase") == phase:
                return
        raise AssertionError(f"never {phase}: {self.service.get('status')}")

    def replicas(self, deployment: str) -> int:
        """What it asks for; KServe begins with one where it leaves the number to others."""
        found = self.objects.get((DEPLOYMENT, deployment))
        return int(found["spec"]["replicas"]) if found else 1

    # What the operator calls.

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        return deepcopy(self.objects.get((kind, name)))

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return True

    async def apply(self, kind: Kind, body: Json, *, force: bool) -> Json:
        if kind == self.forbidden:
            raise Forbidden("you may not")
        made = deepcopy(body)
        before = self.objects.get((kind, made["metadata"]["name"]))
        fields = {f"f:{key}": {} for key in body if key not in ("apiVersion", "kind")}
        booked = {"manager": names.FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
        kept = before["metadata"] if before else {"uid": f"uid-{self._version}", "generation": 0}
        changed = before is None or before.get("spec") != made.get("spec")
        made["metadata"] |= {
            "uid": kept["uid"],
            "generation": kept["generation"] + changed,
            "managedFields": [booked],
        }
        if before and "status" in before:
            made["status"] = before["status"]
        self._note("apply", kind, made)
        return deepcopy(self._put(kind, made))

    async def patch_status(self, kind: Kind, body: Json) -> Json:
        if self.spoil is not None:
            self.spoil(self.service)
        present = deepcopy(self.objects.get((kind, body["metadata"]["name"])))
        if present is None:
            raise NotFound("gone")
        if present["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        present["status"] = _merged(present.get("status") or {}, body["status"])
        phase = (present["status"].get("rollout") or {}).get("phase", "")
        self.writes.append(f"status {phase}")
        return deepcopy(self._put(kind, present))

    async def scale(self, kind: Kind, seen: Json, replicas: int) -> None:
        name = seen["metadata"]["name"]
        present = deepcopy(self.objects[kind, name])
        if present["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        present["spec"]["replicas"] = replicas
        self.writes.append(f"scale {name} to {replicas}")
        self._put(kind, present)

    async def create(self, kind: Kind, body: Json) -> Json:
        if (kind, body["metadata"]["name"]) in self.objects:
            raise Conflict("exists")
        self._note("create", kind, body)
        return deepcopy(self._put(kind, body))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> bool:
        gone = self.objects.pop((kind, name), None)
        if gone is None:
            return False
        self._note("delete", kind, gone)
        self.store.remove(kind, gone)
        return True

    # What reacts.

    def _note(self, verb: str, kind: Kind, body: Json) -> None:
        what = body["reason"] if kind == EVENT else body["metadata"]["name"]
        self.writes.append(f"{verb} {kind}/{what}")

    def _put(self, kind: Kind, body: Json) -> Json:
        self._version += 1
        body = deepcopy(body)
        body["metadata"] |= {"namespace": "shop", "resourceVersion": str(self._version)}
        self.objects[kind, body["metadata"]["name"]] = body
        if kind != EVENT:
            self.store.put(kind, body)
        return body

    def _drop(self, kind: Kind, name: str) -> None:
        self.store.remove(kind, self.objects.pop((kind, name)))

    def _react(self) -> None:
        services = {n: b for (k, n), b in self.objects.items() if k == INFERENCE_SERVICE}
        for slot in names.SLOTS:
            self._deploy(f"demo-{slot}", services.get(f"demo-{slot}"))
        self._scale()
        if (HTTP_ROUTE, "demo") in self.objects:
            body = deepcopy(self.objects[HTTP_ROUTE, "demo"])
            seen = body["metadata"]["generation"]
            said = [
                {"type": kind, "status": "True", "observedGeneration": seen}
                for kind in ("Accepted", "ResolvedRefs")
            ]
            body["status"] = {"parents": [{"conditions": said}]}
            if body != self.objects[HTTP_ROUTE, "demo"]:
                self._put(HTTP_ROUTE, body)

    def _scale(self) -> None:
        """The autoscaler: to `wish` within what it is told, one look behind the operator."""
        spec = self.objects.get((HPA, "demo"), {}).get("spec")
        found = self.objects.get((DEPLOYMENT, spec["scaleTargetRef"]["name"])) if spec else None
        if spec is None or found is None:
            return
        present = found["spec"]["replicas"]
        wanted = max(self.wish, spec["minReplicas"])
        if spec["behavior"]["scaleDown"].get("selectPolicy") == "Disabled":
            wanted = max(wanted, present)
        body = deepcopy(found)
        body["spec"]["replicas"] = min(wanted, spec["maxReplicas"])
        if body != found:
            self._put(DEPLOYMENT, body)

    def _deploy(self, name: str, service: Json | None) -> None:
        deployment = f"{name}-predictor"
        pods = [n for k, n in self.objects if k == POD and n.startswith(deployment)]
        if service is None:
            for pod in pods:
                self._drop(POD, pod)
            for kind in (DEPLOYMENT, ENDPOINT_SLICE):
                if (kind, deployment) in self.objects:
                    self._drop(kind, deployment)
            return
        predictor = service["spec"]["predictor"]
        labels = {**predictor["labels"], **service["metadata"]["labels"]}
        wanted = int(predictor.get("minReplicas", self.replicas(deployment)))
        revision = labels[names.REVISION_LABEL]
        keep = {f"{deployment}-{revision}-{number}" for number in range(wanted)}
        for pod in pods:
            ended = self.objects[POD, pod]["status"].get("phase") == "Failed"
            if pod not in keep and not ended:
                self._drop(POD, pod)
        for pod in sorted(keep):
            known = self.objects.get((POD, pod))
            uid = known["metadata"]["uid"] if known else f"uid-{self._version}"
            ready = [{"type": "Ready", "status": str(known is not None and name != self.broken)}]
            metadata = {"name": pod, "uid": uid, "labels": {**labels, "app": f"isvc.{deployment}"}}
            self._put(POD, {"metadata": metadata, "status": {"conditions": ready}})
        up = sum(
            self.objects[POD, pod]["status"]["conditions"][0]["status"] == "True" for pod in keep
        )
        backend = {**labels, "kubernetes.io/service-name": deployment}
        self._put(
            ENDPOINT_SLICE,
            {
                "metadata": {"name": deployment, "labels": backend},
                "endpoints": [{"conditions": {"ready": number < up}} for number in range(wanted)],
            },
        )
        counts = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        self._put(
            DEPLOYMENT,
            {
                "metadata": {
                    "name": deployment,
                    "uid": deployment,
                    "generation": 1,
                    "labels": labels,
                },
                "spec": {"replicas": wanted, "template": {"metadata": {"labels": labels}}},
                "status": {"observedGeneration": 1, **dict.fromkeys(counts, up)},
            },
        )


def _merged(old: Json, patch: Json) -> Json:
    found = dict(old)
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], value)
        else:
            found[key] = value
    return found
