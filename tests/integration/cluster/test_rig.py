"""The rig does what operator tests rely on: the controllers are real, only the machines are not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any

import httpx
import pytest

from cluster.kubectl import KubectlFailed
from cluster.nodes import HOLD, Node
from cluster.processes import until
from cluster.rig import PREFIX, Options, Rig, running, up

TESTS = Path(__file__).parents[2]
SERVICE = Template((Path(__file__).parent / "inference_service.yaml").read_text())
DEPLOYMENT = Template((Path(__file__).parent / "gpu_deployment.yaml").read_text())


def _conditions(resource: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in resource.get("status", {}).get("conditions", [])}


def _apply_service(rig: Rig, namespace: str) -> None:
    rig.kubectl.apply(SERVICE.substitute(namespace=namespace), "-n", namespace)


def _wait_ready(rig: Rig, namespace: str) -> None:
    wait = ("wait", "--for=condition=Ready", "--timeout=60s", "-n", namespace)
    rig.kubectl(*wait, "inferenceservice/llada", timeout_s=90)


def _pods(rig: Rig, namespace: str) -> list[dict[str, Any]]:
    return list(rig.kubectl.get("pods", "-n", namespace)["items"])


def test_every_part_is_of_its_pinned_version(rig: Rig) -> None:
    version = json.loads(rig.kubectl("version", "-o", "json"))
    assert version["serverVersion"]["gitVersion"] == version["clientVersion"]["gitVersion"]
    helm = subprocess.run([rig.helm, "version"], capture_output=True, text=True, check=True)
    assert "v4" in helm.stdout


def test_an_inference_service_becomes_ready_and_routed(rig: Rig, namespace: str) -> None:
    _apply_service(rig, namespace)
    _wait_ready(rig, namespace)

    service = rig.kubectl.get("inferenceservice/llada", "-n", namespace)
    assert _conditions(service)["PredictorReady"] == "True"
    assert service["status"]["url"] == f"http://llada-{namespace}.example.com"
    (route, *_) = rig.kubectl.get("httproutes", "-n", namespace)["items"]
    (parent,) = route["status"]["parents"]
    assert parent["controllerName"] == "traefik.io/gateway-controller"
    assert _conditions({"status": parent})["Accepted"] == "True"


def test_the_gateway_knows_the_hosts_of_routes(rig: Rig, namespace: str) -> None:
    _apply_service(rig, namespace)
    _wait_ready(rig, namespace)
    url = f"http://{rig.gateway_address}/"

    def routed(host: str) -> bool:
        try:
            answer = httpx.get(url, headers={"Host": host}, timeout=1)
        except httpx.TimeoutException:  # it looks for the pod, which is nowhere
            return True
        return answer.text != "404 page not found\n"  # which is how traefik itself says it

    until(lambda: routed(f"llada-{namespace}.example.com"), "the route serves", 10)
    assert not routed("nobody.example.com")


def test_what_an_inference_service_made_is_collected_with_it(rig: Rig, namespace: str) -> None:
    _apply_service(rig, namespace)
    _wait_ready(rig, namespace)
    rig.kubectl("delete", "inferenceservice/llada", "-n", namespace)

    def children() -> list[str]:
        kinds = "deployments,replicasets,pods,services,httproutes,horizontalpodautoscalers"
        items = rig.kubectl.get(kinds, "-n", namespace)["items"]
        return [f"{item['kind']}/{item['metadata']['name']}" for item in items]

    until(lambda: children() == [], "children collected")


def test_kserves_webhooks_judge(rig: Rig, namespace: str) -> None:
    manifest = SERVICE.substitute(namespace=namespace)
    wrong = manifest.replace("minReplicas: 1", "minReplicas: 5")
    with pytest.raises(KubectlFailed, match="cannot be greater than MaxReplicas"):
        rig.kubectl.apply(wrong, "-n", namespace)


def test_gpu_pods_beyond_the_capacity_stay_pending(rig: Rig, namespace: str) -> None:
    rig.add_node(Node("small", gpus=8, labels={"pool": "small"}))
    try:
        rig.kubectl.apply(DEPLOYMENT.substitute(pool="small", replicas=3, gpus=4), "-n", namespace)

        def phases() -> list[str]:
            return sorted(pod["status"]["phase"] for pod in _pods(rig, namespace))

        until(lambda: phases() == ["Pending", "Running", "Running"], "two of three run")
        (pending,) = (p for p in _pods(rig, namespace) if p["status"]["phase"] == "Pending")
        until(
            lambda: (
                "Insufficient nvidia.com/gpu"
                in rig.kubectl(
                    "events", "-n", namespace, f"--for=pod/{pending['metadata']['name']}"
                )
            ),
            "the scheduler says why",
        )
    finally:
        rig.kubectl("delete", "deployment", "--all", "-n", namespace)
        rig.remove_node("small")


def test_a_held_pod_becomes_ready_when_it_is_let_go(rig: Rig, namespace: str) -> None:
    annotation = f"--overrides={json.dumps({'metadata': {'annotations': {HOLD: ''}}})}"
    rig.kubectl("run", "slow", "--image=localhost/none:0", annotation, "-n", namespace)
    scheduled = ("wait", "--for=condition=PodScheduled", "--timeout=30s", "-n", namespace)
    rig.kubectl(*scheduled, "pod/slow")

    (pod,) = _pods(rig, namespace)
    assert pod["status"]["phase"] == "Pending"

    rig.kubectl("annotate", "pod/slow", f"{HOLD}-", "-n", namespace)
    rig.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "-n", namespace, "pod/slow")


def test_a_service_account_may_do_what_its_roles_say(rig: Rig, namespace: str) -> None:
    rig.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    role = ("role", "reader", "--verb=get,list", "--resource=pods", "-n", namespace)
    rig.kubectl("create", *role)
    binding = ("--role=reader", f"--serviceaccount={namespace}:reader", "-n", namespace)
    rig.kubectl("create", "rolebinding", "reader", *binding)
    reader = f"--kubeconfig={rig.service_account_kubeconfig(namespace, 'reader')}"

    rig.kubectl(reader, "get", "pods", "-n", namespace)
    with pytest.raises(KubectlFailed, match="forbidden"):
        rig.kubectl(reader, "get", "secrets", "-n", namespace)


def test_without_the_controller_kserves_resources_are_refused(rig: Rig, namespace: str) -> None:
    controller = rig.processes["kserve-manager"]
    controller.stop()
    try:
        with pytest.raises(KubectlFailed, match="InternalError"):
            _apply_service(rig, namespace)
    finally:
        controller.start()
        controller.wait_ready()
    _apply_service(rig, namespace)
    _wait_ready(rig, namespace)


def test_crds_can_come_later_and_nothing_is_left_behind() -> None:
    rig = up(Options(crds=(), kserve=False, gateway=False, nodes=()))
    with rig.namespace() as namespace:
        with pytest.raises(KubectlFailed, match="doesn't have a resource type"):
            rig.kubectl("get", "scaledobjects", "-n", namespace)
        rig.install_crds("keda")
        rig.kubectl("get", "scaledobjects", "-n", namespace)
    pids = [process.pid for process in rig.processes]

    rig.stop()

    assert not rig.folder.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_killed_owner_leaves_nothing_behind(tmp_path: Path) -> None:
    bare = ("--no-kserve", "--no-gateway", *(f"--without={name}" for name in Options().crds))
    owner = subprocess.Popen(
        [sys.executable, "-m", "cluster", "up", *bare],
        cwd=TESTS,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    with owner.stdout:
        owner.stdout.readline()  # it is up
        (folder,) = tmp_path.glob(f"{PREFIX}*")
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)

    def of_the_rig() -> list[str]:
        lines = (Path(f) for f in Path("/proc").glob("[0-9]*/cmdline"))
        return [text for text in map(_read, lines) if str(folder) in text]

    until(lambda: not folder.exists() and not of_the_rig(), "the guard has cleaned up")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_two_run_side_by_side(rig: Rig) -> None:
    with running(Options(crds=(), kserve=False, gateway=False)) as other:
        assert other.url != rig.url
        assert len(other.kubectl.get("nodes")["items"]) == len(rig.kubectl.get("nodes")["items"])
