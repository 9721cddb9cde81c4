"""API keys in a Secret: who has none is refused, and a new one needs no restart."""

import base64
import json
import secrets
import time

import httpx2
import pytest

from e2e.clients import Endpoint
from e2e.containers import restarts
from e2e.report import Story
from e2e.services import SMALL, Services

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ROTATED_S = 180.0  # the kubelet brings a changed Secret once in about a minute


def secret(key: str) -> str:
    data = {"alice": base64.b64encode(key.encode()).decode()}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-keys"}, "data": data}
    )


def status(endpoint: Endpoint, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    with endpoint.http() as client:
        answer: httpx2.Response = client.post("/v1/chat/completions", json=body, headers=headers)
    return answer.status_code


def test_keys_of_a_secret_are_asked_for_and_rotate_without_a_restart(
    services: Services, story: Story
) -> None:
    old, new = (secrets.token_hex(16) for _ in range(2))
    services.apply(secret(old))
    services.put("tiny", auth={"apiKeysSecretRef": {"name": "api-keys"}}, **SMALL)
    services.ready("tiny")
    endpoint, pods = services.endpoint("tiny"), services.pod_names("tiny")
    assert [status(endpoint, key) for key in ("", new, old)] == [401, 401, 200]

    services.apply(secret(new))
    began = time.monotonic()
    services.until(lambda: status(endpoint, new) == 200, "the new key is taken", "tiny", ROTATED_S)
    story.measured(rotated_s=time.monotonic() - began)
    assert [status(endpoint, key) for key in ("", old, new)] == [401, 401, 200]
    assert services.pod_names("tiny") == pods
    assert sum(map(restarts, services.pods("tiny"))) == 0
