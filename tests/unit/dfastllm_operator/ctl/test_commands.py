"""The commands as they are typed, against an API server that answers what a test wants."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dfastllm_operator.ctl.commands import build_ctl
from support.loopthread import LoopThread
from support.rollouts import Json, failed, service, under_way
from support.scripted_api import ScriptedApi, Status, Stream, listed

SERVICES = "/apis/dfastllm.io/v1alpha1/namespaces/team/dfastllmservices"
CHAT = f"{SERVICES}/chat"
KIND = {"resources": [{"name": "dfastllmservices"}]}


class Typed:
    """An API server, and the command with a kubeconfig that leads there."""

    def __init__(self, api: ScriptedApi, kubeconfig: str) -> None:
        self.api = api
        self.kubeconfig = kubeconfig

    def __call__(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(build_ctl(), [*words, "--kubeconfig", self.kubeconfig])
        return result.exit_code, result.output

    def patched(self) -> list[Json]:
        return [asked.body["metadata"] for asked in self.api.requests("PATCH", CHAT)]


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    loop = LoopThread("api")
    loop.start()
    api = ScriptedApi(tmp_path)
    loop.run(api.__aenter__())
    api.login()
    file = tmp_path / "kubeconfig"
    content = yaml.safe_load(file.read_text())
    content["contexts"][0]["context"]["namespace"] = "team"
    file.write_text(yaml.safe_dump(content))
    api.on("GET", "/apis/dfastllm.io/v1alpha1", KIND)
    try:
        yield Typed(api, str(file))
    finally:
        loop.run(api.__aexit__())
        loop.stop()


def test_status_is_shown_for_the_contexts_namespace(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    status, text = typed("status", "chat")
    assert status == 0
    assert "team/chat  Analyzing" in text
    assert "candidate  bbbb222222  slot b   10 %" in text


def test_an_order_is_an_annotation_on_the_cr_as_it_was_read(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    typed.api.on("PATCH", CHAT, service(under_way()))
    assert typed("promote", "chat") == (
        0,
        "team/chat: candidate bbbb222222 is to get all traffic now\n",
    )
    (metadata,) = typed.patched()
    assert (metadata["uid"], metadata["resourceVersion"]) == ("uid-chat", "7")
    ((annotation, value),) = metadata["annotations"].items()
    assert annotation == "dfastllm.io/rollout-promote"
    assert re.fullmatch(r"bbbb222222/\d{8}T\d{6}Z-[0-9a-f]{6}", value)
    (asked,) = typed.api.requests("PATCH", CHAT)
    assert asked.query == {"fieldManager": "dfastllm-ctl"}
    assert asked.headers["content-type"] == "application/merge-patch+json"


def test_abort_and_retry_are_asked_for(typed: Typed) -> None:
    typed.api.on("PATCH", CHAT, service(None))
    typed.api.on("GET", CHAT, service(under_way()))
    assert typed("abort", "chat")[0] == 0
    typed.api.on("GET", CHAT, service(failed()))
    assert typed("retry", "chat")[0] == 0
    kinds = [name for metadata in typed.patched() for name in metadata["annotations"]]
    assert kinds == ["dfastllm.io/rollout-abort", "dfastllm.io/rollout-retry"]


def test_an_order_is_weighed_anew_when_the_cr_has_moved_on(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()), service(under_way("RollingBack")))
    typed.api.on("PATCH", CHAT, Status(409))
    status, text = typed("promote", "chat")
    assert status == 1
    assert text.startswith("Error: the candidate of team/chat is being taken away already")
    assert len(typed.patched()) == 1


def test_a_cr_that_never_stands_still_is_given_up(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    typed.api.on("PATCH", CHAT, Status(409, "has been modified"))
    assert typed("promote", "chat") == (1, "Error: has been modified\n")
    assert len(typed.patched()) == 5


@pytest.mark.parametrize("verb", ["status", "watch", "promote", "abort", "retry", "history"])
def test_a_service_that_does_not_exist_is_said_so(typed: Typed, verb: str) -> None:
    assert typed(verb, "chat") == (
        1,
        "Error: there is no DFastLLMService chat in namespace team\n",
    )


def test_a_cluster_without_the_operator_is_said_so(typed: Typed) -> None:
    typed.api.on("GET", "/apis/dfastllm.io/v1alpha1", Status(404))
    status, text = typed("status", "chat")
    assert status == 1
    assert "this cluster has no DFastLLMServices: the operator is not installed" in text


@pytest.mark.parametrize("verb", ["promote", "abort", "retry"])
def test_a_service_without_a_rollout_takes_no_orders(typed: Typed, verb: str) -> None:
    typed.api.on("GET", CHAT, service(None))
    status, text = typed(verb, "chat")
    assert status == 1
    assert "Error: team/chat has no rollout (strategy Canary): set spec.rollout.strategy" in text
    assert typed.patched() == []


def test_what_is_not_allowed_is_said_in_the_servers_words(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    typed.api.on("PATCH", CHAT, Status(403, 'User "eve" cannot patch resource'))
    assert typed("promote", "chat") == (
        1,
        'Error: not allowed: User "eve" cannot patch resource\n',
    )


def test_a_server_that_is_away_is_one_line(typed: Typed) -> None:
    file = Path(typed.kubeconfig)
    file.write_text(file.read_text().replace(typed.api.url, "http://127.0.0.1:1"))
    status, text = typed("status", "chat")
    assert status == 1
    assert text.startswith("Error: no answer from the API server: ")
    assert "Traceback" not in text


def test_missing_credentials_are_one_line(typed: Typed) -> None:
    typed.kubeconfig = "/nowhere/kubeconfig"
    assert typed("status", "chat") == (1, "Error: there is no kubeconfig /nowhere/kubeconfig\n")


def test_another_context_is_another_cluster_and_namespace(typed: Typed) -> None:
    file = Path(typed.kubeconfig)
    content = yaml.safe_load(file.read_text())
    right = {"cluster": "test", "user": "test", "namespace": "team"}
    wrong = {"cluster": "away", "user": "test", "namespace": "other"}
    content["contexts"] = [{"name": "r", "context": right}, {"name": "w", "context": wrong}]
    content["current-context"] = "w"
    content["clusters"].append({"name": "away", "cluster": {"server": "http://127.0.0.1:1"}})
    file.write_text(yaml.safe_dump(content))
    typed.api.on("GET", CHAT, service(under_way()))
    assert typed("status", "chat")[0] == 1
    assert typed("status", "chat", "--context", "r")[0] == 0
    status, text = typed("status", "chat", "--context", "x")
    assert status == 1
    assert text.startswith("Error: cannot log in with ")


def test_history_lists_the_revisions_of_the_service(typed: Typed) -> None:
    record = {
        "metadata": {
            "creationTimestamp": "2026-11-27T10:00:00Z",
            "ownerReferences": [{"uid": "uid-chat"}],
        },
        "data": {
            "hash": "aaaa111111",
            "inputs": {"model": {"uri": "builtin://tiny"}},
            "resolved": {"image": "server:1"},
        },
    }
    typed.api.on("GET", CHAT, service(under_way()))
    records = "/apis/apps/v1/namespaces/team/controllerrevisions"
    typed.api.on("GET", records, listed(record))
    status, text = typed("history", "chat")
    assert status == 0
    assert text.splitlines()[1].split() == [
        "aaaa111111",
        "2026-11-27T10:00:00Z",
        "stable",
        "builtin://tiny",
        "server:1",
    ]
    (asked,) = typed.api.requests("GET", records)
    assert asked.query["labelSelector"] == "dfastllm.io/service=chat"


def test_watch_follows_changes_to_the_end(typed: Typed) -> None:
    events = (
        ("MODIFIED", service(under_way())),
        ("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
        ("MODIFIED", service(failed())),
    )
    typed.api.on("GET", CHAT, service(under_way("Preparing")))
    typed.api.on("GET", SERVICES, Stream(events, end="silent"))
    status, text = typed("watch", "chat", "--until-done")
    assert status == 1
    assert [row.split()[1] for row in text.splitlines()] == ["Preparing", "Analyzing", "Failed"]
    (asked,) = typed.api.requests("GET", SERVICES)
    assert asked.query["fieldSelector"] == "metadata.name=chat"
    assert asked.query["resourceVersion"] == "7"


@pytest.mark.parametrize(
    "broken",
    [
        Stream((), end="cut"),
        Stream((), end="closed"),
        Stream((("ERROR", {"code": 410, "message": "too old"}),)),
        Status(503),
    ],
)
def test_watch_goes_on_after_an_interruption(typed: Typed, broken: Stream | Status) -> None:
    typed.api.on("GET", CHAT, service(under_way()), service({"phase": "Stable"}))
    typed.api.on("GET", SERVICES, broken, Stream((), end="silent"))
    status, text = typed("watch", "chat", "--until-done")
    assert status == 0
    assert [row.split()[1] for row in text.splitlines()] == ["Analyzing", "Stable"]


def test_watch_gives_up_in_time(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    typed.api.on("GET", SERVICES, Stream((), end="silent"))
    status, text = typed("watch", "chat", "--until-done", "--timeout", "1s")
    assert status == 1
    assert text.endswith("Error: not done within 1s\n")


def test_a_time_that_is_none_is_said_so(typed: Typed) -> None:
    status, text = typed("watch", "chat", "--timeout", "soon")
    assert status == 2
    assert "soon is no time: write for example 90s, 30m or 1h30m" in text


@pytest.mark.parametrize("name", ["dfs/chat", "dfastllmservice.dfastllm.io/chat"])
def test_names_may_be_written_as_kubectl_prints_them(typed: Typed, name: str) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    assert typed("status", name)[0] == 0


@pytest.mark.parametrize("name", ["", "..", "Chat", "pod/chat", "chat/../x", "a b"])
def test_what_can_be_no_name_is_not_asked_for(typed: Typed, name: str) -> None:
    status, text = typed("status", name)
    assert status == 1
    assert f"Error: {name!r} is no name of a service" in text
    assert not typed.api.requests("GET", CHAT)


def test_flags_may_stand_before_the_command(typed: Typed) -> None:
    typed.api.on("GET", CHAT.replace("team", "other"), service(under_way()))
    result = CliRunner().invoke(
        build_ctl(), ["-n", "other", "--kubeconfig", typed.kubeconfig, "status", "chat"]
    )
    assert result.exit_code == 0
    assert "Analyzing" in result.output


def test_watch_ends_with_the_service(typed: Typed) -> None:
    typed.api.on("GET", CHAT, service(under_way()))
    typed.api.on("GET", SERVICES, Stream((("DELETED", service(None)),), end="silent"))
    status, text = typed("watch", "chat")
    assert status == 1
    assert text.endswith("Error: DFastLLMService team/chat has been deleted\n")


@pytest.mark.parametrize("words", [["--help"], ["watch", "--help"], ["promote", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from dfastllm_operator.ctl.commands import build_ctl\n"
        f"try: build_ctl()({words!r})\n"
        "except SystemExit: pass\n"
        "assert not {'kopf', 'kubernetes', 'aiohttp'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
