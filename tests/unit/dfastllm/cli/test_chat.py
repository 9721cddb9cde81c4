from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dfastllm.cli import build_cli
from dfastllm.core import FinishReason, Request
from dfastllm.errors import Overloaded
from support.checkpoints import random_checkpoint
from support.scripted import BOS, Say, ScriptedGenerator, bare_app, server_context, serving


def chat(stdin: str, *args: str) -> Result:
    return CliRunner().invoke(build_cli(), ["chat", *args], input=stdin)


def echo(request: Request) -> list[Say]:
    """What the conversation looked like, on one line."""
    text = bytes(i for i in request.prompt if i < BOS).decode().strip().replace("\n", "|")
    return [Say(text[: len(text) // 2]), Say(text[len(text) // 2 :], finish=FinishReason.STOP)]


@pytest.fixture
def server() -> Iterator[tuple[ScriptedGenerator, str]]:
    engine = ScriptedGenerator(script_for=echo)
    with serving(bare_app(server_context(engine))) as url:
        yield engine, url


def test_a_conversation_with_a_server_carries_its_turns(server: tuple[ScriptedGenerator, str]):
    result = chat("one\n\ntwo\n/reset\nthree\n/exit\nnever\n", "--url", server[1])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "user:one",
        "user:one|assistant:user:one|user:two",
        "the conversation is forgotten",
        "user:three",
    ]


def test_the_end_of_input_leaves(server: tuple[ScriptedGenerator, str]):
    assert chat("", "--url", server[1] + "/v1").exit_code == 0


def test_flags_reach_the_server(server: tuple[ScriptedGenerator, str]):
    engine, url = server
    flags = ("--preset", "fast", "--threshold", "0.5", "--max-tokens", "9", "--seed", "3")
    chat("hi\n", "--url", url, *flags)
    (request,) = engine.requests
    assert request.decoding.threshold == 0.5
    assert request.max_tokens == 9
    assert request.sampling.seed == 3


def test_a_turn_that_fails_is_forgotten_and_the_conversation_goes_on(
    server: tuple[ScriptedGenerator, str],
):
    engine, url = server
    engine.script_for = lambda r: (
        [Say("ha"), Say(error=Overloaded("full"))] if b"bad" in bytes(r.prompt[1:]) else echo(r)
    )
    result = chat("bad\ngood\n", "--url", url)
    assert result.stdout.splitlines() == ["user:good"]
    assert result.stderr.startswith("Error: ")


def test_an_unknown_command_is_not_sent(server: tuple[ScriptedGenerator, str]):
    assert "there is no /quit" in chat("/quit\n", "--url", server[1]).stdout
    assert server[0].requests == []


@pytest.mark.parametrize(
    ("url", "status"), [("ftp://127.0.0.1", 2), ("127.0.0.1:80", 2), ("http://127.0.0.1:1", 1)]
)
def test_a_server_that_cannot_be_talked_to_is_one_line(url: str, status: int):
    result = chat("hi\n", "--url", url)
    assert result.exit_code == status
    assert result.stderr.count("\n") == 1


def test_a_model_the_server_does_not_have_is_refused(server: tuple[ScriptedGenerator, str]):
    result = chat("hi\n", "--url", server[1], "--model", "other")
    assert result.exit_code == 1
    assert "tiny" in result.stderr


@pytest.mark.parametrize("name", ["builtin:nothing", "/nowhere", "nothing"])
def test_a_model_that_is_not_there_is_a_usage_error(name: str):
    result = chat("hi\n", "--model", name)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_a_model_is_talked_to_here(tmp_path: Path):
    model = random_checkpoint(tmp_path)
    result = chat("hello\nmore\n", "--model", str(model), "--max-tokens", "8")
    assert result.exit_code == 0
    assert result.stderr == ""
