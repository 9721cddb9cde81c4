"""The model as KServe sees it: V1 `:predict` and V2 `infer`, both through the OpenAI translation.

V1: `{"instances": ["text", {"prompt": "text", "max_tokens": 8}]}` gives `{"predictions": ["..."]}`.
V2: one BYTES input named `text_input` or `prompt`, options in the request's `parameters`, gives one
BYTES output `text_output` of the same shape.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from dfastllm.core import Chunk, Request
from dfastllm.errors import Cancelled, InvalidRequest
from dfastllm.server.argv import bare_argv
from dfastllm.server.context import ServerContext
from dfastllm.server.current import current_caller, current_receive, current_record
from dfastllm.server.fanin import FanIn
from dfastllm.server.lifecycle import Lifecycle
from dfastllm.server.protocol import parse_completion
from dfastllm.server.record import RequestRecord
from dfastllm.server.translate import completion_job

with bare_argv():
    from kserve import InferOutput, InferRequest, InferResponse, Model
    from kserve.errors import InvalidInput

_INPUT_NAMES = ("text_input", "prompt")
_OUTPUT_NAME = "text_output"
# They would change what one prediction is.
_NOT_HERE = frozenset({"stream", "stream_options", "n", "echo", "logprobs", "return_token_ids"})


class DiffusionModel(Model):  # type: ignore[misc]
    """One served model; `ready` for KServe from the start, `healthy` when it really is."""

    def __init__(self, name: str, lifecycle: Lifecycle):
        super().__init__(name)
        self.ready = True  # KServe registers no other
        self._lifecycle = lifecycle

    async def healthy(self) -> bool:
        return self._lifecycle.ready

    def load(self) -> bool:
        """Loading is the lifecycle's affair; KServe would call this again for a model not ready."""
        return self._lifecycle.ready

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": _INPUT_NAMES[0], "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": _OUTPUT_NAME, "datatype": "BYTES", "shape": [-1]}]

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        try:
            if isinstance(payload, InferRequest):
                return await self._infer(payload)
            return {"predictions": await self._answers(_instances(payload))}
        except InvalidRequest as error:
            raise InvalidInput(str(error)) from None

    async def explain(
        self, payload: Any, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        raise InvalidInput("This model explains nothing; use ':predict'.")

    async def _infer(self, request: InferRequest) -> InferResponse:
        prompts, shape = _prompts(request)
        options = dict(request.parameters or {})
        options.pop("binary_data_output", None)
        texts = await self._answers([{"prompt": prompt, **options} for prompt in prompts])
        output = InferOutput(name=_OUTPUT_NAME, shape=shape, datatype="BYTES", data=texts)
        return InferResponse(
            response_id=request.id or current_record().request_id,
            model_name=self.name,
            infer_outputs=[output],
        )

    async def _answers(self, instances: Sequence[Mapping[str, Any]]) -> list[str]:
        """One text for each instance, all computed together."""
        ctx = self._lifecycle.context()
        if not instances or len(instances) > ctx.max_choices:
            raise InvalidRequest(f"Between 1 and {ctx.max_choices} prompts are taken at once.")
        record = current_record()
        record.model, record.choices = self.name, len(instances)
        rows = [row for instance in instances for row in _rows(instance, ctx)]
        streams = ctx.generator.submit(rows)
        # Not before: what is refused is not charged.
        record.prompt_tokens = sum(len(row.prompt) + len(row.suffix) for row in rows)
        texts: list[list[str]] = [[] for _ in rows]
        try:
            async with FanIn(streams, current_receive()) as answers:
                async for batch in answers:
                    for index, chunk in batch:
                        texts[index].append(chunk.text)
                        _note(record, chunk)
        except Cancelled:
            record.count_unread(streams)
            raise
        return ["".join(pieces) for pieces in texts]


def _rows(instance: Mapping[str, Any], ctx: ServerContext) -> Sequence[Request]:
    instance = {name: value for name, value in instance.items() if value is not None}
    if unwanted := sorted(_NOT_HERE & instance.keys()):
        raise InvalidRequest(f"'{unwanted[0]}' is not taken here; use the OpenAI routes.")
    body = {"max_tokens": ctx.default_max_tokens, **instance, "model": ctx.served_names[0]}
    if not isinstance(body.get("prompt"), str):
        raise InvalidRequest("'prompt' must be a string.", param="prompt")
    request, ignored = parse_completion(body)
    current_record().ignored += ignored
    return completion_job(request, ctx, current_caller()).requests


def _note(record: RequestRecord, chunk: Chunk) -> None:
    if chunk.text:
        record.first_text()
    record.completion_tokens += len(chunk.tokens)
    stats, reason = chunk.stats, chunk.finish_reason
    if stats is None or reason is None:
        return
    record.forward_passes += stats.forward_passes
    record.refresh_passes += stats.refresh_passes
    record.verifier_passes += stats.verifier_passes
    record.drafted += stats.drafted
    record.accepted += stats.accepted
    record.queue_s += stats.queue_s
    record.compute_s += stats.compute_s
    record.finish_reason = reason.value if record.finish_reason in (None, reason) else "mixed"


def _instances(payload: Any) -> list[Mapping[str, Any]]:
    """The instances of a V1 body; KServe hands on as bytes what is not declared as JSON."""
    if isinstance(payload, bytes):
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    if not isinstance(payload, dict) or not isinstance(payload.get("instances"), list):
        raise InvalidRequest("The body must be an object with a list 'instances'.")
    instances: list[Mapping[str, Any]] = []
    for instance in payload["instances"]:
        if isinstance(instance, str):
            instance = {"prompt": instance}
        if not isinstance(instance, dict):
            raise InvalidRequest("Each instance must be a string, or an object with a 'prompt'.")
        instances.append(instance)
    return instances


def _prompts(request: InferRequest) -> tuple[list[str], list[int]]:
    """The texts of a V2 request and the shape they came in."""
    found = next((tensor for tensor in request.inputs if tensor.name in _INPUT_NAMES), None)
    if found is None or found.datatype != "BYTES":
        raise InvalidRequest(f"A BYTES input named '{_INPUT_NAMES[0]}' is expected.")
    try:
        values = found.as_numpy().flatten().tolist()
        texts = [value.decode() if isinstance(value, bytes) else value for value in values]
    except Exception as error:  # numpy's and struct's words for a tensor that is none
        raise InvalidRequest(f"'{found.name}' is not a tensor of UTF-8 texts: {error}") from None
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f"'{found.name}' must hold texts only.")
    return texts, list(found.shape)
