"""Which services claim which hostname, so that two cannot share one.

A service that names no hostname claims the one that is made of its name and namespace, which two
services may meet in as well (`a` in `b-c`, `a-b` in `c`). Who has a route with the hostname keeps
it: no spec can take it away. Among those without one the oldest service comes first.
"""

from dataclasses import dataclass

from dfastllm_operator import names
from dfastllm_operator.core import Json, Key


@dataclass(frozen=True, slots=True)
class _Claim:
    hostname: str
    created: str


class Claims:
    """Claims of all services, by Gateway and hostname; `domain`, `gateway`: the operator's."""

    def __init__(self, domain: str, gateway: str = "") -> None:
        self._domain = domain
        self._gateway = gateway
        self._of: dict[Key, _Claim] = {}
        self._by: dict[str, set[Key]] = {}
        self._routed: dict[Key, frozenset[str]] = {}

    def put(self, key: Key, service: Json) -> None:
        self.remove(key)
        hostname = self._claimed(key, service)
        if hostname:
            created = str(service["metadata"].get("creationTimestamp"))
            self._of[key] = _Claim(hostname, created)
            self._by.setdefault(hostname, set()).add(key)

    def remove(self, key: Key) -> None:
        claim = self._of.pop(key, None)
        if claim is None:
            return
        others = self._by[claim.hostname]
        others.discard(key)
        if not others:
            del self._by[claim.hostname]

    def routed(self, key: Key, route: Json) -> None:
        """The claims that the route of `key` has made good; none when it has no route."""
        spec = route.get("spec") or {}
        found = frozenset(
            f"{parent.get('namespace', key.namespace)}/{parent['name']} {hostname}"
            for parent in spec.get("parentRefs") or ()
            for hostname in spec.get("hostnames") or ()
        )
        if found:
            self._routed[key] = found
        else:
            self._routed.pop(key, None)

    def unrouted(self, namespace: str, route: str) -> None:
        """The route of that name is gone."""
        for key in [k for k in self._routed if k.namespace == namespace]:
            if names.dns_label(key.name) == route:
                del self._routed[key]

    def rival(self, key: Key) -> Key | None:
        """The service that has what `key` claims, or will get it; None when `key` may have it."""
        claim = self._of.get(key)
        if claim is None:
            return None
        first = min(self._by[claim.hostname], key=self._rank)
        return first if first != key else None

    def _rank(self, key: Key) -> tuple[bool, str, Key]:
        claim = self._of[key]
        return claim.hostname not in self._routed.get(key, ()), claim.created, key

    def _claimed(self, key: Key, service: Json) -> str:
        ingress = (service.get("spec") or {}).get("ingress") or {}
        if ingress.get("enabled") is False:
            return ""
        gateway = ingress.get("gateway") or self._gateway
        return f"{gateway} {ingress.get('hostname') or made_hostname(key, self._domain)}"


def made_hostname(key: Key, domain: str) -> str:
    """The hostname of a service that names none, as KServe forms it, within a DNS label."""
    return f"{names.dns_label(f'{key.name}-{key.namespace}')}.{domain}"
