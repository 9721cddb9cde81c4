"""Volumes with checkpoints, in folders of the tests' own cluster that all its nodes see."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.standing import Cluster
from e2e.services import Services
from e2e.site import LABEL
from support.vocabularies import CHATML, byte_level, write

VECTORS = Path(__file__).parents[1] / "vectors"
SIZES = {
    "llada": {"parameters": "208K", "layers": 3, "kvHeads": 4, "headDim": 16, "vocabSize": 512},
    "dream": {"parameters": "196K", "layers": 3, "kvHeads": 2, "headDim": 16, "vocabSize": 512},
}
"""What is lying there, by family: the sizes of the checkpoints that the vectors were made with."""


@contextmanager
def claim(services: Services, cluster: Cluster) -> Iterator[str]:
    """Of a volume with a checkpoint of each family, in a folder of the family's name."""
    name = services.namespace
    folder = cluster.folder / "volumes" / name
    for family in SIZES:
        _checkpoint(family, folder / family)
    services.apply(*_volume(name, folder))
    try:
        yield name
    finally:
        services.kubectl("delete", "pv", name, "--wait=false")
        shutil.rmtree(folder)


def _checkpoint(family: str, folder: Path) -> None:
    """The vectors have neither tokenizer nor chat template; both are added."""
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(VECTORS / f"{family}-tiny" / name, folder)
    write(folder, byte_level(), bos_token="<|start|>", chat_template=CHATML)
    for file in folder.iterdir():
        file.chmod(0o644)  # the server is another user


def _volume(name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A volume and the claim that gets it."""
    share = {
        "accessModes": ["ReadOnlyMany"],
        "storageClassName": "",
    }
    size = {"storage": "64Mi"}
    volume = {"capacity": size, "hostPath": {"path": str(folder), "type": "Directory"}, **share}
    key, _, value = LABEL.partition("=")
    metadata = {"name": name, "labels": {key: value}}
    yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": volume}
    wanted = {"resources": {"requests": size}, "volumeName": name, **share}
    yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
           "spec": wanted}  # fmt: skip
