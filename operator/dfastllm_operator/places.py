"""Where the server finds its model and the verifier beside it; pure.

A model alone lies where KServe puts one. With a verifier of its own to bring, both are in KServe's
list of addresses, each in a folder two levels down: what KServe downloads it mounts at the common
parent, a claim at the folder itself, an image at the folder's parent, and none hides another.
"""

from dfastllm_operator.api import Spec
from dfastllm_operator.core import Json

MODEL_DIRECTORY = "/mnt/models"
"""Where KServe puts the model."""

_MODEL, _VERIFIER = (f"{MODEL_DIRECTORY}/{name}/files" for name in ("model", "verifier"))
_CLAIM = "pvc://"
_NO_DOWNLOAD = (_CLAIM, "oci://")


def model_place(spec: Spec) -> str:
    """The server's setting `model`."""
    if spec.model.built_in:
        return _inside(spec.model.uri)
    return _folder(spec.model.uri, _MODEL) if _both(spec) else MODEL_DIRECTORY


def verifier_place(spec: Spec) -> str | None:
    """The server's setting `verifier`; None leaves it to the model."""
    verifier = spec.model.verifier
    if verifier is None:
        return None
    if verifier.uri is None:
        return str(verifier.name)
    return _inside(verifier.uri) if verifier.built_in else _folder(verifier.uri, _VERIFIER)


def brought(spec: Spec) -> list[Json]:
    """What KServe brings as `storageUris`; empty where the model alone is to be brought, or none.

    Downloads come first: KServe chooses the container for all of them by the first address.
    """
    found = [(spec.model, _MODEL), (spec.model.verifier, _VERIFIER)] if _both(spec) else []
    listed = [
        {"uri": _whole_claim(address(at.uri, at.revision)), "mountPath": folder}
        for at, folder in found
        if at is not None and at.uri is not None and not at.built_in
    ]
    return sorted(listed, key=lambda one: one["uri"].startswith(_NO_DOWNLOAD))


def address(uri: str, revision: str | None) -> str:
    """As KServe takes it."""
    return f"{uri}:{revision}" if revision else uri


def _both(spec: Spec) -> bool:
    """Whether there is a verifier to bring, so that the model is in the list with it."""
    return spec.model.verifier is not None and spec.model.verifier.apart


def _inside(uri: str) -> str:
    """The server's spelling of what its image holds."""
    return uri.replace("://", ":")


def _folder(uri: str, mounted: str) -> str:
    """KServe 0.20 forgets the path of a claim in the list: it mounts the whole."""
    if not uri.startswith(_CLAIM):
        return mounted
    _, _, path = uri.removeprefix(_CLAIM).partition("/")
    return f"{mounted}/{path.strip('/')}".rstrip("/")


def _whole_claim(uri: str) -> str:
    claim = uri.removeprefix(_CLAIM).partition("/")[0]
    return f"{_CLAIM}{claim}" if uri.startswith(_CLAIM) else uri
