"""An order given to the operator: weighed against the CR as it is, and written on that state."""

import secrets
from datetime import UTC, datetime

from dfastllm_operator.core import Key
from dfastllm_operator.ctl.door import Door
from dfastllm_operator.ctl.orders import Verb, order
from dfastllm_operator.ctl.view import view
from dfastllm_operator.errors import Conflict

TRIES = 5
"""The operator writes status meanwhile; each time the order is weighed anew."""


async def give(door: Door, key: Key, verb: Verb) -> str:
    """What was asked for, in words; `orders.Refused` when it cannot be asked for."""
    for left in reversed(range(TRIES)):
        cr = await door.service(key)
        wanted = order(verb, view(cr), nonce())
        try:
            await door.annotate(cr, wanted.annotation, wanted.value)
        except Conflict:
            if not left:
                raise
        else:
            return wanted.said
    raise AssertionError("the last try returns or raises")


def nonce() -> str:
    """When it was asked for, and something that no other order has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
