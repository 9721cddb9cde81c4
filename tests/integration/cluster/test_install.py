"""The installation against a real cluster: Helm, kubectl, and the operator as they install it.

A control plane of its own, since CRD and cluster roles come and go here. The pod of the Deployment
runs nowhere (kwok says it does); the operator runs beside the cluster, with the account, the
permissions and the settings that were installed for it.
"""

import json
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.kubectl import KubectlFailed
from cluster.processes import Guard, until
from cluster.rig import Options, Rig, running
from support.operators import SETTINGS, Operator
from support.packaging import CHART, MANIFESTS, NAMESPACE, RELEASE, Helm, pod_specs

Json = dict[str, Any]
CASES = sorted((CHART / "ci").iterdir())
SAMPLES = sorted(p for p in (MANIFESTS / "samples").glob("*.yaml") if p.stem != "kustomization")
CRD = "dfastllmservices.dfastllm.io"
OPERATOR = "dfastllm-operator"
PREFIX = "DFASTLLM_OPERATOR_"
TINY = (MANIFESTS / "samples" / "minimal.yaml").read_text()
CLUSTER_WIDE = "clusterrole,clusterrolebinding,clusterservingruntime"


@pytest.fixture(scope="module")
def bare() -> Iterator[Rig]:
    """KServe is there, nothing of ours is."""
    with running(Options(gateway=False)) as rig:
        yield rig


@pytest.fixture(scope="module")
def helm(bare: Rig, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(bare.helm, tmp_path_factory.mktemp("helm"), bare.kubeconfig)


@pytest.fixture
def team(bare: Rig) -> Iterator[str]:
    """Where services are."""
    with bare.namespace() as name:
        yield name


@pytest.fixture
def home(bare: Rig, helm: Helm) -> Iterator[str]:
    """Where a release is; nothing cluster-wide is left of it."""
    with bare.namespace() as name:
        yield name
        for release in json.loads(helm("list", "-n", name, "-o", "json")):
            helm("uninstall", release["name"], "-n", name)
        bare.kubectl("delete", "crd", CRD, "--ignore-not-found")


def install(helm: Helm, home: str, *args: str, chart: Path = CHART) -> None:
    helm("install", RELEASE, str(chart), "-n", home, *args)


def rolled_out(rig: Rig, namespace: str) -> None:
    """The API server has admitted the pods, and they are scheduled."""
    name = f"deployment/{OPERATOR}"
    rig.kubectl("rollout", "status", name, "-n", namespace, "--timeout=60s")


@contextmanager
def operating(rig: Rig, namespace: str) -> Iterator[Operator]:
    """The operator as the Deployment has it, but for where it runs and how patient it is."""
    deployment = rig.kubectl.get(f"deployment/{OPERATOR}", "-n", namespace)
    (pod,) = pod_specs([deployment])
    env = {one["name"]: one.get("value", namespace) for one in pod["containers"][0]["env"]}
    installed = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in env.items()
        if name.startswith(PREFIX)
    }
    account = pod["serviceAccountName"]
    settings = {
        **{name: value for name, value in SETTINGS.items() if name != "gateway"},
        **installed,
        "lease_namespace": namespace,
        "kubeconfig": rig.service_account_kubeconfig(namespace, account),
    }
    folder = Path(tempfile.mkdtemp(prefix="dfastllm-installed-"))
    guard = Guard(folder)  # ends the operator if this process dies; removes the folder
    program = Path(sysconfig.get_path("scripts"), "dfastllm-operator")
    assert pod["containers"][0]["args"] == ["run"]
    operator = Operator([str(program)], settings, folder / "log", guard)
    try:
        operator.wait_ready()
        yield operator
        operator.stop()
    except BaseException:
        print(operator.tail(100))
        raise
    finally:
        operator.kill()
        operator.wait()
        guard.close()


def becomes_ready(rig: Rig, namespace: str, manifest: str = TINY) -> None:
    rig.kubectl.apply(manifest, "-n", namespace)
    rig.kubectl("wait", "dfs/tiny", "--for=condition=Ready", "-n", namespace, "--timeout=60s")


def may(rig: Rig, user: str, *question: str) -> bool:
    try:
        rig.kubectl("auth", "can-i", *question, f"--as={user}")
    except KubectlFailed:
        return False
    return True


def account(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:{OPERATOR}"


def without(field: str, chart: Path) -> None:
    """Make it a chart of a time before the spec had that field."""
    file = chart / "files" / "crd.yaml"
    crd = yaml.safe_load(file.read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"][field]
    file.write_text(yaml.safe_dump(crd))


def versions(rig: Rig, folder: Path) -> dict[str, str]:
    items = rig.kubectl.get("-k", str(folder))["items"]
    return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}


def test_helm_installs_an_operator_that_makes_a_service_ready(
    bare: Rig, helm: Helm, home: str, team: str
) -> None:
    install(helm, home)
    rolled_out(bare, home)
    with operating(bare, home):
        becomes_ready(bare, team)
    assert "kubectl wait dfs/tiny" in helm("get", "notes", RELEASE, "-n", home)

    assert may(bare, account(home), "get", "secrets", "-A")
    assert not may(bare, account(home), "list", "secrets", "-A")
    assert not may(bare, account(home), "watch", "secrets", "-A")


def test_kubectl_installs_it_in_one_go_and_again_without_a_change(bare: Rig, team: str) -> None:
    base = MANIFESTS / "base"
    bare.kubectl("apply", "-k", str(base))
    try:
        rolled_out(bare, NAMESPACE)
        with operating(bare, NAMESPACE):
            becomes_ready(bare, team)
        with pytest.raises(KubectlFailed, match="violates PodSecurity"):
            bare.kubectl("run", "root", "--image=localhost/none:0", "-n", NAMESPACE)

        before = versions(bare, base)
        bare.kubectl("apply", "-k", str(base))
        assert versions(bare, base) == before

        bare.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "production"))
        rolled_out(bare, NAMESPACE)
        pods = bare.kubectl.get("pods", "-n", NAMESPACE, "--field-selector=status.phase=Running")
        assert len([p for p in pods["items"] if "deletionTimestamp" not in p["metadata"]]) == 2
    finally:
        bare.kubectl("delete", "-k", str(MANIFESTS / "overlays" / "production"), "--wait=false")
        bare.kubectl("wait", "--for=delete", f"crd/{CRD}", "--timeout=60s")


def test_an_upgrade_brings_the_new_crd_and_keeps_the_services(
    bare: Rig, helm: Helm, home: str, team: str, tmp_path: Path
) -> None:
    old = Path(shutil.copytree(CHART, tmp_path / "old"))
    without("paused", old)
    install(helm, home, chart=old)
    bare.kubectl.apply(TINY, "-n", team)
    pause = ("patch", "dfs/tiny", "-n", team, "--type=merge", "-p", '{"spec":{"paused":true}}')
    bare.kubectl(*pause)  # with a warning, since there is no such field yet
    before = bare.kubectl.get("dfs/tiny", "-n", team)
    assert "paused" not in before["spec"]

    helm("upgrade", RELEASE, str(CHART), "-n", home, "--set", "replicas=2")

    bare.kubectl(*pause)
    after = bare.kubectl.get("dfs/tiny", "-n", team)
    assert after["spec"]["paused"] is True
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    deployment = bare.kubectl.get(f"deployment/{OPERATOR}", "-n", home)
    assert deployment["spec"]["replicas"] == 2


def test_an_uninstall_leaves_the_services(bare: Rig, helm: Helm, home: str, team: str) -> None:
    install(helm, home)
    bare.kubectl.apply(TINY, "-n", team)
    helm("uninstall", RELEASE, "-n", home)
    assert bare.kubectl.get("dfs/tiny", "-n", team)["spec"]["model"]["uri"] == "builtin://tiny"
    left = bare.kubectl("get", CLUSTER_WIDE, "-o", "name").splitlines()
    assert not [name for name in left if "dfastllm" in name]

    install(helm, home)  # takes the CRD that it left over again
    assert bare.kubectl.get("dfs/tiny", "-n", team)


def test_an_uninstall_takes_the_services_if_told_so(
    bare: Rig, helm: Helm, home: str, team: str
) -> None:
    install(helm, home, "--set", "crds.keep=false")
    bare.kubectl.apply(TINY, "-n", team)
    helm("uninstall", RELEASE, "-n", home)
    bare.kubectl("wait", "--for=delete", f"crd/{CRD}", "--timeout=60s")


def test_a_release_for_one_namespace_serves_it_and_may_do_nothing_elsewhere(
    bare: Rig, helm: Helm, home: str, team: str
) -> None:
    install(helm, home, "--set", f"watchNamespaces={{{team}}}")
    rolled_out(bare, home)
    with operating(bare, home):
        becomes_ready(bare, team)
    for question in (("list", "dfs"), ("get", "secrets"), ("create", "configmaps")):
        assert may(bare, account(home), *question, "-n", team)
        assert not may(bare, account(home), *question, "-n", "default")
        assert not may(bare, account(home), *question, "-A")


def test_the_namespaced_overlay_serves_the_namespace_it_names(
    bare: Rig, team: str, tmp_path: Path
) -> None:
    manifests = Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))
    file = manifests / "overlays" / "namespaced" / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "namespace": team}))
    bare.kubectl("apply", "-k", str(file.parent))
    try:
        rolled_out(bare, team)
        with operating(bare, team):
            becomes_ready(bare, team)
        assert not may(bare, account(team), "list", "dfs", "-A")
        assert not may(bare, account(team), "list", "pods", "-n", "default")
    finally:
        bare.kubectl("delete", "-k", str(file.parent), "--wait=false")
        bare.kubectl("wait", "--for=delete", f"crd/{CRD}", "--timeout=60s")


def test_people_may_do_with_services_what_they_may_do_with_the_rest(
    bare: Rig, helm: Helm, home: str, team: str
) -> None:
    install(helm, home)
    for role in ("view", "edit"):
        binding = (f"--clusterrole={role}", f"--user={role}er", "-n", team)
        bare.kubectl("create", "rolebinding", role, *binding)

    until(lambda: may(bare, "viewer", "list", "dfs", "-n", team), "view joined")
    until(lambda: may(bare, "editer", "create", "dfs", "-n", team), "edit joined")
    assert may(bare, "editer", "patch", "dfs", "--subresource=scale", "-n", team)
    assert may(bare, "editer", "list", "dfs", "-n", team)
    assert not may(bare, "viewer", "create", "dfs", "-n", team)
    assert not may(bare, "editer", "patch", "dfs", "--subresource=status", "-n", team)


def test_the_api_server_takes_every_case(bare: Rig, helm: Helm, home: str) -> None:
    for namespace in ("team-a", "team-b", NAMESPACE):
        bare.kubectl.apply(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}")
    rendered = [helm.template("-f", str(case), namespace=home) for case in CASES]
    different = dict.fromkeys(yaml.safe_dump(body) for objects in rendered for body in objects)
    assert len(different) > len(CASES)
    bare.kubectl.apply("---\n".join(different), "--dry-run=server", "--validate=strict")


def test_the_api_server_takes_every_sample(bare: Rig, home: str, team: str) -> None:
    bare.kubectl("apply", "-k", str(MANIFESTS / "crd"))
    bare.kubectl("wait", "--for=condition=Established", f"crd/{CRD}")
    for sample in SAMPLES:
        dry = ("--dry-run=server", "--validate=strict", "-n", team)
        bare.kubectl.apply(sample.read_text(), *dry)
