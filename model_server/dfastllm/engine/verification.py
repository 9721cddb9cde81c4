"""What a row keeps of its verifier, in host numbers."""

from dataclasses import dataclass, field

from dfastllm.cache.pool import RowKV


@dataclass(slots=True)
class Verification:
    """The verifier's side of one row.

    `kv` is the row's own where the verifier is the network that reads the context. `passes`,
    `drafted` and `accepted` are counts of `RequestStats`.
    """

    kv: RowKV = field(default_factory=RowKV)
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
