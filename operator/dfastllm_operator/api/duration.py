"""Durations as people write them in YAML: `90s`, `10m`, `1h30m`."""

import re
from typing import Annotated

from pydantic import StringConstraints

PATTERN = r"^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"

Duration = Annotated[str, StringConstraints(pattern=PATTERN, min_length=2, max_length=18)]

_PART = re.compile(r"([0-9]+)([hms])")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """`1h30m` is 5400."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(duration))
