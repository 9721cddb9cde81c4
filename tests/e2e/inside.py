"""A client inside the cluster: a pod that asks a service by the name that cluster DNS knows."""

import json
from collections.abc import Iterator
from typing import Any

from e2e.services import Services

Json = dict[str, Any]
WITHIN_S = 120.0
# It prints what it is told, event by event. httpx is in the server's image; OpenAI's client is not.
SCRIPT = """
import json, sys, httpx
url, body = sys.argv[1:]
with httpx.stream("POST", url, json=json.loads(body), timeout=60) as answer:
    print(answer.status_code, flush=True)
    for line in answer.iter_lines():
        print(line, flush=True)
"""


def stream(services: Services, image: str, url: str, body: Json) -> tuple[int, list[Json]]:
    """The status and the events of a streamed answer, as that pod got them."""
    services.apply(_pod(image, [url, json.dumps(body)]))

    def phase() -> str:
        pod = services.kubectl.get("pod/inside", "-n", services.namespace)
        said = str(pod["status"].get("phase"))
        return said if said in ("Succeeded", "Failed") else ""

    try:
        services.until(phase, "the client's pod has ended", "inside", WITHIN_S)
        status, *lines = services.run("logs", "pod/inside").splitlines()
    finally:
        services.run("delete", "pod/inside", "--now", "--wait=false")
    return int(status), list(_events(lines))


def _events(lines: list[str]) -> Iterator[Json]:
    for line in lines:
        data = line.removeprefix("data: ")
        if data != line and data != "[DONE]":
            yield json.loads(data)


def _pod(image: str, arguments: list[str]) -> Json:
    """As restricted as the namespace wants it."""
    container = {
        "name": "client",
        "image": image,
        "command": ["python3", "-c", SCRIPT, *arguments],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inside"}, "spec": spec}
