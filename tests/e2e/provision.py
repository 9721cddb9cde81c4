"""This project's images in the nodes of the tests' own cluster, built from this checkout.

    references = provide(cluster)
    references["server"]

What is built already is not built again, and what all nodes have is not loaded again: both are
named by the hash of what they are made of.
"""

import json
from typing import Any

from cluster.standing import Cluster
from images import archives
from images.recipes import RECIPES

INITIALIZER = "storage-initializer"


def provide(cluster: Cluster) -> dict[str, str]:
    """Names of the images, by what they are."""
    made = archives.ensure(RECIPES)
    there = _there(cluster)
    for archive in made.values():
        if archive.reference not in there:
            cluster.load_image(archive.path)
    references = {name: archive.reference for name, archive in made.items()}
    cluster.kubectl.apply(json.dumps(_storage_container(references[INITIALIZER])))
    return references


def _there(cluster: Cluster) -> set[str]:
    """What every node says that it has."""
    nodes = cluster.kubectl.get("nodes")["items"]
    listed = [
        {name for image in node["status"].get("images", []) for name in image.get("names", [])}
        for node in nodes
    ]
    return set.intersection(*listed) if listed else set()


def _storage_container(image: str) -> dict[str, Any]:
    """What KServe puts before a server to fetch its model; as restricted namespaces want it."""
    container = {
        "name": INITIALIZER,
        "image": image,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    formats = [{"prefix": scheme} for scheme in ("hf://", "gs://", "s3://", "https://")]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": "default"},
        "spec": {"container": container, "supportedUriFormats": formats},
    }
