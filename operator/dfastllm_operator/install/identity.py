"""What the operator is called where it is installed, and which images it consists of."""

from dfastllm_operator import __version__, names

NAME = names.FIELD_MANAGER
NAMESPACE = "dfastllm-system"
PART_OF = "dfastllm"
OPERATOR_IMAGE = f"ghcr.io/dfastllm/dfastllm-operator:{__version__}"
SERVER_IMAGE = f"ghcr.io/dfastllm/dfastllm-server:{__version__}"

SELECTOR = names.OPERATOR
"""What the pods of the operator are found by; not what its services' pods are labelled with."""

LABELS = {
    **SELECTOR,
    "app.kubernetes.io/component": "operator",
    "app.kubernetes.io/part-of": PART_OF,
}


def metadata(name: str, namespace: str | None = NAMESPACE) -> dict[str, object]:
    """Of an object of the installation; without a namespace, of the whole cluster."""
    place = {"namespace": namespace} if namespace else {}
    return {"name": name, **place, "labels": dict(LABELS)}
