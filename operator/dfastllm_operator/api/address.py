"""Where the files of a model lie: the addresses a service may name, checked scheme by scheme."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import StringConstraints

from dfastllm_operator.api.structure import Rule, matches

Uri = Annotated[str, StringConstraints(pattern="^[^ ]+$", min_length=1, max_length=1024)]

BUILTIN = "builtin://"
WITH_SECRET = "^(hf|s3|gs|https)://"
"""Addresses that credentials are for."""

_SCHEME = "^(hf|pvc|s3|gs|oci|https|builtin)://"
_FORMS = (
    (
        "^hf://",
        "^hf://[^/:@]+/[^/:@]+$",
        "write hf://OWNER/NAME; a branch, tag or commit goes into {place}.revision",
    ),
    (
        "^pvc://",
        "^pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?$",
        "write pvc://CLAIM/PATH, CLAIM being a PersistentVolumeClaim of this namespace",
    ),
    ("^(s3|gs)://", "^(s3|gs)://[^/]+/.+$", "write s3://BUCKET/PATH or gs://BUCKET/PATH"),
    (
        "^oci://",
        "^oci://[^/]+/.+$",
        "write oci://REGISTRY/NAME:TAG or oci://REGISTRY/NAME@sha256:DIGEST",
    ),
    (
        "^https://",
        "^https://[^/]+/.+$",
        "write https://HOST/PATH, PATH being a .tar.gz or .zip of the model's directory",
    ),
)
"""What an address that begins so has to look like, and what to say where it does not."""


def address_rules(place: str, built_in: tuple[str, ...], *, example: str) -> tuple[Rule, ...]:
    """Rules of the fields `uri` and `revision` at `place`; where there is no `uri` they hold.

    `built_in` are the addresses inside the server image that may stand there.
    """
    return (
        _rule(
            f"self.uri.matches('{_SCHEME}')",
            f"{place}.uri must begin with hf://, pvc://, s3://, gs://, oci://, https:// or "
            f"builtin://, for example {example}",
            lambda uri: matches(uri, _SCHEME),
        ),
        _rule(
            f"!self.uri.startsWith('{BUILTIN}') || self.uri in [{_listed(built_in)}]",
            f"{place}.uri: built in are {' and '.join(built_in)}",
            lambda uri: not uri.startswith(BUILTIN) or uri in built_in,
        ),
        *(_form(*form, place) for form in _FORMS),
        Rule(
            "!has(self.revision) || (has(self.uri) && self.uri.startsWith('hf://'))",
            f"{place}.revision belongs to hf:// models; elsewhere the revision is part of the path "
            f"or tag in {place}.uri",
            lambda at: at.revision is None or (at.uri or "").startswith("hf://"),
            ".revision",
        ),
    )


def _form(scheme: str, form: str, message: str, place: str) -> Rule:
    return _rule(
        f"!self.uri.matches('{scheme}') || self.uri.matches('{form}')",
        message.format(place=place),
        lambda uri: not matches(uri, scheme) or matches(uri, form),
    )


def _rule(expression: str, message: str, holds: Callable[[str], bool]) -> Rule:
    def holds_if_said(at: Any) -> bool:
        return at.uri is None or holds(at.uri)

    return Rule(f"!has(self.uri) || {expression}", message, holds_if_said, ".uri")


def _listed(uris: tuple[str, ...]) -> str:
    return ", ".join(f"'{uri}'" for uri in uris)
