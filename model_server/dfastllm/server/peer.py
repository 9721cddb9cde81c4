"""Who is at the other end of the connection, when proxies may stand between.

X-Forwarded-For is a claim of the sender. It is read from the right, and only as long as the address
before it belongs to a network the operator trusts; what a client wrote further left is never
reached.
"""

from collections.abc import MutableMapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"


def client_address(scope: MutableMapping[str, Any], trusted: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy's. An IPv6 client is its /64."""
    client = scope.get("client")
    address = _parse(client[0]) if client else None
    if address is None:
        return UNKNOWN
    if trusted:
        for claim in reversed(_forwarded(scope)):
            if not _is_in(address, trusted):
                break
            before = _parse(claim)
            if before is None:
                break
            address = before
    return _bucket(address)


def _forwarded(scope: MutableMapping[str, Any]) -> list[str]:
    claims: list[str] = []
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            claims.extend(value.decode("latin-1").split(","))
    return claims


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _bucket(address: Address) -> str:
    """One household or host has a whole /64 of IPv6 addresses to choose from."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address)
