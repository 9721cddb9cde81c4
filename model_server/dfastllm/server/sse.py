"""A streamed answer on the wire: server-sent events, keep-alive comments, errors, the end.

The status line waits for the first news of the engine, so that a request that fails early still
gets a plain error which clients know how to repeat; after that an error is one event, and the
stream ends without `[DONE]`.
"""

import time
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dfastllm.errors import Cancelled
from dfastllm.server.answers import StreamWriter, frame
from dfastllm.server.context import AnswerStream
from dfastllm.server.errors import ErrorReply, error_response, note_error, reply_for
from dfastllm.server.fanin import Batch, FanIn

_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """Writes one answer while it is computed; whatever ends the response ends the computing."""

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        streams: Sequence[AnswerStream],
        writer: StreamWriter,
        keepalive_s: float,
        headers: Mapping[str, str],
    ):
        self.status_code = 200
        self.background = None
        self.init_headers({**_HEADERS, **headers})
        self._request = request
        self._streams = streams
        self._writer = writer
        self._keepalive_s = keepalive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with FanIn(self._streams, receive, self._keepalive_s) as answers:
            try:
                first = await anext(answers)
            except Exception as error:
                await error_response(error, self._request)(scope, receive, send)
                return
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._write(first, answers, send)

    async def _write(self, first: Batch, answers: FanIn, send: Send) -> None:
        try:
            await self._write_answer(first, answers, send)
        except (Cancelled, OSError):  # some servers raise OSError at a closed socket
            self._note(Cancelled("the caller went away"))
            return
        except Exception as error:
            await _send(send, frame(self._note(error).body()))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write_answer(self, first: Batch, answers: FanIn, send: Send) -> None:
        body = self._writer.opening() + self._writer.events(first)
        await _send(send, body or _KEEP_ALIVE)
        sent_at = time.monotonic()
        async for batch in answers:
            body = self._writer.events(batch)
            # Chunks may come and hold nothing for the reader yet: that is silence as well.
            silent = not batch or time.monotonic() - sent_at >= self._keepalive_s
            if body or silent:
                await _send(send, body or _KEEP_ALIVE)
                sent_at = time.monotonic()
        await _send(send, self._writer.closing())

    def _note(self, error: Exception) -> ErrorReply:
        reply = reply_for(error)
        note_error(reply, self._request, error)
        return reply


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
