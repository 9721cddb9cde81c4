"""KServe's own protocols, through the gateway as everything else."""

import httpx2
import pytest

from e2e.report import Story
from e2e.services import SMALL, Services

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SUM = "2 + 2 ="


def test_v1_and_v2_reach_the_model_through_the_gateway(services: Services, story: Story) -> None:
    services.put("tiny", **SMALL)
    services.ready("tiny")
    with services.endpoint("tiny").http() as client:
        v1(client)
        v2(client)


def completed(client: httpx2.Client, **options: int) -> str:
    """What OpenAI's protocol says to the same; it is not nothing."""
    answer = client.post("/v1/completions", json={"model": "tiny", "prompt": SUM, **options})
    text = str(answer.json()["choices"][0]["text"])
    assert text
    return text


def v1(client: httpx2.Client) -> None:
    body = {"instances": [SUM, {"prompt": SUM, "max_tokens": 4}]}
    answer = client.post("/v1/models/tiny:predict", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == [completed(client), completed(client, max_tokens=4)]
    assert client.get("/v1/models/tiny").json()["ready"] is True
    assert client.post("/v1/models/tiny:predict", json={"instances": 1}).status_code == 400
    assert client.post("/v1/models/other:predict", json=body).status_code == 404


def v2(client: httpx2.Client) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready"):
        assert client.get(path).status_code == 200, path
    metadata = client.get("/v2/models/tiny").json()
    assert metadata["name"] == "tiny"
    text = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [SUM]}
    body = {"inputs": [text], "parameters": {"max_tokens": 4}}
    answer = client.post("/v2/models/tiny/infer", json=body)
    assert answer.status_code == 200, answer.text
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["shape"]) == ("text_output", [1])
    assert output["data"] == [completed(client, max_tokens=4)]
