"""The cluster that the stories run on: the one that is up, else one that they make and take down.

A run that is killed cannot take its cluster down: the next one does, as it may be half dead, and
makes another. One that somebody else made, or has asked for since, is mended instead.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import standing
from cluster.kubectl import Kubectl, KubectlFailed
from cluster.standing import Cluster, Elsewise
from e2e import keda
from e2e.site import LABEL

FIRST = ("etcd", "kube-apiserver")


@contextmanager
def one(nodes: int) -> Iterator[Cluster]:
    """For this run only, as long as the block lasts."""
    clear()
    if found := standing.find():
        with _alone(found):
            _mend(found)
            yield found
    else:
        with made(nodes) as cluster, _alone(cluster):
            yield cluster


@contextmanager
def made(nodes: int) -> Iterator[Cluster]:
    """One that is taken down at the end, unless somebody has asked for it meanwhile.

    Programs that this one starts find it, and tell stories on it.
    """
    if standing.find():
        raise Elsewise("a cluster is up")
    cluster = standing.up(nodes, passing=True)
    with _held(standing.passing()):
        try:
            yield cluster
        finally:
            if standing.passing().exists():
                standing.down()


def clear() -> None:
    """Takes down one whose maker is no more."""
    if not standing.find():
        return
    with suppress(BlockingIOError, FileNotFoundError), _held(standing.passing()):
        standing.down()


def mend(cluster: Cluster) -> None:
    """As `one` does. Raises `Elsewise` while stories run on it."""
    with _alone(cluster):
        _mend(cluster)


def sweep(kubectl: Kubectl, *but: str) -> None:
    """What killed runs left in a cluster, `but` for some namespaces."""
    others = ",".join(f"metadata.name!={name}" for name in but)
    for kind in ("namespaces", "persistentvolumes"):
        with suppress(KubectlFailed):  # there is none
            kubectl(
                "delete", kind, f"--selector={LABEL}", f"--field-selector={others}", "--wait=false"
            )


def _mend(cluster: Cluster) -> None:
    """What a killed run stopped, or left lying about."""
    running = {process.program for process in standing.register().running()}
    lacking = [name for name in standing.register().names() if name not in running]
    for name in sorted(lacking, key=_when_started):
        cluster.start(name)
    keda.sweep(cluster)
    sweep(cluster.kubectl)


def _when_started(name: str) -> int:
    """Nodes, and all others, are asked for by the API server, and that asks etcd."""
    return FIRST.index(name) if name in FIRST else len(FIRST)


@contextmanager
def _alone(cluster: Cluster) -> Iterator[None]:
    mark = cluster.folder / "stories"
    mark.touch()
    try:
        with _held(mark):
            yield
    except BlockingIOError:
        raise Elsewise("the stories run on this cluster already") from None


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """By a lock that goes with the process that has it. Raises BlockingIOError if another has."""
    with file.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
