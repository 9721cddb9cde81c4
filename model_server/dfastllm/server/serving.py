"""The socket side, the same for the plain and the KServe form: uvicorn, bounded and told to stop.

uvicorn's own signal handling would close the port at the first signal; here `lifecycle` decides.
"""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dfastllm.errors import DFastError
from dfastllm.server.lifecycle import Lifecycle, Loaded
from dfastllm.settings import ServerSection, Settings

log = structlog.get_logger("dfastllm.server")

MAX_HEAD_BYTES = 64 * 1024  # request line and headers of one request
CONNECTION_AGE_S = 10.0
"""Then the next answer is a connection's last. Clients in a cluster are spread, and led elsewhere,
when they connect: one that kept its connection would ask a pod that is about to go until it goes.
"""
_LEAST_BODY_BYTES = 1024  # of an unfinished body, in each idle time; less is no progress
_CUT_OFF_S = 1  # for connections that are still open when the grace period is over
_CERTIFICATE_TICKS = 100  # of a tenth of a second
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\nconnection: close\r\n"
)
_TOO_LARGE_BODY = (
    b'{"error":{"message":"The headers are larger than this server takes.",'
    b'"type":"invalid_request_error","param":null,"code":"headers_too_large"}}'
)


class ListenError(DFastError):
    """The address cannot be listened on, or not with this certificate."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's fast protocol, which by itself waits for and collects headers without end.

    It also waits for bodies without end, answers HTTP/1.0 in chunks, and keeps connections that are
    used for ever.
    """

    _opened_at = 0.0
    _in_head = False
    _head_bytes = 0
    _body_bytes = 0  # since the body was last looked at
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._opened_at = self.loop.time()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        # The piece in which a head begins may also hold the end of a body; it is small anyway.
        self._head_bytes += len(data) if was_in_head and self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            length = f"content-length: {len(_TOO_LARGE_BODY)}\r\n\r\n".encode()
            self.transport.write(_TOO_LARGE + length + _TOO_LARGE_BODY)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] < "1.1":
            app = _without_chunks(cycle, app)
        if self.loop.time() - self._opened_at >= CONNECTION_AGE_S:
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def _expect_head(self) -> None:
        """A head that does not come, or not to its end, costs its connection."""
        self._stop_waiting()
        self._waiting = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _expect_body(self) -> None:
        self._stop_waiting()
        self._body_bytes = 0
        self._waiting = self.loop.call_later(self.timeout_keep_alive, self._judge_body)

    def _judge_body(self) -> None:
        """So does a body that stands still, unless it is we who do not read it."""
        if self._body_bytes >= _LEAST_BODY_BYTES or self.flow.read_paused:
            self._expect_body()
        else:
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _without_chunks(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """The application for a client of HTTP/1.0, to whom the end of an answer is the connection's.

    uvicorn frames what announces no length in chunks, which such a client takes for content. It
    looks at these two fields of the cycle to do so.
    """

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        announced = True

        async def send_plain(message: Message) -> None:
            nonlocal announced
            if message["type"] == "http.response.start":
                cycle.keep_alive = False
                names = {name.lower() for name, _ in message.get("headers", ())}
                announced = b"content-length" in names
                if not announced:
                    cycle.chunked_encoding = False
            elif not announced:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return plain


class HttpServer(uvicorn.Server):
    """Leaves signals to the lifecycle, and takes renewed certificates without a restart."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]):
        super().__init__(config)
        self._on_started = on_started
        self._certificates: tuple[float, ...] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def on_tick(self, counter: int) -> bool:
        if self.config.ssl is not None and counter % _CERTIFICATE_TICKS == 0:
            self._renew_certificates()
        return await super().on_tick(counter)

    def _renew_certificates(self) -> None:
        config = self.config
        if config.ssl is None or config.ssl_certfile is None or config.ssl_keyfile is None:
            return
        files = (config.ssl_certfile, config.ssl_keyfile)
        try:
            times = tuple(Path(file).stat().st_mtime for file in files)
            if self._certificates not in (None, times):
                config.ssl.load_cert_chain(*files)
                log.info("certificate read again")
            self._certificates = times
        except OSError as error:  # also ssl.SSLError: half-written files are tried again
            log.warning("certificate could not be read again", error=str(error))


def serve(
    asgi: ASGIApp, settings: Settings, lifecycle: Lifecycle, load: Callable[[], Loaded]
) -> int:
    """Listen, load, serve and drain; the exit status. Raises ListenError."""
    server = settings.server
    config = uvicorn_config(asgi, server)
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ListenError(f"cannot use the certificate in {server.tls_cert}: {error}") from None
    listener = _listen(server)
    _raise_file_limit(server.max_connections)
    uvicorn_server = HttpServer(config, partial(announce, settings, listener.getsockname()[1]))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        return runner.run(lifecycle.run(uvicorn_server, load, [listener]))


def uvicorn_config(asgi: ASGIApp, server: ServerSection) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # X-Forwarded-For is judged by `peer`; uvicorn would believe it from any local proxy.
        proxy_headers=False,
        root_path=server.root_path,
        limit_concurrency=server.max_connections,
        timeout_keep_alive=server.idle_timeout_s,
        timeout_graceful_shutdown=_CUT_OFF_S,
        ssl_certfile=server.tls_cert,
        ssl_keyfile=server.tls_key,
    )


def announce(settings: Settings, port: int) -> None:
    """Where the server listens, and a line to paste."""
    server = settings.server
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(server.host, server.host)
    host = f"[{host}]" if ":" in host else host
    url = f"http{'s' if server.tls_cert else ''}://{host}:{port}"
    key = " -H 'Authorization: Bearer KEY'" if settings.auth.api_keys_file else ""
    name = settings.model.served_names[0]
    body = f'{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    line = f"curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'"
    log.info("listening", url=url, address=server.host, try_it=line)


def _listen(server: ServerSection) -> socket.socket:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError(f"cannot listen on {server.host}:{server.port}: {reason}") from None


def _raise_file_limit(connections: int) -> None:
    """A soft limit of 1024 files is common, and every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 512
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
