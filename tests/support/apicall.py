"""What a request to the API server means in Kubernetes' own terms, as RBAC sees it."""

from collections.abc import Mapping
from typing import NamedTuple

WRITES = frozenset({"create", "patch", "update", "delete", "deletecollection"})
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
REVIEWS = "authorization.k8s.io"


class Call(NamedTuple):
    """`resource` is empty for addresses that are no resource (`/apis`, `/readyz`)."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def is_write(self) -> bool:
        """Changes what is stored; a question about permissions is a `create`, and does not."""
        return self.verb in WRITES and self.group != REVIEWS

    @property
    def is_lease(self) -> bool:
        return self.resource == "leases"

    @property
    def permission(self) -> tuple[str, str, str]:
        """(group, resource or resource/subresource, verb), as a Role spells it."""
        resource = "/".join(filter(None, (self.resource, self.subresource)))
        return self.group, resource, self.verb

    def __str__(self) -> str:
        where = "/".join(filter(None, (self.namespace, self.name)))
        return f"{self.verb} {self.permission[1]}.{self.group} {where}".replace(". ", " ")


def of_request(method: str, path: str, query: Mapping[str, str]) -> Call:
    """From the HTTP request: `PATCH /apis/apps/v1/namespaces/a/deployments/b/scale`."""
    match path.strip("/").split("/"):
        case ["api", _, *rest]:
            group = ""
        case ["apis", group, _, *rest]:
            pass
        case _:
            return Call(method.lower())
    if not rest:
        return Call(method.lower(), group)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    verb = _verb(method, query, bool(name))
    return Call(verb, group, resource, subresource, namespace, name)


def _verb(method: str, query: Mapping[str, str], named: bool) -> str:
    if method == "DELETE" and not named:
        return "deletecollection"
    if method in VERBS:
        return VERBS[method]
    if query.get("watch") in ("1", "true"):
        return "watch"
    return "get" if named else "list"
