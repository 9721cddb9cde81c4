"""Which services claim which hostname, so that two cannot share one.

A service that names no hostname claims the one that is made of its name and namespace, which two
services may meet in as well (`a` in `b-c`, `a-b` in `c`). The oldest claim wins, as at a Gateway.
"""

from dfastllm_operator.core import Json, Key


class Claims:
    """Claims of all services, by hostname."""

    def __init__(self) -> None:
        self._of: dict[Key, tuple[str, str]] = {}
        self._by: dict[str, set[Key]] = {}

    def put(self, key: Key, service: Json) -> None:
        self.remove(key)
        hostname = _claimed(key, service)
        if hostname:
            self._of[key] = hostname, str(service["metadata"].get("creationTimestamp"))
            self._by.setdefault(hostname, set()).add(key)

    def remove(self, key: Key) -> None:
        hostname, _ = self._of.pop(key, ("", ""))
        if not hostname:
            return
        others = self._by[hostname]
        others.discard(key)
        if not others:
            del self._by[hostname]

    def older(self, key: Key) -> Key | None:
        """The service with the oldest claim on what `key` claims, unless that is `key` itself."""
        if key not in self._of:
            return None
        hostname, _ = self._of[key]
        first = min(self._by[hostname], key=lambda other: (self._of[other][1], other))
        return first if first != key else None


def _claimed(key: Key, service: Json) -> str:
    ingress = (service.get("spec") or {}).get("ingress") or {}
    if ingress.get("enabled") is False:
        return ""
    return str(ingress.get("hostname") or f"{key.name}-{key.namespace}")
