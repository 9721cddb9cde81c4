import asyncio

from structlog.testing import capture_logs

from dfastllm.core import FinishReason, Request
from dfastllm.server.prompt_log import PromptLog
from support.scripted import BOS, ByteCodec, Say, ScriptedGenerator


def test_prompts_and_answers_are_told_at_debug_and_pass_unchanged() -> None:
    inner = ScriptedGenerator([Say("hel"), Say("lo", finish=FinishReason.STOP)])
    generator = PromptLog(inner, ByteCodec())
    assert generator.ready
    assert generator.alive

    async def read() -> str:
        (stream,) = generator.submit([Request("r1", (BOS, *b"Hi"), 8)])
        arrived = asyncio.Event()
        stream.listen(arrived.set)
        said = ""
        while True:
            await arrived.wait()
            arrived.clear()
            while chunk := stream.take():
                said += chunk.text
                if chunk.finish_reason is not None:
                    return said

    with capture_logs() as lines:
        assert asyncio.run(read()) == "hello"
    assert [(line["event"], line["log_level"], line["request_id"]) for line in lines] == [
        ("prompt", "debug", "r1"),
        ("answer", "debug", "r1"),
    ]
    assert lines[0]["text"].endswith("Hi")
    assert lines[1]["text"] == "hello"
