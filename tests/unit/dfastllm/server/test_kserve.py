"""KServe's V1 and V2 protocols over the scripted engine, and ours beside them."""

import json
import struct
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from dfastllm.core import FinishReason
from dfastllm.errors import EngineFailed, Overloaded, RowFailed
from dfastllm.server.argv import bare_argv
from dfastllm.server.kserve_app import KServeServer
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.server.model import DiffusionModel
from support.scripted import Say, ScriptedGenerator
from support.served import TEXT, Served

PREDICT = "/v1/models/tiny:predict"
INFER = "/v2/models/tiny/infer"


class KServed(Served):
    def __init__(
        self, engine: ScriptedGenerator | None = None, *, ready: bool = True, **settings: str
    ):
        super().__init__(settings, engine, ready=ready, make_app=self._kserve_app)

    def _kserve_app(self, lifecycle: Lifecycle) -> ASGIApp:
        server = KServeServer(self.settings, lifecycle, Loaded)  # type: ignore[arg-type]
        server.register_model(DiffusionModel("tiny", lifecycle))
        return server.application()

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.client.post(path, json=body, **more)


@pytest.fixture
def served() -> KServed:
    return KServed()


def infer(data: Any, *, name: str = "text_input", datatype: str = "BYTES", **more: Any) -> Any:
    shape = more.pop("shape", [len(data)])
    return {
        "inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}],
        **more,
    }


def test_v1_predictions_come_in_order(served: KServed) -> None:
    engine = served.engine
    engine.script_for = lambda request: [
        Say(bytes(request.prompt[1:]).decode().upper(), finish=FinishReason.STOP)
    ]
    asked = {"max_tokens": 8, "temperature": 0.5, "diffusion": {"preset": "quality"}}
    body = {"instances": ["a", {"prompt": "b", **asked}]}
    response = served.post(PREDICT, body)
    assert response.status_code == 200, response.text
    assert response.json() == {"predictions": ["A", "B"]}
    assert [r.max_tokens for r in engine.requests] == [256, 8]
    assert engine.requests[1].sampling.temperature == 0.5
    assert [r.decoding.strategy for r in engine.requests] == ["threshold", "fixed"]
    assert {r.key for r in engine.requests} == {"192.0.2.7"}


def test_v1_takes_json_that_is_not_declared(served: KServed) -> None:
    body = json.dumps({"instances": ["a"]})
    assert served.client.post(PREDICT, content=body).json() == {"predictions": ["hello"]}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"instances": []},
        {"instances": "a"},
        {"instances": [1]},
        {"instances": [{}]},
        {"instances": [{"prompt": 1}]},
        {"instances": [{"prompt": ""}] * 129},
        {"instances": [{"prompt": "a", "max_tokens": -1}]},
        {"instances": [{"prompt": "a", "max_tokens": 100_000}]},
        {"instances": [{"prompt": "a", "stream": True}]},
        {"instances": [{"prompt": "a", "n": 2}]},
        {"instances": [{"prompt": "a", "diffusion": {"steps": "many"}}]},
        {"instances": [{"prompt": "a", "diffusion": {"preset": "turbo"}}]},
    ],
)
def test_v1_mistakes_are_told(served: KServed, body: Any) -> None:
    response = served.post(PREDICT, body)
    assert response.status_code == 400, response.text
    assert isinstance(response.json()["error"], str)


def test_v1_broken_json_is_told(served: KServed) -> None:
    for headers in ({}, {"content-type": "application/json"}):
        response = served.client.post(PREDICT, content=b'{"instances', headers=headers)
        assert response.status_code == 400, response.text


def test_v2_answers_in_the_shape_of_the_question(served: KServed) -> None:
    body = infer([["a"], ["b"]], shape=[2, 1], id="mine", parameters={"max_tokens": 7})
    response = served.post(INFER, body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["id"], answer["model_name"]) == ("mine", "tiny")
    (output,) = answer["outputs"]
    assert output["name"] == "text_output"
    assert output["datatype"] == "BYTES"
    assert output["shape"] == [2, 1]
    assert output["data"] == ["hello", "hello"]
    assert [r.max_tokens for r in served.engine.requests] == [7, 7]


def test_v2_takes_binary_tensors(served: KServed) -> None:
    tensor = struct.pack("<I", 2) + "ü".encode()
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "prompt",
                    "shape": [1],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": len(tensor)},
                }
            ]
        }
    ).encode()
    headers = {
        "Inference-Header-Content-Length": str(len(head)),
        "Content-Type": "application/octet-stream",
    }
    response = served.client.post(INFER, content=head + tensor, headers=headers)
    assert response.status_code == 200, response.text
    assert bytes(served.engine.requests[0].prompt[1:]).decode() == "ü"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        infer(["a"], name="other"),
        infer([1.5], datatype="FP32"),
        infer(["a"], shape=[3]),
        infer([]),
        infer(["a"], parameters={"max_tokens": -1}),
        infer(["a"], parameters={"n": 2}),
        infer([["a"], "b"], shape=[2]),
        infer([{"a": 1}]),
    ],
)
def test_v2_mistakes_are_told(served: KServed, body: Any) -> None:
    response = served.post(INFER, body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]


def test_ours_and_theirs_stand_side_by_side(served: KServed) -> None:
    assert served.client.get("/v1/models").json()["object"] == "list"
    assert served.client.get("/v1/models/tiny").json()["object"] == "model"
    assert served.post("/openai/v1/completions", TEXT).status_code == 200
    assert served.client.get("/v2/models").json() == {"models": ["tiny"]}
    described = served.client.get("/v2/models/tiny").json()
    assert described["inputs"] == [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}]
    assert served.client.get("/").json()["name"] == "dfastllm"
    assert served.client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("action", ["load", "unload"])
def test_nobody_can_unload_the_model(served: KServed, action: str) -> None:
    path = f"/v2/repository/models/tiny/{action}"
    assert served.client.post(path).status_code == 404
    assert served.client.get("/v2/models/tiny/ready").status_code == 200


def test_the_metadata_promise_no_repository(served: KServed) -> None:
    metadata = served.client.get("/v2").json()
    assert metadata["extensions"] == []
    assert metadata["name"]


def test_readiness_follows_the_engine() -> None:
    served = KServed(ready=False)
    ready = "/v2/models/tiny/ready"
    assert served.client.get(ready).status_code == 503
    assert served.post(PREDICT, {"instances": ["a"]}).status_code == 503
    served = KServed()
    assert served.client.get(ready).json() == {"name": "tiny", "ready": True}
    served.engine.ready = False
    assert served.client.get(ready).status_code == 503
    assert served.post(PREDICT, {"instances": ["a"]}).status_code == 503
    assert served.client.get("/v2/models/other/ready").status_code == 404


def test_faults_of_the_engine_have_their_status() -> None:
    for error, status in ((Overloaded("full"), 503), (EngineFailed("dead"), 503)):
        served = KServed(ScriptedGenerator(refusal=error))
        response = served.post(PREDICT, {"instances": ["a"]})
        assert response.status_code == status
        assert int(response.headers["retry-after"]) >= 1
    served = KServed(ScriptedGenerator([Say(error=RowFailed("no memory"))]))
    response = served.post(PREDICT, {"instances": ["a"]})
    assert response.status_code == 500
    assert "no memory" in response.text


def test_explaining_is_refused(served: KServed) -> None:
    response = served.post("/v1/models/tiny:explain", {"instances": ["a"]})
    assert response.status_code == 400


def test_predictions_are_charged_like_all_others() -> None:
    served = KServed(token_rate="8/hour")
    assert served.post(PREDICT, {"instances": ["hi"]}).status_code == 200
    assert served.post(PREDICT, {"instances": ["hi"]}).status_code == 429


@pytest.mark.parametrize("refusal", [Overloaded("full"), EngineFailed("dead")])
def test_refused_predictions_are_not_charged(refusal: Exception) -> None:
    served = KServed(ScriptedGenerator(refusal=refusal), token_rate="100/hour")
    assert served.post(PREDICT, {"instances": ["hi"]}).status_code == 503
    served.engine.refusal = None
    answer = served.post(PREDICT, {"instances": ["hi"]})
    assert answer.headers["x-ratelimit-remaining-tokens"] == "100"


def test_a_prediction_that_failed_half_way_is_charged_as_far_as_it_came() -> None:
    engine = ScriptedGenerator([Say("hello"), Say(error=RowFailed("no memory"))])
    served = KServed(engine, token_rate="100/hour")
    assert served.post(PREDICT, {"instances": ["hi"]}).status_code == 500
    answer = served.post(PREDICT, {"instances": ["hi"]})
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(100 - 3 - 5)


def test_a_prediction_nobody_waited_for_is_charged_as_far_as_it_was_computed() -> None:
    script = [Say("hel"), Say("lo"), Say("!", after_s=60, finish=FinishReason.STOP)]
    served = KServed(ScriptedGenerator(script), token_rate="100/hour")
    served.hang_up(PREDICT, {"instances": ["hi", "you"]})
    answer = served.post(PREDICT, {})
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(100 - (3 + 5) - (4 + 5))


def test_importing_kserve_does_not_read_our_command_line() -> None:
    program = "import dfastllm.server.kserve_app, sys; assert len(sys.argv) == 5, sys.argv"
    flags = ["--workers", "auto", "--protocol", "grpc"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *flags], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_command_line_is_back_after_a_failed_import() -> None:
    former = list(sys.argv)
    with pytest.raises(ImportError), bare_argv():
        raise ImportError(len(sys.argv))
    assert sys.argv == former


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/models/other:predict", {"instances": ["a"]}), ("/v2/models/other/infer", infer(["a"]))],
)
def test_a_model_that_is_not_served_is_counted_as_that(
    served: KServed, path: str, body: Any
) -> None:
    labels = {"route": "predict" if "predict" in path else "infer", "outcome": "model_not_found"}
    before = REGISTRY.get_sample_value("dfastllm_requests_total", labels) or 0.0
    response = served.post(path, body)
    assert response.status_code == 404
    assert "error" in response.json()
    assert REGISTRY.get_sample_value("dfastllm_requests_total", labels) == before + 1
