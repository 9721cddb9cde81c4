"""Where the counters come from: what both sources have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from dfastllm_operator.analysis.window import Sample, Side


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod to be asked about. `ip` is empty as long as it has none."""

    name: str
    ip: str = ""


Targets = Mapping[Side, Sequence[Pod]]


class SourceFailed(Exception):
    """The source could not be asked, or did not answer as it should; the text says why."""


class TooLarge(Exception):
    """More was sent than anybody wants to read."""


class Source(Protocol):
    """Looks at all pods of both sides at one moment; raises SourceFailed.

    A source with a memory can be asked for an earlier moment; `remembers` says so.
    """

    @property
    def remembers(self) -> bool: ...

    async def sample(self, targets: Targets, at: float) -> Sample: ...


async def whole_body(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """All that is sent; TooLarge once it is more than `most_bytes`."""
    body = bytearray()
    async for chunk in content.iter_chunked(65_536):
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge(f"more than {most_bytes} bytes")
    return bytes(body)


def cause(error: Exception) -> str:
    """An exception in words, which some of them lack."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
