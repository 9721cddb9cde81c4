"""This project's images in the nodes of the tests' own cluster, built from this checkout.

    references = provide(cluster)
    references["server"]

What is built already is not built again, and what all nodes have is not loaded again: both are
named by the hash of what they are made of. Those of an earlier checkout leave the nodes, or the
disk would fill.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cluster.standing import Cluster
from images import archives
from images.recipes import RECIPES

INITIALIZER = "storage-initializer"


def provide(cluster: Cluster) -> dict[str, str]:
    """Names of the images, by what they are."""
    made = archives.ensure(RECIPES)
    there = set.intersection(*_listed(cluster))
    for archive in made.values():
        if archive.reference not in there:
            cluster.load_image(archive.path)
    references = {name: archive.reference for name, archive in made.items()}
    if unused := older(_listed(cluster), references):
        cluster.remove_images(unused)
    cluster.kubectl.apply(json.dumps(_storage_container(references[INITIALIZER])))
    return references


def _listed(cluster: Cluster) -> list[set[str]]:
    """What each node says that it has."""
    nodes = cluster.kubectl.get("nodes")["items"]
    return [
        {name for image in node["status"].get("images") or [] for name in image.get("names") or []}
        for node in nodes
    ]


def older(listed: Iterable[set[str]], references: Mapping[str, str]) -> list[str]:
    """Images of the same names with other tags, on any node."""
    kept = set(references.values())
    ours = {reference.rpartition(":")[0] for reference in kept}
    names = set().union(*listed) - kept
    return sorted(name for name in names if name.rpartition(":")[0] in ours)


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
