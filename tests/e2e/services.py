"""DFastLLMServices through kubectl, as a user has them: applied, edited, waited for.

A wait that fails says what an engineer would look up next: conditions, events, pods and their logs.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import httpx2

from cluster.kubectl import Kubectl, KubectlFailed
from dfastllm_operator import names
from e2e.clients import Endpoint
from support.process import until
from support.services import READY, Wanted, condition, service

Json = dict[str, Any]
START_S = 240.0  # a busy machine imports torch in most of a minute
ROUTE_S = 30.0  # from the gateway's word that it serves a route until it does
POLL_S = 0.5
LOG_LINES = 25
ONE_THREAD: Json = {"numThreads": 1}
"""Of an engine: threads of several pods would wait for one another on the few cores of a test."""
ON_CPU: Json = {"gpu": {"count": 0}, "requests": {"cpu": "250m"}}
"""Resources of a pod of which two are to run beside everything else."""
SMALL: Json = {"engine": ONE_THREAD, "resources": ON_CPU}
EVENTS = 20


class Services:
    """Those of one namespace."""

    def __init__(self, kubectl: Kubectl, namespace: str, gateway_address: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self._gateway_address = gateway_address

    def run(self, *args: str, **options: Any) -> str:
        """kubectl in the namespace."""
        return self.kubectl(*args, "-n", self.namespace, **options)

    def objects(self, kind: str, *args: str) -> list[Json]:
        return list(self.kubectl.get(kind, "-n", self.namespace, *args)["items"])

    def apply(self, *manifests: str | Json) -> None:
        for manifest in manifests:
            text = manifest if isinstance(manifest, str) else json.dumps(manifest)
            self.kubectl.apply(text, "-n", self.namespace)

    def put(self, name: str, **spec: Any) -> None:
        """Make one of this spec; the built-in tiny model unless it says another."""
        head = {"apiVersion": f"{names.GROUP}/v1alpha1", "kind": "DFastLLMService"}
        self.apply({**head, **service(name, **spec)})

    def edit(self, name: str, **spec: Any) -> None:
        """By merge patch: None takes a field away."""
        patch = json.dumps({"spec": spec})
        self.run("patch", f"dfs/{name}", "--type=merge", f"--patch={patch}")

    def delete(self, name: str) -> None:
        """Without waiting for what it leaves."""
        self.run("delete", f"dfs/{name}", "--wait=false")

    def get(self, name: str) -> Json:
        return self.kubectl.get(f"dfs/{name}", "-n", self.namespace)

    def ready(self, name: str, within_s: float = START_S) -> Json:
        """The service, once it serves what its spec asks for and nothing is left to do."""
        return self.wait(name, *READY, within_s=within_s)

    def wait(self, name: str, *wanted: tuple[str, str, str], within_s: float = START_S) -> Json:
        """The service, once these conditions are so for the generation that is there now.

        A condition is its type, status and reason; an empty reason is any.
        """
        last: Json = {}

        def so() -> bool:
            nonlocal last
            last = self.get(name)
            return _holds(last, wanted)

        self.until(so, f"{name}: {wanted}", name, within_s)
        return last

    def until(
        self, holds: Callable[[], Any], what: str, name: str, within_s: float = START_S
    ) -> Any:
        """The first true value of `holds`; explained by the service `name` if it does not come."""
        try:
            return until(holds, what, within_s, every_s=POLL_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.explain(name)}") from None

    def endpoint(self, name: str) -> Endpoint:
        """Where it is for clients outside of the cluster, once the gateway leads there."""
        return self.answering(
            Endpoint(self.get(name)["status"]["url"], self._gateway_address), name
        )

    def answering(self, endpoint: Endpoint, name: str) -> Endpoint:
        """`endpoint`, once it leads to the service of that name."""
        with endpoint.http() as client:

            def answers() -> bool:
                with suppress(httpx2.TransportError):
                    return client.get("/health/ready").status_code == 200
                return False

            self.until(answers, f"{endpoint.url} answers", name, ROUTE_S)
        return endpoint

    def rollout(self, name: str) -> Json:
        """What its status tells of it."""
        found: Json = self.get(name).get("status", {}).get("rollout") or {}
        return found

    def pods(self, name: str) -> list[Json]:
        """Those that are not on their way out."""
        found = self.objects("pods", f"--selector={selector(name)}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod_names(self, name: str) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.pods(name)}

    def explain(self, name: str) -> str:
        """All that there is to see of a service that is not as it should be."""
        parts = [self._conditions(name), self._events(), *self._pods(name)]
        return "\n".join(part for part in parts if part)

    def _conditions(self, name: str) -> str:
        with suppress(KubectlFailed):
            status = self.get(name).get("status") or {}
            lines = [
                f"{one['type']} {one['status']} {one['reason']}: {one['message']}"
                for one in status.get("conditions", [])
            ]
            return "\n".join([f"--- {name} is {status.get('phase')}", *lines])
        return f"--- there is no {name}"

    def _events(self) -> str:
        columns = "OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message"
        with suppress(KubectlFailed):
            said = self.run(
                "get", "events", "--sort-by=.lastTimestamp", f"-ocustom-columns={columns}"
            )
            return "\n".join(["--- events", *said.splitlines()[-EVENTS:]])
        return ""

    def _pods(self, name: str) -> Iterable[str]:
        with suppress(KubectlFailed):
            yield self.run("get", "pods", "-owide", f"--selector={selector(name)}")
            for pod in self.pod_names(name):
                for which in ([], ["--previous"]):
                    with suppress(KubectlFailed):
                        tail = f"--tail={LOG_LINES}"
                        said = self.run("logs", pod, "--all-containers", tail, *which)
                        yield f"--- log of {pod} {' '.join(which)}\n{said}"


def selector(name: str) -> str:
    return f"{names.SERVICE_LABEL}={names.label_value(name)}"


def _holds(body: Json, wanted: Wanted) -> bool:
    generation = body["metadata"]["generation"]
    found = ((condition(body, kind), status, reason) for kind, status, reason in wanted)
    return all(
        one["status"] == status
        and one.get("observedGeneration") == generation
        and reason in ("", one["reason"])
        for one, status, reason in found
    )
