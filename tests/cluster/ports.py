"""Ports of 127.0.0.1 that belong to one rig, so that two can run side by side.

A rig claims a whole block by keeping the block's first port bound. Blocks lie below the range out
of which the system takes the ports of outgoing connections.
"""

import random
import socket

HOST = "127.0.0.1"
FIRST, LAST = 15_000, 32_000
BLOCK = 32
TRIES = 200


class Ports:
    """The block; `take` hands out its ports one after another."""

    def __init__(self) -> None:
        for start in random.sample(range(FIRST, LAST, BLOCK), TRIES):
            if claim := _claim(start):
                self._claim = claim
                self._next = start + 1
                self._end = start + BLOCK
                return
        raise OSError(f"no free ports between {FIRST} and {LAST} on {HOST}")

    def take(self) -> int:
        while self._next < self._end:
            port, self._next = self._next, self._next + 1
            if _free(port):
                return port
        raise OSError(f"the rig's {BLOCK} ports are used up")

    def release(self) -> None:
        self._claim.close()


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket()
    try:
        claim.bind((HOST, port))
    except OSError:
        claim.close()
        return None
    return claim


def _free(port: int) -> bool:
    """For whoever listens on all addresses too: some of the rig's programs do."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True
