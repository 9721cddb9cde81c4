"""Custom resource definitions by the name of the project they come from."""

from pathlib import Path
from urllib.error import HTTPError

from cluster.controlplane import ControlPlane
from cluster.processes import NotReady, until

# It takes seconds; where 60 were allowed, one start of many failed, for a reason that is not known.
SERVED_S = 180.0
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMES = ("gateway-api", "keda", "prometheus-operator", "kserve")  # the large one last


def install(plane: ControlPlane, *names: str) -> None:
    """Returns when the API server serves them."""
    files = [file for name in names for file in sorted(plane.paths[name].iterdir())]
    for file in files:
        _apply(plane, file)
    left = list(files)

    def served() -> bool:
        left[:] = [file for file in left if not _served(plane, file)]
        return not left

    try:
        until(served, f"CRDs of {', '.join(names)} served", SERVED_S)
    except NotReady as error:
        raise NotReady("\n".join([str(error), *(_state(plane, file) for file in left)])) from None


def _state(plane: ControlPlane, file: Path) -> str:
    """What the API server says of one that it does not serve."""
    group, plural = _names(file)
    found = plane.request(f"{PATH}/{plural}.{group}").get("status", {}).get("conditions", [])
    said = [f"{one['type']} {one['status']} ({one.get('message', '')})" for one in found]
    return f"{plural}.{group}: {', '.join(said) or 'no conditions yet'}"


def _served(plane: ControlPlane, file: Path) -> bool:
    """By discovery: the definition itself, with its condition, is large."""
    group, plural = _names(file)
    try:
        versions = plane.request(f"/apis/{group}")["versions"]
        lists = [plane.request(f"/apis/{v['groupVersion']}")["resources"] for v in versions]
    except HTTPError:  # not yet
        return False
    return any(resource["name"] == plural for resources in lists for resource in resources)


def _apply(plane: ControlPlane, file: Path) -> None:
    """As it is: KServe's are megabytes, which kubectl takes seconds to read and to check."""
    group, plural = _names(file)
    plane.request(
        f"{PATH}/{plural}.{group}?fieldManager=rig&force=true",
        method="PATCH",
        data=file.read_bytes(),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def _names(file: Path) -> tuple[str, str]:
    """`serving.kserve.io_servingruntimes.yaml`: the group, and the plural."""
    group, _, plural = file.stem.partition("_")
    return group, plural
