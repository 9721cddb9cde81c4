"""Real nodes do what the stories rely on: containers run, names resolve, what dies comes back."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from string import Template

import httpx
import pytest

from cluster import debian, images
from cluster.kubectl import KubectlFailed
from cluster.processes import until
from cluster.standing import Cluster
from e2e.site import LABEL

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
PODS = Template((Path(__file__).parent / "busybox.yaml").read_text())
SERVICE = (Path(__file__).parent / "busybox_service.yaml").read_text()
LOST_S = 120.0  # the controller manager waits 50 s until it calls a silent node lost


@pytest.fixture(scope="module")
def image(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From scratch, of one program."""
    busybox = debian.found("busybox")
    assert busybox
    programs = {"/bin/busybox": Path(busybox)}
    archive = tmp_path_factory.mktemp("images") / "busybox.tar"
    images.write(archive, "localhost/busybox:1", programs, ["/bin/busybox", "sh"])
    cluster.load_image(archive)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, image: None) -> Iterator[str]:
    """With a server on the first node, and a client on the second, if there is one."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, LABEL)
    pods = PODS.substitute(server=cluster.nodes[0], client=cluster.nodes[-1])
    cluster.kubectl.apply(pods, "-n", name)
    wait = ("wait", "--for=condition=Ready", "--timeout=50s", "pod/web", "pod/client", "-n", name)
    cluster.kubectl(*wait)
    # Ready says the pod; where the Service leads, the client's node is told afterwards.
    until(lambda: _answers(cluster, name, "http://web"), "the service leads to its pod", 10)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def fetch(cluster: Cluster, host: str) -> str:
    """By way of the gateway, from the machine."""
    headers = {"Host": host}
    return httpx.get(f"http://{cluster.gateway}/", headers=headers, trust_env=False).text


def in_pod(cluster: Cluster, namespace: str, *command: str) -> str:
    return cluster.kubectl("exec", "client", "-n", namespace, "--", "busybox", *command)


def _answers(cluster: Cluster, namespace: str, url: str) -> bool:
    try:
        return in_pod(cluster, namespace, "wget", "-q", "-O", "-", url) == "web\n"
    except KubectlFailed:
        return False


def test_a_pod_reaches_another_by_its_services_name(cluster: Cluster, namespace: str) -> None:
    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc.cluster.local"):
        assert in_pod(cluster, namespace, "wget", "-q", "-O", "-", f"http://{name}") == "web\n"


def test_a_pod_reaches_the_api_server_by_its_services_name(
    cluster: Cluster, namespace: str
) -> None:
    in_pod(cluster, namespace, "nc", "-w", "3", "kubernetes.default.svc", "443")


def test_the_world_has_no_names_and_nobody_waits_for_them(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(KubectlFailed, match="bad address"):
        in_pod(cluster, namespace, "timeout", "3", "wget", "-O", "-", "http://world.example.org")


def test_logs_and_commands_of_pods_are_at_hand(cluster: Cluster, namespace: str) -> None:
    assert cluster.kubectl("logs", "web", "-n", namespace) == "serving\n"
    assert in_pod(cluster, namespace, "hostname") == "client\n"


def test_routes_serve_on_the_machine_and_in_pods(cluster: Cluster, namespace: str) -> None:
    until(lambda: fetch(cluster, "web.example.com") == "web\n", "the route serves", 10)
    assert in_pod(cluster, namespace, "wget", "-q", "-O", "-", "http://web.example.com") == "web\n"


def test_an_inference_service_serves_at_its_url(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl.apply(SERVICE, "-n", namespace)
    ready = ("wait", "--for=condition=Ready", "--timeout=50s", "inferenceservice/page")
    cluster.kubectl(*ready, "-n", namespace)
    url = cluster.kubectl.get("inferenceservice/page", "-n", namespace)["status"]["url"]

    page = "page-predictor-"  # its pod's name
    host = url.removeprefix("http://")
    until(lambda: fetch(cluster, host).startswith(page), "the route serves", 10)
    assert in_pod(cluster, namespace, "wget", "-q", "-O", "-", url).startswith(page)


def test_an_image_that_is_nowhere_is_told_at_once(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("run", "nowhere", "--image=registry.example.org/nothing:1", "-n", namespace)

    def said() -> str:
        return cluster.kubectl("events", "--for=pod/nowhere", "-n", namespace)

    until(lambda: "no such host" in said(), "the kubelet says why", 20)


def test_a_node_that_dies_is_missed_and_comes_back(cluster: Cluster, namespace: str) -> None:
    node = cluster.nodes[0]
    ready = ("wait", f"node/{node}", f"--timeout={LOST_S:.0f}s")
    cluster.stop(node)
    cluster.kubectl(*ready, "--for=condition=Ready=Unknown", timeout_s=LOST_S)

    cluster.start(node)

    cluster.kubectl(*ready, "--for=condition=Ready", timeout_s=LOST_S)
    pods = PODS.substitute(server=node, client=cluster.nodes[-1])
    cluster.kubectl.apply(pods, "-n", namespace)  # anew, should they have been evicted
    wait = ("wait", "--for=condition=Ready", "--timeout=50s", "pod/web", "-n", namespace)
    cluster.kubectl(*wait)
    until(
        lambda: in_pod(cluster, namespace, "wget", "-q", "-O", "-", "http://web") == "web\n",
        "the service is back",
    )


def test_the_api_server_can_be_restarted(cluster: Cluster) -> None:
    cluster.stop("kube-apiserver")
    with pytest.raises(KubectlFailed):
        cluster.kubectl("get", "nodes")

    cluster.start("kube-apiserver")

    until(lambda: _has_nodes(cluster), "it answers")


def _has_nodes(cluster: Cluster) -> bool:
    try:
        return bool(cluster.kubectl.get("nodes")["items"])
    except KubectlFailed:  # it does not listen yet
        return False
