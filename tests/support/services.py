"""DFastLLMServices in tests: made, edited, waited for, and compared by what became of them."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from dfastllm_operator import names
from dfastllm_operator.api.rollout import Rollout
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    EVENT,
    INFERENCE_SERVICE,
    OWNED,
    POD,
    SERVICE_RESOURCE,
    Kind,
)
from support.endstate import Found, difference, end_state, revision_of, without_history
from support.kubeapi import Json, KubeApi
from support.process import until

DEADLINE_S = 60.0
POLL_S = 0.05
HISTORY = Rollout().revision_history_limit
TINY = {"uri": "builtin://tiny"}
Wanted = tuple[tuple[str, str, str], ...]
READY: Wanted = (
    ("Progressing", "False", "Complete"),
    ("Degraded", "False", ""),
    ("Ready", "True", ""),
)
"""Conditions with their status and reason; an empty reason is any."""


def service(name: str = "demo", **spec: Any) -> Json:
    """The smallest one, with `spec` on top."""
    return {"metadata": {"name": name}, "spec": {"model": TINY, **spec}}


def condition(obj: Json | None, kind: str) -> Json:
    """One condition of an object's status, with an empty status and reason if it has none."""
    found = ((obj or {}).get("status") or {}).get("conditions") or []
    none = {"status": "", "reason": "", "message": ""}
    return next((c for c in found if c["type"] == kind), none)


class Services:
    """Those of one namespace."""

    def __init__(
        self, api: KubeApi, namespace: str, explain: Callable[[], str] = lambda: ""
    ) -> None:
        self.api = api
        self.namespace = namespace
        self._explain = explain

    def create(self, name: str = "demo", **spec: Any) -> Json:
        return self.api.create(SERVICE_RESOURCE, self.namespace, service(name, **spec))

    def edit(self, name: str = "demo", **spec: Any) -> Json:
        """By merge patch: None takes a field away."""
        return self.api.merge(SERVICE_RESOURCE, self.namespace, name, {"spec": spec})

    def put(self, name: str, **spec: Any) -> Json:
        """Make it, or make it this and nothing else."""
        return self.api.apply(SERVICE_RESOURCE, self.namespace, service(name, **spec))

    def touch(self, name: str) -> None:
        """A change that means nothing to the operator."""
        note = {"metadata": {"annotations": {"example.com/touched": secrets.token_hex(4)}}}
        self.api.merge(SERVICE_RESOURCE, self.namespace, name, note)

    def get(self, name: str = "demo") -> Json:
        return self.api.get(SERVICE_RESOURCE, self.namespace, name)

    def delete(self, name: str = "demo") -> None:
        self.api.delete(SERVICE_RESOURCE, self.namespace, name)

    def every(self) -> list[Json]:
        return self.api.list(SERVICE_RESOURCE, self.namespace)

    def has(self, name: str) -> bool:
        return self.api.find(SERVICE_RESOURCE, self.namespace, name) is not None

    def wait(
        self, kind: str, status: str, reason: str = "", name: str = "demo", within_s: float = 0
    ) -> Json:
        """The condition, once it is so for the generation that is there now."""
        body = self._wait(name, ((kind, status, reason),), within_s)
        return condition(body, kind)

    def ready(self, name: str = "demo", within_s: float = 0) -> Json:
        """The service, once it serves what its spec asks for and nothing is left to do."""
        return self._wait(name, READY, within_s)

    def is_ready(self, name: str = "demo") -> bool:
        """Whether `ready` would return at once."""
        return _so(self.get(name), READY)

    def _wait(self, name: str, wanted: Wanted, within_s: float) -> Json:
        last: Json = {}

        def so() -> bool:
            nonlocal last
            last = self.get(name)
            return _so(last, wanted)

        try:
            until(so, deadline_s=within_s or DEADLINE_S, every_s=POLL_S)
        except AssertionError:
            told = json.dumps(last, indent=1)
            raise AssertionError(f"never {wanted}: {told}\n{self._explain()}") from None
        return last

    def child(self, kind: Kind, name: str) -> Json | None:
        return self.api.find(kind, self.namespace, name)

    def inference_service(self, name: str = "demo", slot: str = "a") -> Json:
        return self.api.get(
            INFERENCE_SERVICE, self.namespace, names.inference_service(name, self.namespace, slot)
        )

    def deployment(self, name: str = "demo", slot: str = "a") -> Json:
        return self.api.get(DEPLOYMENT, self.namespace, names.predictor(name, self.namespace, slot))

    def owned(self, name: str = "demo") -> Iterator[tuple[Kind, Json]]:
        """What the service owns and has, of every kind the operator writes."""
        uid = self.get(name)["metadata"]["uid"]
        for kind in OWNED:
            for body in self.api.list(kind, self.namespace):
                owners = body["metadata"].get("ownerReferences") or []
                if any(owner["uid"] == uid for owner in owners):
                    yield kind, body

    def remains(self, objects: list[tuple[Kind, Json]]) -> list[str]:
        """Which of these very objects are still there."""
        found = [
            (f"{kind} {body['metadata']['name']}", self.child(kind, body["metadata"]["name"]), body)
            for kind, body in objects
        ]
        return [
            what
            for what, now, then in found
            if now is not None and now["metadata"]["uid"] == then["metadata"]["uid"]
        ]

    def names_owned(self, name: str = "demo") -> set[tuple[str, str]]:
        return {(str(kind), body["metadata"]["name"]) for kind, body in self.owned(name)}

    def pods(self, name: str = "demo") -> list[Json]:
        """Those that are not on their way out."""
        found = self.api.list(POD, self.namespace, _selector(name))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod_uids(self, name: str = "demo") -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods(name)}

    def config(self, name: str = "demo") -> str:
        """The file the wanted revision's pods read."""
        revision = self.get(name)["status"]["updatedRevision"]
        found = self.api.get(CONFIG_MAP, self.namespace, names.revision(name, revision))
        return str(found["data"]["config.yaml"])

    def events(self, name: str = "demo") -> list[Json]:
        """Of the service itself, the oldest first."""
        found = [
            event
            for event in self.api.list(EVENT, self.namespace)
            if event["involvedObject"].get("kind") == SERVICE_RESOURCE.kind
            and event["involvedObject"]["name"] == name
        ]
        return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def end_state(self, name: str = "demo", *, history: bool = True) -> Json:
        """All that is there, without what differs between two runs that came to the same.

        `history` are the records of former revisions: those of other ways to the same end differ.
        """
        deployments = self.api.list(DEPLOYMENT, self.namespace, _selector(name))
        found = Found(self.get(name), tuple(self.owned(name)), deployments, self.pods(name))
        return end_state(found if history else without_history(found))

    def settled(self, name: str = "demo") -> Json:
        """The end state, once the service is ready and has no surplus revisions."""
        self.ready(name)
        self.prune(name)
        self.ready(name)
        return self.end_state(name)

    def prune(self, name: str = "demo") -> None:
        """Wait until no more former revisions are left than are to be kept."""
        rollout = self.get(name)["spec"].get("rollout") or {}
        most = 1 + rollout.get("revisionHistoryLimit", HISTORY)
        until(
            lambda: len(self.revisions(name)) <= most,
            f"{name} has {most} revisions at most",
            every_s=POLL_S,
        )

    def come_to(self, wanted: Json, name: str = "demo", *, history: bool = True) -> None:
        """Wait until the service has settled in this end state."""

        def there() -> bool:
            return self.is_ready(name) and self.end_state(name, history=history) == wanted

        try:
            until(there, every_s=POLL_S)
        except AssertionError:
            left = difference(wanted, self.end_state(name, history=history))
            raise AssertionError(f"{name} came to\n{left}\n{self._explain()}") from None

    def revisions(self, name: str = "demo") -> set[str]:
        """Hashes that something of the service is labelled with: pods, records, configurations."""
        found = self.pods(name)
        for kind in (CONTROLLER_REVISION, CONFIG_MAP):
            found += self.api.list(kind, self.namespace, _selector(name))
        return {revision_of(body) for body in found}


def _as_json(text: str) -> Json:
    found: Json = json.loads(text)
    return found


def _so(body: Json, wanted: Wanted) -> bool:
    generation = body["metadata"]["generation"]
    return all(
        found["status"] == status
        and found.get("observedGeneration") == generation
        and reason in ("", found["reason"])
        for found, status, reason in ((condition(body, k), s, r) for k, s, r in wanted)
    )


def _selector(name: str) -> str:
    return f"{names.SERVICE_LABEL}={names.label_value(name)}"
