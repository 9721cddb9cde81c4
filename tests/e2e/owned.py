"""The cluster that the stories run on: the one that is up, else one that they make and take down.

A run that is killed cannot take its cluster down: the next one does, as it may be half dead, and
makes another. One that somebody else made is mended instead.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import standing
from cluster.kubectl import KubectlFailed
from cluster.standing import Cluster, Elsewise

LABEL = "dfastllm-stories=here"  # of their namespaces
MADE = "made"


@contextmanager
def one(nodes: int) -> Iterator[Cluster]:
    """For this run only, as long as the block lasts."""
    found = standing.find()
    if found and _abandoned(found):
        standing.down()
        found = None
    cluster = found or standing.up(nodes)
    try:
        with _held(cluster, "" if found else MADE):
            if found:
                _mend(cluster)
            yield cluster
    finally:
        if not found:
            standing.down()


def _abandoned(cluster: Cluster) -> bool:
    """Whether a run made it that is no more."""
    try:
        with _held(cluster):
            return _mark(cluster).read_text() == MADE
    except Elsewise:
        return False


def _mend(cluster: Cluster) -> None:
    """What a killed run stopped, or left lying about."""
    running = {process.program for process in standing.register().running()}
    for name in standing.register().names():
        if name not in running:
            cluster.start(name)
    with suppress(KubectlFailed):  # there is none
        cluster.kubectl("delete", "namespaces", f"--selector={LABEL}", "--wait=false")


@contextmanager
def _held(cluster: Cluster, says: str | None = None) -> Iterator[None]:
    """By a lock that goes with the process that has it; `says` is written down beside it."""
    with _mark(cluster).open("a+") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Elsewise("the stories run on this cluster already") from None
        if says is not None:
            mark.truncate(0)
            mark.write(says)
            mark.flush()
        yield


def _mark(cluster: Cluster) -> Path:
    return cluster.folder / "stories"
