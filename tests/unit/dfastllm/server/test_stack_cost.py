import time

import anyio
from starlette.types import Message, Receive, Scope, Send

from support.served import Served

ROUNDS = 2000


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_all_middlewares_together_cost_little_beside_a_forward() -> None:
    flags = {"request_rate": "1000000/second", "token_rate": "1000000/second"}
    app = Served({**flags, "access_log": "false"}, make_app=lambda _: nothing).app

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None: ...

    async def rounds() -> float:
        began = time.process_time()
        for _ in range(ROUNDS):
            scope: Scope = {"type": "http", "method": "POST", "path": "/v1/completions"}
            scope.update({"headers": [(b"host", b"x")], "client": ("192.0.2.1", 1), "state": {}})
            await app(scope, receive, send)
        return (time.process_time() - began) / ROUNDS

    assert min(anyio.run(rounds) for _ in range(3)) < 500e-6
