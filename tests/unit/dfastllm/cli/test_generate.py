import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dfastllm.cli import build_cli
from support.checkpoints import random_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(build_cli(), ["generate", *args], input=stdin)


def generate(model: Path, *args: str, stdin: str | None = None) -> dict:
    result = run(*args, "--model", str(model), "--max-tokens", "12", "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_holds_the_answer_its_cost_and_all_parameters(model: Path):
    report = generate(model, "hello", "--strategy", "fixed", "--steps", "6", "--block-length", "6")
    assert set(report) == {"text", "token_ids", "finish_reason", "stats", "params"}
    assert report["params"]["steps"] == 6
    assert report["params"]["strategy"] == "fixed"
    assert report["stats"]["forward_passes"] == 6
    assert report["stats"]["completion_tokens"] == len(report["token_ids"]) == 12
    assert report["stats"]["tokens_per_forward"] == 2.0
    assert report["finish_reason"] == "length"


def test_a_preset_is_the_rule_that_the_model_means_and_other_flags_go_first(model: Path):
    params = generate(model, "hello", "--preset", "fast")["params"]
    assert (params["strategy"], params["threshold"]) == ("threshold", 0.7)
    params = generate(model, "hello", "--preset", "fast", "--threshold", "0.8")["params"]
    assert params["threshold"] == 0.8


@pytest.fixture(scope="module")
def hello(model: Path) -> dict:
    return generate(model, "hello")


@pytest.mark.parametrize("args", [(), ("-",)])
def test_the_prompt_may_come_through_a_pipe(model: Path, hello: dict, args: tuple[str, ...]):
    assert generate(model, *args, stdin="hello\n")["token_ids"] == hello["token_ids"]


def test_raw_leaves_the_chat_template_out(model: Path, hello: dict):
    raw = generate(model, "hello", "--raw")
    assert raw["stats"]["prompt_tokens"] < hello["stats"]["prompt_tokens"]


def test_a_model_without_template_is_prompted_raw(tmp_path: Path, hello: dict):
    model = random_checkpoint(tmp_path, template=False)
    raw = generate(model, "hello")
    assert raw["stats"]["prompt_tokens"] < hello["stats"]["prompt_tokens"]
    refused = run("hello", "--model", str(model), "--chat")
    assert refused.exit_code == 2
    assert "no chat template" in refused.stderr


def test_a_seed_makes_draws_repeatable(model: Path):
    args = ("hello", "--temperature", "1.5", "--seed")
    seven, again, eight = (generate(model, *args, seed)["token_ids"] for seed in ("7", "7", "8"))
    assert seven == again != eight


def test_without_a_terminal_the_answer_alone_is_printed(model: Path, hello: dict):
    result = run("hello", "--model", str(model), "--max-tokens", "12")
    assert result.stdout == hello["text"] + "\n"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--threshold", "2"), "--threshold"),
        (("--max-tokens", "0"), "--max-tokens"),
        (("--temperature", "-1"), "--temperature"),
        (("--top-p", "0"), "--top-p"),
        (("--steps", "4", "--threshold", "0.5"), "--threshold belongs to the strategy"),
        (("--steps", "99", "--max-tokens", "8"), "--steps must lie between"),
        (("--max-tokens", "100000"), "context"),
        (("--strategy", "magic"), "--strategy"),
        (("--preset", "turbo"), "--preset"),
        (("--preset", "quality", "--threshold", "0.5"), "the preset 'quality' is: strategy fixed"),
        (("--stop", ""), "--stop"),
    ],
)
def test_a_bad_value_is_named_and_is_a_usage_error(model: Path, args: tuple[str, ...], words: str):
    result = run("hello", "--model", str(model), *args)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_model_that_is_not_there_is_a_usage_error(tmp_path: Path):
    result = run("hello", "--model", str(tmp_path / "nothing"))
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_empty_prompt_is_refused():
    assert run("-", stdin="  \n").exit_code == 2
