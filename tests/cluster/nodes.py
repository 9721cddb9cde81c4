"""Nodes without machines: kwok keeps them Ready and turns every pod on them Running and Ready."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from cluster.controlplane import ControlPlane
from cluster.ports import HOST
from cluster.processes import Program, answers, until

ANNOTATION = "kwok.x-k8s.io/node"
GPU = "nvidia.com/gpu"
HOLD = "rig/hold"  # a pod with this annotation is scheduled, and that is all that happens to it
POD_RANGE = "198.18.0.1/16"  # reserved for benchmarks: whoever calls such a pod meets nobody


@dataclass(frozen=True, slots=True)
class Node:
    """What the scheduler sees of one."""

    name: str
    gpus: int = 0
    product: str = ""  # as NVIDIA's feature discovery labels it
    gpu_memory_mib: int = 0
    cpus: int = 64
    memory: str = "512Gi"
    tainted: bool = True  # GPU nodes often are, so that nothing else lands on them
    labels: Mapping[str, str] = field(default_factory=dict)


DEFAULT = (
    Node("gpu-h100-0", gpus=8, product="NVIDIA-H100-80GB-HBM3", gpu_memory_mib=81559),
    Node("gpu-a100-0", gpus=8, product="NVIDIA-A100-SXM4-40GB", gpu_memory_mib=40960),
    Node("cpu-0"),
)


def start(plane: ControlPlane, nodes: tuple[Node, ...]) -> None:
    """Returns before the nodes are Ready: `wait_ready` waits for them."""
    config = plane.folder / "kwok-stages.yaml"
    config.write_text(yaml.safe_dump_all(_stages(plane)))
    port = plane.ports.take()
    argv = (
        str(plane.paths["kwok"]),
        f"--kubeconfig={plane.kubectl.kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        f"--node-ip={HOST}",
        f"--cidr={POD_RANGE}",
        f"--server-address={HOST}:{port}",
        "--node-lease-duration-seconds=40",
    )
    plane.processes.start("kwok", Program(argv, lambda: answers(f"http://{HOST}:{port}/healthz")))
    add(plane, *nodes)


def wait_ready(plane: ControlPlane, nodes: Iterable[Node]) -> None:
    plane.processes["kwok"].wait_ready()
    for node in nodes:
        plane.kubectl("wait", "--for=condition=Ready", "--timeout=30s", f"node/{node.name}")


def add(plane: ControlPlane, *nodes: Node) -> None:
    """A node's status can be given at its creation, so nothing else needs to patch it."""
    for node in nodes:
        plane.request(
            "/api/v1/nodes",
            data=json.dumps(_manifest(node)).encode(),
            headers={"Content-Type": "application/json"},
        )


def remove(plane: ControlPlane, name: str) -> None:
    """Its pods go with it."""
    plane.kubectl("delete", "node", name)

    selector = f"--field-selector=spec.nodeName={name}"
    until(lambda: not plane.kubectl.get("pods", "-A", selector)["items"], f"pods of {name} gone")


def _stages(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """What happens to nodes and pods; as kwok ships it, but that a pod can be held."""
    for file in sorted(plane.paths["kwok-stages"].iterdir()):
        stage = yaml.safe_load(file.read_text())
        if stage["metadata"]["name"] == "pod-ready":
            free = {"key": f'.metadata.annotations["{HOLD}"]', "operator": "DoesNotExist"}
            stage["spec"]["selector"]["matchExpressions"].append(free)
        yield stage


def _manifest(node: Node) -> dict[str, Any]:
    resources = {"cpu": str(node.cpus), "memory": node.memory, "pods": "110"}
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "type": "kwok",
    }
    if node.gpus:
        resources[GPU] = str(node.gpus)
        labels |= {
            f"{GPU}.present": "true",
            f"{GPU}.count": str(node.gpus),
            f"{GPU}.product": node.product,
            f"{GPU}.memory": str(node.gpu_memory_mib),
        }
    taints = [{"key": GPU, "effect": "NoSchedule"}] if node.gpus and node.tainted else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": labels | dict(node.labels),
            "annotations": {ANNOTATION: "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"taints": taints},
        "status": {"allocatable": resources, "capacity": resources},
    }
