"""How much memory each part of the cluster has: programs of ours by /proc, containers by kubelet.

Numbers are MiB. Of a part that runs more than once (a server's replicas), it is the largest.
"""

import json
from collections import defaultdict
from contextlib import suppress

from cluster import standing
from cluster.kubectl import KubectlFailed
from e2e.site import Site

MIB = 2**20
INFRASTRUCTURE = {"kubelet", "containerd", "containerd-shim", "kube-proxy"}


def memory(site: Site) -> dict[str, int]:
    """By part, as far as this cluster lets one see."""
    found: dict[str, int] = defaultdict(int)
    for part, amount in [*_programs(site), *_containers(site)]:
        found[part] = max(found[part], round(amount / MIB))
    return dict(sorted(found.items()))


def _programs(site: Site) -> list[tuple[str, int]]:
    """Resident; what a node runs is named by itself, as a node is several programs."""
    if site.standing is None:
        return []
    nodes = site.standing.nodes
    found = []
    for process in standing.register().running():
        if process.program not in nodes:
            found.append((process.program, process.resident_bytes))
        elif process.name[:15] in {name[:15] for name in INFRASTRUCTURE}:
            found.append((f"node: {process.name}", process.resident_bytes))
    return found


def _containers(site: Site) -> list[tuple[str, int]]:
    """The working set: what cannot be given back."""
    found = []
    for node in site.kubectl.get("nodes")["items"]:
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
        with suppress(KubectlFailed):  # a node that is away, or that nobody may look into
            for pod in json.loads(site.kubectl("get", "--raw", path)).get("pods", []):
                for one in pod.get("containers", []):
                    amount = (one.get("memory") or {}).get("workingSetBytes")
                    if amount:
                        found.append((f"container: {one['name']}", amount))
    return found
