"""Everything a decision needs, read once: the CR, its objects, what it names, what the cluster has.

The only place of the reconcile path that reads. Objects come from the watch-fed store, so a look at
a settled service costs no request but one for each Secret that the spec names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from dfastllm_operator import names
from dfastllm_operator.api import DFastLLMService, Spec, parse
from dfastllm_operator.core import Json, Key, Platform, Resolved, Seen
from dfastllm_operator.errors import Forbidden, Refuse
from dfastllm_operator.kinds import CONTROLLER_REVISION, OWNED, SECRET, Kind
from dfastllm_operator.revision import revision_hash
from dfastllm_operator.sizing import HubConfig, Sizing, resources_of, size
from dfastllm_operator.sizing.known import needs_hub


class Reader(Protocol):
    """The part of `cluster.Cluster` that observing uses."""

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool: ...


class Objects(Protocol):
    """The part of `store.Store` that observing uses."""

    def children(self, key: Key) -> list[Seen]: ...

    def rival(self, key: Key) -> Key | None: ...


class Hub(Protocol):
    """Where a model's config.json is read."""

    async def config(self, repository: str, revision: str | None) -> HubConfig | None: ...


@dataclass(frozen=True, slots=True)
class Observed:
    """The world as one reconcile sees it.

    `invalid` says what the spec does wrong though it can be read. `seen` are objects owned by the
    CR and what KServe made of them. `unsized` says why the model has no size; `sizing` and
    `resolved` are set otherwise. `blind` is what the operator lacks the right to see. `rival` is a
    service with a better claim to the hostname.
    """

    service: DFastLLMService
    raw: Json
    seen: tuple[Seen, ...]
    platform: Platform
    invalid: Refuse | None = None
    secrets_missing: tuple[tuple[str, str], ...] = ()
    blind: str = ""
    sizing: Sizing | None = None
    resolved: Resolved | None = None
    unsized: Refuse | None = None
    rival: Key | None = None

    @property
    def status(self) -> Mapping[str, object]:
        """The status as it was last written, empty at first."""
        return self.raw.get("status") or {}

    def seeing(self, children: Iterable[Seen]) -> "Observed":
        """The same look with the children as they are by now."""
        mine = tuple(s for s in children if _ours(s, self.service.uid))
        return replace(self, seen=mine)

    def of(self, kind: Kind) -> list[Seen]:
        return [seen for seen in self.seen if seen.kind == kind]

    def owned(self, kind: Kind, name: str) -> Seen | None:
        for seen in self.of(kind):
            if seen.name == name:
                return seen
        return None


async def observe(
    raw: Json, platform: Platform, objects: Objects, reader: Reader, hub: Hub
) -> Observed:
    """Read what the service `raw` needs.

    Raises Refuse("InvalidSpec") when the spec cannot be read at all. One that only breaks a rule
    that is younger than it is read, and `invalid` says what is wrong.
    """
    service, invalid = _parsed(raw)
    seen = tuple(s for s in objects.children(service.key) if _ours(s, service.uid))
    sizing, unsized = await _sized(service, seen, hub)
    missing, blind = await _missing_secrets(service, reader)
    resolved = None
    if sizing is not None:
        requests, limits = resources_of(service.spec, sizing)
        image = service.spec.image or platform.server_image
        resolved = Resolved(image=image, requests=requests, limits=limits)
    return Observed(
        service=service,
        raw=raw,
        seen=seen,
        platform=platform,
        invalid=invalid,
        secrets_missing=missing,
        blind=blind,
        sizing=sizing,
        resolved=resolved,
        unsized=unsized,
        rival=objects.rival(service.key),
    )


def _parsed(raw: Json) -> tuple[DFastLLMService, Refuse | None]:
    try:
        return parse(raw), None
    except Refuse as refused:
        try:
            return parse(raw, rules=False), refused
        except Refuse:
            raise refused from None


async def _sized(
    service: DFastLLMService, seen: Iterable[Seen], hub: Hub
) -> tuple[Sizing | None, Refuse | None]:
    """The size of the model; the hub is asked only for a revision that is still to be made."""
    spec = service.spec
    record = names.revision(service.name, revision_hash(spec))
    recorded = any(s.kind == CONTROLLER_REVISION and s.name == record for s in seen)
    silent = recorded or "memory" in spec.resources.requests
    told: list[HubConfig | None] = []
    for at in (spec.model, spec.model.verifier):
        asked = None if silent or at is None else needs_hub(at)
        told.append(await hub.config(*asked) if asked else None)
    try:
        return size(spec, *told), None
    except Refuse as refused:
        return None, refused


async def _missing_secrets(
    service: DFastLLMService, reader: Reader
) -> tuple[tuple[tuple[str, str], ...], str]:
    """Secrets that are named and not there; and why that cannot be seen, if it cannot."""
    missing = []
    for field, name in secret_references(service.spec):
        try:
            if not await reader.exists(SECRET, service.namespace, name):
                missing.append((field, name))
        except Forbidden as error:
            return (), f"{field}: {error}"
    return tuple(missing), ""


def secret_references(spec: Spec) -> list[tuple[str, str]]:
    """Secrets the spec names that must exist before a pod starts, as (field, name)."""
    found = []
    if spec.auth.api_keys_secret_ref is not None:
        found.append(("auth.apiKeysSecretRef", spec.auth.api_keys_secret_ref.name))
    if spec.model.storage_secret_ref is not None:
        found.append(("model.storageSecretRef", spec.model.storage_secret_ref.name))
    for variable in spec.env:
        source = variable.value_from.secret_key_ref if variable.value_from is not None else None
        if source is not None and not source.optional:
            found.append((f"env[{variable.name}].valueFrom.secretKeyRef", source.name))
    for volume in spec.volumes:
        if volume.secret is not None:
            found.append((f"volumes[{volume.name}].secret", volume.secret.name))
    return found


def _ours(seen: Seen, uid: str) -> bool:
    """Written by us for this very CR, or made by KServe from something that is."""
    if seen.kind not in OWNED:
        return True
    owners = seen.body["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)
