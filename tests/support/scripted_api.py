"""An API server of a few lines: it answers what a test puts into it, and remembers the requests.

Just enough HTTP for what stands between the operator and a real API server, which the integration
tests have; here errors, cuts and silence come when they are wanted.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from aiohttp import web

from dfastllm_operator.access import Access

Json = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """An error, as the API server spells it."""

    code: int
    message: str = "the test says so"
    headers: dict[str, str] = field(default_factory=dict)
    details: Json = field(default_factory=dict)

    def body(self) -> Json:
        details = {"details": self.details} if self.details else {}
        return {"kind": "Status", "code": self.code, "message": self.message, **details}


@dataclass(frozen=True)
class Text:
    """Something that is no object."""

    body: str
    code: int = 200


@dataclass(frozen=True)
class Stream:
    """Lines of a watch, and then its `end`: closed, cut, or silent."""

    events: tuple[tuple[str, Json], ...] = ()
    end: str = "closed"
    raw: bytes = b""


class Hang:
    """No answer at all."""


Answer = Json | Status | Text | Stream | Hang
Dynamic = Callable[["Asked"], Answer]


class Asked(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class ScriptedApi:
    """Use as an async context manager. Answers are used in turn; the last one stays."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Asked] = []
        self._folder = folder
        self._answers: dict[tuple[str, str], list[Answer | Dynamic]] = {}
        self._stopping = asyncio.Event()
        self.url = ""
        self.otherwise: Answer | Dynamic = Status(404, "not scripted")

    def on(self, method: str, path: str, *answers: Answer | Dynamic) -> None:
        self._answers[method, path] = list(answers)

    def requests(self, method: str, path: str) -> list[Asked]:
        return [a for a in self.asked if (a.method, a.path) == (method, path)]

    def login(self, token: str = "secret") -> Access:
        """A kubeconfig with that token; called again, the same file with another one."""
        file = self._folder / "kubeconfig"
        content = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": token}}],
        }
        file.write_text(yaml.safe_dump(content))
        return Access(str(file))

    async def __aenter__(self) -> "ScriptedApi":
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            json.loads(text) if text else None,
            {name.lower(): value for name, value in request.headers.items()},
        )
        self.asked.append(asked)
        answers = self._answers.get((asked.method, asked.path), [self.otherwise])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await self._reply(request, answer(asked) if callable(answer) else answer)

    async def _reply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if isinstance(answer, Hang):
            await self._stopping.wait()
        if isinstance(answer, Stream):
            return await self._stream(request, answer)
        if isinstance(answer, Status):
            body, code, headers = answer.body(), answer.code, answer.headers
            return web.json_response(body, status=code, headers=headers)
        if isinstance(answer, Text):
            return web.Response(text=answer.body, status=answer.code)
        return web.json_response(answer if isinstance(answer, dict) else {})

    async def _stream(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, obj in stream.events:
            line = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
            # In two parts: lines do not arrive as they were sent.
            await response.write(line[:20])
            await asyncio.sleep(0)
            await response.write(line[20:])
        if stream.raw:
            await response.write(stream.raw)
        if stream.end == "silent":
            await self._stopping.wait()
        if stream.end == "cut":
            assert request.transport is not None
            request.transport.abort()
        return response


def group(name: str, version: str) -> Json:
    """An API group as discovery shows it."""
    served = {"version": version, "groupVersion": f"{name}/{version}"}
    return {"name": name, "versions": [served], "preferredVersion": served}


def resources(plural: str, kind: str, *, namespaced: bool = True) -> Json:
    """What discovery says of a group and version with one kind."""
    return {
        "resources": [
            {
                "name": plural,
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": namespaced,
                "verbs": ["get", "list", "watch", "patch"],
            }
        ]
    }


def serve_services(api: ScriptedApi) -> None:
    """Discovery with DFastLLMServices, and with what kopf wants to see and does not use."""
    crds = "apiextensions.k8s.io"
    api.on("GET", "/api", {"versions": ["v1"]})
    api.on("GET", "/apis", {"groups": [group("dfastllm.io", "v1alpha1"), group(crds, "v1")]})
    api.on("GET", "/api/v1", resources("namespaces", "Namespace", namespaced=False))
    crd = resources("customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
    api.on("GET", f"/apis/{crds}/v1", crd)
    api.on("GET", "/apis/dfastllm.io/v1alpha1", resources("dfastllmservices", "DFastLLMService"))


def listed(*objects: Json, version: str = "1", after: str = "") -> Json:
    more = {"continue": after} if after else {}
    return {"metadata": {"resourceVersion": version, **more}, "items": list(objects)}


def made(name: str, version: int | str = 1, namespace: str = "ns", **meta: Any) -> Json:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            **meta,
        }
    }


def run(test: Awaitable[None], within_s: float = 20.0) -> None:
    """An asynchronous test; one that hangs fails by itself."""

    async def bounded() -> None:
        await asyncio.wait_for(test, within_s)

    asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; the test's own time-out ends the wait."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
