"""One service with canary rollouts in tests: what it is asked, and what became of it.

Scenes play beside one another on one stage. Each looks at what was heard of all writes, so that
it misses none, and asks the API server for nothing it was told already.
"""

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise
from typing import Any

from cluster.nodes import HOLD
from dfastllm_operator import names
from dfastllm_operator.canary.events import ENTERED, Told
from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.kinds import (
    EVENT,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD,
    SERVICE,
    SERVICE_RESOURCE,
)
from support.exporter import Exporter
from support.history import History
from support.kubeapi import Json
from support.operators import Stage
from support.process import until
from support.services import Services, condition

P = RolloutPhase
RECORDED = (SERVICE_RESOURCE, HTTP_ROUTE, POD, INFERENCE_SERVICE, EVENT)
WITHIN_S = 300.0
POLL_S = 0.05
HEARD_S = 0.5
QUICK: Json = {"interval": "1s", "warmup": "0s", "minSamples": 4, "inconclusiveLimit": 20}
"""Prometheus takes note of new pods every five seconds: until then there is nothing of them."""
KILLED = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": None}


@dataclass
class Scene:
    """`name` is the service's; `prometheus` the address of the one that scrapes its pods.

    It is `calm` where no operator dies.
    """

    stage: Stage
    history: History
    exporter: Exporter
    prometheus: str
    name: str
    calm: bool = True
    began: int = field(default=0, repr=False)

    @property
    def services(self) -> Services:
        return self.stage.services

    # What is asked.

    def begin(
        self,
        *,
        replicas: int = 1,
        analysis: Json | None = None,
        spec: Json | None = None,
        **rollout: Any,
    ) -> str:
        """The first revision, serving; `spec` is what else the service is asked."""
        source = {"source": "prometheus", "serverAddress": self.prometheus}
        asked = {
            "strategy": "Canary",
            "scaleDownDelay": "5s",
            "drain": {"timeout": "1s"},
            **rollout,
            "analysis": {**source, **QUICK, **(analysis or {})},
        }
        asks = {"replicas": {"min": replicas}, **(spec or {}), "rollout": asked}
        self.services.create(self.name, **asks)
        self.services.ready(self.name, WITHIN_S)
        self.reach(P.STABLE)
        return self.stable

    def edit(self, **spec: Any) -> None:
        self.began = len(self.past)
        self.services.edit(self.name, **spec)

    def change(self, threshold: float, **spec: Any) -> str:
        """Another revision, which is then the candidate; its hash."""
        before = (self.rollout.get("candidate") or {}).get("revision")
        self.edit(decoding={"threshold": threshold}, **spec)

        def accepted() -> str:
            candidate = (self.rollout.get("candidate") or {}).get("revision", "")
            return str(candidate) if candidate != before else ""

        return str(self._until(accepted, "a candidate"))

    def order(self, kind: str, revision: str = "") -> str:
        """An annotation, for the candidate unless for another; its value."""
        value = f"{revision or self.candidate}/{secrets.token_hex(3)}"
        self.began = len(self.past)
        patch = {"metadata": {"annotations": {f"{names.GROUP}/rollout-{kind}": value}}}
        self.services.api.merge(SERVICE_RESOURCE, self.stage.namespace, self.name, patch)
        return value

    def refused(self, kind: str, revision: str = "") -> None:
        """The order changes nothing, and that is told."""
        phase, value = self.phase, self.order(kind, revision)

        def handled() -> bool:
            return bool((self.rollout.get("handled") or {}).get(kind) == value)

        self._until(handled, f"{kind} handled")
        assert self.phase == phase, self.rollout
        self.tells("OrderRefused")

    def delete(self) -> None:
        """Everything goes."""
        owned = list(self.services.owned(self.name))
        self.services.delete(self.name)

        def gone() -> bool:
            while owned and not self.services.remains(owned[-1:]):  # one question at a time
                owned.pop()
            return not owned

        self._until(gone, "what it owned is gone")
        self._until(lambda: not self.services.pods(self.name), "its pods are gone")

    # What became of it.

    @property
    def past(self) -> list[Json]:
        """Each `status.rollout` there was."""
        found = self.history.of(SERVICE_RESOURCE, self.name)
        return [(one.body.get("status") or {}).get("rollout") or {} for one in found]

    @property
    def rollout(self) -> Json:
        """The latest one, also of a service that is gone."""
        found = self.history.of(SERVICE_RESOURCE, self.name)[-1:]
        return {} if not found else (found[0].body.get("status") or {}).get("rollout") or {}

    @property
    def phase(self) -> str:
        return str(self.rollout.get("phase", ""))

    @property
    def stable(self) -> str:
        return str(self.rollout["stable"]["revision"])

    @property
    def candidate(self) -> str:
        return str(self.rollout["candidate"]["revision"])

    def phases(self) -> list[str]:
        """Since the latest wish, each once in a row."""
        found = [str(one.get("phase")) for one in self.past[max(0, self.began - 1) :]]
        return [phase for n, phase in enumerate(found) if n == 0 or phase != found[n - 1]]

    def reach(self, phase: RolloutPhase, **fields: Any) -> Json:
        """`status.rollout`, once it is there and has these fields; what is left out is empty."""

        def there() -> bool:
            found = self.rollout
            has = all(found.get(key, type(value)()) == value for key, value in fields.items())
            return found.get("phase") == phase and has

        self._until(there, f"{phase} {fields or ''}")
        return self.rollout

    def comes_to_rest(self) -> None:
        """In a phase that nothing but people lead out of; conditions are written after the move."""
        assert self.phase in (P.STABLE, P.FAILED), self.rollout
        reason = "Complete" if self.phase == P.FAILED else ""  # stable may hold another change
        self.services.wait("Progressing", "False", reason, self.name, WITHIN_S)

    def pass_through(self, phase: RolloutPhase) -> None:
        """It has been there since the latest wish."""
        self._until(lambda: phase in self.phases(), f"{phase} passed")

    def weights(self) -> list[dict[str, int]]:
        """Each the route had, by slot, the same ones in a row once."""
        found = [_weights(one.body) for one in self.history.of(HTTP_ROUTE, self.name)]
        return [one for n, one in enumerate(found) if n == 0 or one != found[n - 1]]

    def weigh(self, weights: dict[str, int]) -> None:
        """The route has come to these."""
        self._until(lambda: self.weights()[-1] == weights, f"weights {weights}")

    def settle(self) -> None:
        """Nothing is on its way, and the objects say so."""
        self.services.ready(self.name, WITHIN_S)

    def tells(self, reason: str) -> None:
        """There is an Event of it."""
        self._until(lambda: reason in self.reasons(), f"{reason} is told")

    def reasons(self) -> set[str]:
        return {event["reason"] for event in self._events()}

    def tells_each_move_once(self) -> None:
        """Every one that was written with news has one Event, whoever died in between."""
        past = [one.get("moves", []) for one in self.past]
        wanted = _news(chain(*past))
        # The latest that somebody has wiped from the status may have been told before, or not.
        wiped = _news(one[-1] for one, after in pairwise(past) if one and not after)

        def told() -> Counter[tuple[str, str]]:
            events = filter(is_of_rollout, self._events())
            return Counter((event["reason"], event["message"]) for event in events)

        self._until(lambda: wanted - wiped <= told(), f"told: {wanted}")
        assert told() <= wanted

    def _events(self) -> list[Json]:
        """Of the service itself; an Event's name begins with its."""
        found = self.history.named(EVENT, f"{self.name}.")
        every = [self.history.of(EVENT, name)[-1].body for name in found]
        return [e for e in every if e["involvedObject"]["kind"] == SERVICE_RESOURCE.kind]

    def serving_slot(self) -> str:
        """Where the Service of the CR leads."""
        body = self.services.child(SERVICE, self.name)
        assert body is not None
        return str(body["spec"]["selector"]["app"]).rsplit("-", 2)[1]

    # Its pods.

    def pods(self, revision: str = "") -> list[Json]:
        found = self.services.pods(self.name)
        return [p for p in found if revision in ("", p["metadata"]["labels"][names.REVISION_LABEL])]

    def uids(self, revision: str = "") -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods(revision)}

    def release(self, count: int, revision: str) -> None:
        """So many held pods get ready, and the operator has had the time to hear of it."""

        def some() -> list[Json]:
            found = [p for p in self.pods(revision) if HOLD in p["metadata"].get("annotations", {})]
            return found if len(found) >= count else []

        held: Sequence[Json] = self._until(some, f"{count} held pods")
        for pod in held[:count]:
            name = pod["metadata"]["name"]
            note = {"metadata": {"annotations": {HOLD: None}}}
            self.services.api.merge(POD, self.stage.namespace, name, note)
            self._until(partial(self._is_ready, name), f"{name} is ready")
        time.sleep(HEARD_S)

    def _is_ready(self, name: str) -> bool:
        pod = self.history.latest(POD, name)
        return condition(pod, "Ready")["status"] == "True"

    def lose(self, revision: str, *, ready: bool = False, oom: bool = False) -> None:
        """Its pods stop being ready, or are so again; with `oom`, since one ran out of memory."""
        for pod in self.pods(revision):
            conditions = [
                {**c, "status": str(ready)} if c["type"] in ("Ready", "ContainersReady") else c
                for c in pod["status"]["conditions"]
            ]
            status: Json = {"conditions": conditions}
            if oom:
                restarted = {"ready": False, "restartCount": 1, "state": {"terminated": KILLED}}
                each = pod["status"]["containerStatuses"]
                status["containerStatuses"] = [{**one, **restarted} for one in each]
            self._say(pod, status)

    def waits(self, revision: str, state: Json) -> None:
        """A held pod's container is in that state; in none, it is only waited for."""
        found: Sequence[Json] = self._until(
            lambda: [p for p in self.pods(revision) if p["spec"].get("nodeName")], "a pod"
        )
        for pod in found if state else ():
            (container,) = pod["spec"]["containers"]
            status = {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": state,
            }
            self._say(pod, {"containerStatuses": [status]})

    def behave(self, slot: str, **fields: Any) -> None:
        """What the pods of a slot are like, once Prometheus asks."""
        self.exporter.make(f"{self.name}-{slot}-", **fields)

    def _say(self, pod: Json, status: Json) -> None:
        name = pod["metadata"]["name"]
        self.services.api.merge(POD, self.stage.namespace, name, {"status": status}, "status")

    def _until(self, condition: Callable[[], Any], what: str) -> Any:
        try:
            return until(condition, f"{self.name}: {what}", WITHIN_S, every_s=POLL_S)
        except AssertionError as late:
            body = self.history.latest(SERVICE_RESOURCE, self.name) or {}
            told = json.dumps({"spec": body.get("spec"), "status": body.get("status")}, indent=1)
            seen = f"{self.phases()}\n{self.weights()}\n{told}"
            raise AssertionError(f"{late}\n{seen}") from None

    # What is held back.

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile `spec.paused` is set, and the operator writes nothing but that it is so."""
        self.edit(paused=True)
        self.services.wait("Progressing", "False", "Paused", self.name, WITHIN_S)
        before, count = self.rollout, len(self._writes())
        yield
        assert self.rollout == before
        assert self._writes()[count:] == []
        self.edit(paused=False)

    def _writes(self) -> list[str]:
        """By the operator, to what is of this service, its own status apart."""
        calls = self.stage.proxy.ledger.writes
        mine = [c for c in calls if c.name == self.name or c.name.startswith(f"{self.name}-")]
        return [str(c) for c in mine if c.resource != SERVICE_RESOURCE.plural]


def _news(moves: Iterable[Json]) -> Counter[tuple[str, str]]:
    """Each once, however long it stood there."""
    news = {json.dumps(one, sort_keys=True) for one in moves}
    return Counter((one["reason"], one["message"]) for one in map(json.loads, news))


def is_of_rollout(event: Json) -> bool:
    """Whether it tells of a move."""
    return event["reason"].startswith(ENTERED) or event["reason"] in set(Told)


def _weights(route: Json) -> dict[str, int]:
    backends = route["spec"]["rules"][0]["backendRefs"]
    return {backend["name"].rsplit("-", 2)[1]: backend["weight"] for backend in backends}
