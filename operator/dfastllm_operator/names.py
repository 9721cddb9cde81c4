"""Names and labels of everything the operator makes: valid, stable and never colliding.

A name that had to be shortened or changed to be valid gets a hash of the original, so that two
services cannot meet in one name.
"""

import hashlib
import re

GROUP = "dfastllm.io"
FIELD_MANAGER = "dfastllm-operator"
STATUS_MANAGER = "dfastllm-operator-status"

MANAGED_BY = "app.kubernetes.io/managed-by"
APP_NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
SERVICE_LABEL = f"{GROUP}/service"
REVISION_LABEL = f"{GROUP}/revision"
APPLIED = f"{GROUP}/applied"
"""Annotation of every child but the InferenceService: digest of what was applied last."""

FORMER_NAMES = f"{GROUP}/former-names"
"""Annotation of a record: the model names beside its own, where others were recorded with it."""

OPERATOR = {APP_NAME: FIELD_MANAGER}
"""Labels that the operator's own pods have, however it is installed."""
SELECTOR = f"{MANAGED_BY}={FIELD_MANAGER}"
"""What every child, and what KServe makes of it, can be listed by."""

SLOTS = ("a", "b")
LONGEST_LABEL = 63
LONGEST_INFERENCE_SERVICE = 48
"""KServe labels the pods `isvc.NAME-predictor`, which must fit a label; OpenShift AI allows 53."""
LONGEST_WITH_NAMESPACE = 52
"""KServe makes a host `NAME-predictor-NAMESPACE` of every service, which must fit a label too."""
SHORTEST_INFERENCE_SERVICE = 12
"""A letter, the hash of the name, the slot."""
LONGEST_NAMESPACE = LONGEST_WITH_NAMESPACE - SHORTEST_INFERENCE_SERVICE


def dns_label(name: str, limit: int = LONGEST_LABEL) -> str:
    """`name` as a DNS-1035 label (letter first) of at most `limit` characters."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"s-{plain}".rstrip("-")
    if plain == name and len(plain) <= limit:
        return plain
    return f"{plain[: limit - 9].rstrip('-')}-{_digest(name)}"


def label_value(name: str) -> str:
    """`name` as the value of a label: names of objects are valid but may be too long."""
    if len(name) <= LONGEST_LABEL:
        return name
    return f"{name[: LONGEST_LABEL - 9].rstrip('-.')}-{_digest(name)}"


def with_suffix(name: str, suffix: str, limit: int = LONGEST_LABEL) -> str:
    """`name-suffix` as a DNS label of at most `limit` characters."""
    return f"{dns_label(name, limit - len(suffix) - 1)}-{suffix}"


def inference_service(name: str, namespace: str, slot: str) -> str:
    room = LONGEST_WITH_NAMESPACE - len(namespace)
    limit = max(SHORTEST_INFERENCE_SERVICE, min(LONGEST_INFERENCE_SERVICE, room))
    return with_suffix(name, slot, limit)


def predictor(name: str, namespace: str, slot: str) -> str:
    """KServe's name for the Deployment and the Service behind a slot."""
    return f"{inference_service(name, namespace, slot)}-predictor"


def app_label(predictor: str) -> str:
    """The label `app` that KServe gives the pods of a Deployment; ours anybody can write."""
    return f"isvc.{predictor}"


def revision(name: str, revision_hash: str) -> str:
    return with_suffix(name, revision_hash)


def labels(name: str) -> dict[str, str]:
    """What every child and every pod of service `name` is labelled with."""
    return {
        MANAGED_BY: FIELD_MANAGER,
        APP_NAME: "dfastllm",
        INSTANCE: label_value(name),
        SERVICE_LABEL: label_value(name),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
