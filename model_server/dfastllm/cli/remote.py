"""A running server's OpenAI API as a partner to talk to: answers streamed over httpx."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from dfastllm.core import CanvasState
from dfastllm.errors import DFastError, InvalidRequest

Messages = Sequence[Mapping[str, str]]
TIMEOUT = httpx.Timeout(10.0, read=600.0)


class RemoteError(DFastError):
    """The server could not be reached, refused, or broke off."""


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """What a streamed answer came to; the counts are None where the server sends none."""

    text: str
    completion_tokens: int | None
    forwards: int | None
    verifier_passes: int = 0


class RemoteModel:
    """One model of one server; to be closed. Raises RemoteError."""

    def __init__(self, url: str, *, model: str | None = None, api_key: str | None = None):
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # A proxy of the environment is for the web, not for the server named here.
        self._client = httpx.Client(
            base_url=api_base(url), headers=headers, timeout=TIMEOUT, trust_env=False
        )
        try:
            served = self._models()
            names = [str(entry.get("id")) for entry in served]
            if model is not None and model not in names:
                raise RemoteError(f"{url} serves {', '.join(names)}, not {model}")
        except RemoteError:
            self.close()
            raise
        self.name = model or names[0]
        self._is_ours = served[0].get("owned_by") == "dfastllm"

    def close(self) -> None:
        self._client.close()

    def answer(
        self,
        messages: Messages,
        body: Mapping[str, Any],
        *,
        on_text: Callable[[str], None],
        on_canvas: Callable[[CanvasState], None] | None = None,
    ) -> RemoteAnswer:
        """Stream one answer; canvases come from a dfastllm server only."""
        request = {**body, "model": self.name, "messages": list(messages), "stream": True}
        request["stream_options"] = {"include_usage": True}
        if on_canvas is not None and self._is_ours:
            request["diffusion"] = {**request.get("diffusion", {}), "stream_canvas": True}
        text = ""
        usage: Mapping[str, Any] = {}
        report: Mapping[str, Any] = {}
        for event in self._stream(request):
            usage = event.get("usage") or usage
            diffusion = event.get("diffusion") or {}
            if "canvas" in diffusion and on_canvas is not None:
                on_canvas(_canvas(diffusion["canvas"]))
            report = diffusion if "forward_passes" in diffusion else report
            for choice in event.get("choices", ()):
                piece = choice.get("delta", {}).get("content") or ""
                text += piece
                if piece:
                    on_text(piece)
        return RemoteAnswer(
            text,
            usage.get("completion_tokens"),
            report.get("forward_passes"),
            report.get("verifier_passes", 0),
        )

    def _models(self) -> list[dict[str, Any]]:
        try:
            reply = self._client.get("models")
            reply.raise_for_status()
            found = reply.json()["data"]
        except httpx.HTTPStatusError as error:
            raise RemoteError(error_text(error.response)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(f"cannot reach {self._client.base_url}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(f"{self._client.base_url} is no OpenAI API") from error
        if not isinstance(found, list) or not found:
            raise RemoteError(f"{self._client.base_url} serves no model")
        return found

    def _stream(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        try:
            with self._client.stream("POST", "chat/completions", json=request) as reply:
                if reply.status_code != httpx.codes.OK:
                    reply.read()
                    raise RemoteError(error_text(reply))
                for line in reply.iter_lines():
                    data = event_data(line)
                    if data == "[DONE]":
                        return
                    if data is None:
                        continue
                    event = json.loads(data)
                    if "error" in event:
                        raise RemoteError(str(event["error"].get("message", event["error"])))
                    yield event
        except httpx.HTTPError as error:
            raise RemoteError(f"the connection failed: {error or type(error).__name__}") from error
        except ValueError as error:
            raise RemoteError(f"the server sent no JSON: {error}") from error
        raise RemoteError("the answer broke off")


def api_base(url: str) -> str:
    """`http://host:port` with or without /v1, as the base of API paths; raises InvalidRequest."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"{url!r} is no address: {error}", param="url") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(f"{url!r} is no http:// or https:// address", param="url")
    path = parsed.path.rstrip("/")
    return str(parsed.copy_with(path=(path if path.endswith("/v1") else path + "/v1") + "/"))


def event_data(line: str) -> str | None:
    """The data of one line of a server-sent event stream; None for comments and blanks."""
    return line[5:].strip() if line.startswith("data:") else None


def error_text(reply: httpx.Response) -> str:
    """One line on a refusal, in the server's own words where it has any."""
    try:
        message = reply.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = reply.reason_phrase
    return f"HTTP {reply.status_code}: {message}"


def _canvas(canvas: Mapping[str, Any]) -> CanvasState:
    return CanvasState(int(canvas["step"]), tuple(canvas["token_ids"]), str(canvas["text"]))
