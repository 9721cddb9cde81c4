"""The API server as the administrator sees it: synchronous, by kind, JSON in and out.

Tests poll a lot; this keeps its connection, where kubectl would start a process for each question.
"""

import json
from typing import Any

import httpx

from cluster.rig import Rig
from dfastllm_operator.kinds import Kind
from support.process import until

Json = dict[str, Any]
TIMEOUT_S = 60.0
TOO_MANY = 429
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class KubeApi:
    """Every method raises `httpx.HTTPStatusError` with the server's words, 404 aside."""

    def __init__(self, rig: Rig) -> None:
        self._client = httpx.Client(base_url=rig.url, verify=rig.plane.context, timeout=TIMEOUT_S)

    def close(self) -> None:
        self._client.close()

    def serves(self, kind: Kind) -> bool:
        answer = self._send("GET", kind.base)
        listed = [] if answer.status_code == 404 else _body(answer)["resources"]
        return any(resource["name"] == kind.plural for resource in listed)

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        answer = self._send("GET", _path(kind, namespace, name))
        return None if answer.status_code == 404 else _body(answer)

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return _body(self._send("GET", _path(kind, namespace, name)))

    def list(self, kind: Kind, namespace: str, selector: str = "") -> list[Json]:
        """Empty for a kind that is not served."""
        answer = self._send("GET", _path(kind, namespace), params={"labelSelector": selector})
        return [] if answer.status_code == 404 else list(_body(answer)["items"])

    def create(self, kind: Kind, namespace: str, body: Json) -> Json:
        typed = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return _body(self._send("POST", _path(kind, namespace), json=typed))

    def merge(
        self, kind: Kind, namespace: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        path = _path(kind, namespace, name, subresource)
        headers = {"Content-Type": MERGE}
        return _body(self._send("PATCH", path, content=json.dumps(patch), headers=headers))

    def apply(self, kind: Kind, namespace: str, body: Json, manager: str = "test") -> Json:
        typed = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        path = _path(kind, namespace, body["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true"}
        headers = {"Content-Type": APPLY}
        answer = self._send("PATCH", path, params=query, content=json.dumps(typed), headers=headers)
        return _body(answer)

    def delete(self, kind: Kind, namespace: str, name: str, propagation: str = "") -> None:
        """Nothing happens if it is not there. The default is the kind's own propagation."""
        query = {"propagationPolicy": propagation} if propagation else {}
        answer = self._send("DELETE", _path(kind, namespace, name), params=query)
        if answer.status_code != 404:
            _body(answer)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Again where the API server asks for it, as it does just after a CRD has come."""

        def answer() -> httpx.Response | None:
            found = self._client.request(method, path, **options)
            return None if found.status_code == TOO_MANY else found

        sent: httpx.Response = until(answer, f"an answer to {method} {path}")
        return sent


def _path(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(filter(None, (f"{kind.base}{scope}/{kind.plural}", name, subresource)))


def _body(answer: httpx.Response) -> Json:
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.status_code} {answer.request.method} {answer.request.url}: {answer.text}",
            request=answer.request,
            response=answer,
        )
    return dict(answer.json())
