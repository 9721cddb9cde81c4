"""What is wrong is said in words within half a minute, and repairing the service repairs it."""

import time
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.report import Story
from e2e.services import ON_CPU, ONE_THREAD, Services
from support.services import condition

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
WITHIN_S = 30.0
TINY = {"uri": "builtin://tiny"}
SIZE = {"parameters": "7M", "layers": 8, "kvHeads": 4, "headDim": 64, "vocabSize": 512}


@dataclass(frozen=True)
class Case:
    """A spec, what `ModelReady` is to say of it, and the patch that repairs it."""

    spec: dict[str, Any]
    reason: str
    words: str
    repair: dict[str, Any]


CASES = {
    "model-elsewhere": Case(
        {
            "model": {"uri": "https://example.com/nothing.tar.gz", "size": SIZE},
            "resources": ON_CPU,
        },
        "DownloadFailed",
        "could not fetch the model",
        {"model": {**TINY, "size": None}},
    ),
    "image-nowhere": Case(
        {"image": "localhost/dfastllm/nothing:0"},
        "ImagePullFailed",
        "cannot pull localhost/dfastllm/nothing:0",
        {"image": None},
    ),
    "little-memory": Case(
        {"resources": {"requests": {"memory": "48Mi"}, "limits": {"memory": "48Mi"}}},
        "OutOfMemory",
        "raise resources.limits.memory",
        {"resources": None},
    ),
    "no-gpu": Case(
        {"resources": {"gpu": {"count": 1}}},
        "GPUUnavailable",
        "waits for a GPU",
        {"resources": None},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said_and_can_be_repaired(
    services: Services, story: Story, name: str
) -> None:
    case = CASES[name]
    began = time.monotonic()
    services.put(name, engine=ONE_THREAD, **case.spec)
    body = services.wait(name, ("ModelReady", "False", case.reason), within_s=WITHIN_S)
    story.measured(said_s=time.monotonic() - began)
    assert case.words in condition(body, "ModelReady")["message"]
    assert condition(body, "Ready")["status"] == "False"
    assert condition(body, "Ready")["reason"] == case.reason

    began = time.monotonic()
    services.edit(name, **case.repair)
    services.ready(name)
    services.endpoint(name)
    story.measured(repaired_s=time.monotonic() - began)
    services.delete(name)
