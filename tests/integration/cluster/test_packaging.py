"""Chart and kustomizations as Helm and kubectl render them, without a cluster: one and the same."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import binaries
from dfastllm_operator import names
from dfastllm_operator.settings import Settings
from support.packaging import (
    CHART,
    MANIFESTS,
    NAMESPACE,
    Helm,
    HelmFailed,
    by_identity,
    kustomize,
    pod_specs,
    without_release,
)

Json = dict[str, Any]
CASES = {p.name.removesuffix("-values.yaml"): p for p in sorted((CHART / "ci").iterdir())}
RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(binaries.ensure(["helm"])["helm"], tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def cases(helm: Helm) -> dict[str, list[Json]]:
    """What comes out of each."""
    return {name: helm.template(*case(name)) for name in CASES}


@pytest.fixture(scope="module")
def kubectl() -> Path:
    return binaries.ensure(["kubectl"])["kubectl"]


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy to write overlays into."""
    return Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))


def case(name: str) -> tuple[str, str]:
    return "-f", str(CASES[name])


def built(kubectl: Path, folder: Path) -> list[Json]:
    """Without the namespace, which Helm's users make themselves."""
    return [body for body in kustomize(kubectl, folder) if body["kind"] != "Namespace"]


def same(charts: list[Json], manifests: list[Json]) -> None:
    assert by_identity(without_release(charts)) == by_identity(manifests)


def test_the_chart_as_it_is_installs_what_the_base_installs(helm: Helm, kubectl: Path) -> None:
    same(helm.template(), built(kubectl, MANIFESTS / "base"))


def test_the_charts_production_is_the_overlays(helm: Helm, kubectl: Path) -> None:
    same(helm.template(*case("production")), built(kubectl, MANIFESTS / "overlays" / "production"))


def test_the_charts_namespaced_mode_is_the_overlays(helm: Helm, kubectl: Path) -> None:
    overlay = built(kubectl, MANIFESTS / "overlays" / "namespaced")
    for pod in pod_specs(overlay):
        for variable in pod["containers"][0]["env"]:
            if variable["name"] == "DFASTLLM_OPERATOR_NAMESPACES":
                assert variable.pop("valueFrom") == {
                    "fieldRef": {"fieldPath": "metadata.namespace"}
                }
                variable["value"] = NAMESPACE
    charts = helm.template(*case("namespaced"))
    for pod in pod_specs([*charts, *overlay]):
        pod["containers"][0]["env"].sort(key=lambda variable: variable["name"])
    same(charts, overlay)


@pytest.mark.parametrize("name", CASES)
def test_every_case_renders_a_restricted_pod_and_nothing_twice(
    name: str, cases: dict[str, list[Json]]
) -> None:
    objects = cases[name]
    by_identity(objects)
    (pod,) = pod_specs(objects)
    assert pod["securityContext"] == RESTRICTED_POD
    (container,) = pod["containers"]
    assert container["securityContext"] == RESTRICTED_CONTAINER
    assert len({variable["name"] for variable in container["env"]}) == len(container["env"])


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_clean_to_helms_linter(name: str, helm: Helm) -> None:
    told = helm("lint", str(CHART), "--strict", *case(name))
    assert "[WARNING]" not in told
    assert "[ERROR]" not in told


@pytest.mark.parametrize("name", CASES)
def test_no_object_of_the_installation_looks_like_a_services_child(
    name: str, cases: dict[str, list[Json]]
) -> None:
    key, _, value = names.SELECTOR.partition("=")
    for body in cases[name]:
        assert body["metadata"].get("labels", {}).get(key) != value


@pytest.mark.parametrize(
    "setting",
    [
        "unknown=1",
        "image.unknown=1",
        "server.image.unknown=1",
        "metrics.podMonitor.unknown=1",
        "crds.unknown=1",
        "tolerations[0].unknown=1",
    ],
)
def test_a_key_the_chart_does_not_know_is_refused(setting: str, helm: Helm) -> None:
    with pytest.raises(HelmFailed, match="'unknown' not allowed"):
        helm.template("--set", setting)


@pytest.mark.parametrize(
    "setting", ["replicas=many", "logLevel=loud", "gateway=no-namespace", "image.digest=sha256:1"]
)
def test_a_value_that_cannot_be_right_is_refused(setting: str, helm: Helm) -> None:
    with pytest.raises(HelmFailed, match="specifications of the schema"):
        helm.template("--set", setting)


def test_the_crd_is_kept_unless_told_otherwise(helm: Helm) -> None:
    def policy(*args: str) -> str | None:
        (crd,) = (b for b in helm.template(*args) if b["kind"] == "CustomResourceDefinition")
        return dict(crd["metadata"].get("annotations", {})).get("helm.sh/resource-policy")

    assert policy() == "keep"
    assert policy(*case("crds-not-kept")) is None


def test_namespaced_mode_leaves_no_cluster_wide_permission(cases: dict[str, list[Json]]) -> None:
    objects = cases["two-namespaces"]
    assert not [body for body in objects if body["kind"] == "ClusterRoleBinding"]
    roles = {b["metadata"]["namespace"] for b in objects if b["kind"] == "RoleBinding"}
    assert roles == {"team-a", "team-b", NAMESPACE}
    runtimes = [b["metadata"]["namespace"] for b in objects if b["kind"] == "ServingRuntime"]
    assert sorted(runtimes) == ["team-a", "team-a", "team-b", "team-b"]


def test_images_are_what_the_values_say(cases: dict[str, list[Json]]) -> None:
    objects = cases["digests"]
    (pod,) = pod_specs(objects)
    zeros, ones = "sha256:" + "0" * 64, "sha256:" + "1" * 64
    server = f"registry.example.org/dfastllm-server@{ones}"
    assert pod["containers"][0]["image"] == f"registry.example.org/dfastllm-operator@{zeros}"
    assert {"name": "DFASTLLM_OPERATOR_SERVER_IMAGE", "value": server} in pod["containers"][0][
        "env"
    ]
    runtimes = [body for body in objects if body["kind"] == "ClusterServingRuntime"]
    images = {c.get("image") for body in runtimes for c in body["spec"]["containers"]}
    assert images == {server, None}


@pytest.mark.parametrize("name", CASES)
def test_replicas_may_write_the_lease_they_ask_for(name: str, cases: dict[str, list[Json]]) -> None:
    objects = cases[name]
    (pod,) = pod_specs(objects)
    variables = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    asked = variables.get("DFASTLLM_OPERATOR_LEASE_NAME", Settings().lease_name)
    rules = [r for body in objects if body["kind"] == "Role" for r in body["rules"]]
    named = [rule["resourceNames"] for rule in rules if "resourceNames" in rule]
    assert named == ([] if name == "no-rbac" else [[asked]])


def test_objects_of_another_release_have_other_names(cases: dict[str, list[Json]]) -> None:
    def own(objects: list[Json]) -> set[tuple[str, str, str]]:
        shared = {"CustomResourceDefinition", "ClusterServingRuntime"}
        return {at for at in by_identity(objects) if at[0] not in shared}

    assert not own(cases["default"]) & own(cases["names"])
    assert not own(cases["default"]) & own(cases["name-override"])


def test_the_development_overlay_runs_what_was_just_built(kubectl: Path) -> None:
    text = yaml.safe_dump_all(built(kubectl, MANIFESTS / "overlays" / "dev"))
    assert "ghcr.io" not in text
    assert set(re.findall(r"dfastllm-(?:operator|server):\S+", text)) == {
        "dfastllm-operator:dev",
        "dfastllm-server:dev",
    }


def test_the_namespaced_overlay_moves_to_the_namespace_it_names(
    kubectl: Path, manifests: Path
) -> None:
    overlay = manifests / "overlays" / "namespaced"
    file = overlay / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "namespace": "team"}))

    objects = kustomize(kubectl, overlay)
    assert {b["metadata"]["namespace"] for b in objects if "namespace" in b["metadata"]} == {"team"}
    subjects = [s for body in objects for s in body.get("subjects", [])]
    assert {subject["namespace"] for subject in subjects} == {"team"}
    wide = {b["kind"] for b in objects if "namespace" not in b["metadata"]}
    assert wide == {"CustomResourceDefinition", "ClusterRole"}
    bound = [b["roleRef"]["kind"] for b in objects if "roleRef" in b]
    assert set(bound) == {"Role"}


@pytest.mark.parametrize(
    ("component", "kind", "switch"),
    [
        ("monitoring", "PodMonitor", "metrics.podMonitor.enabled"),
        ("network-policy", "NetworkPolicy", "networkPolicy.enabled"),
    ],
)
def test_a_component_adds_what_the_chart_adds(
    component: str, kind: str, switch: str, helm: Helm, kubectl: Path, manifests: Path
) -> None:
    overlay = manifests / "overlays" / "mine"
    overlay.mkdir()
    content = {"resources": ["../../base"], "components": [f"../../components/{component}"]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(content))

    def added(objects: list[Json]) -> list[Json]:
        return [body for body in objects if body["kind"] == kind]

    ours = added(kustomize(kubectl, overlay))
    assert len(ours) == 1
    assert added(without_release(helm.template("--set", f"{switch}=true"))) == ours
    assert not added(helm.template())


def test_the_overlay_of_the_page_renames_every_image(kubectl: Path, manifests: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (MANIFESTS / "README.md").read_text(), re.DOTALL)
    (manifests / "mine").mkdir()
    text = block.replace("../dfastllm/manifests/", "../")
    (manifests / "mine" / "kustomization.yaml").write_text(text)
    rendered = yaml.safe_dump_all(kustomize(kubectl, manifests / "mine"))
    assert "ghcr.io" not in rendered
    assert "registry.example.com/dfastllm-operator:0.1.0" in rendered
    assert "registry.example.com/dfastllm-server:0.1.0" in rendered


def test_the_package_holds_no_cases(helm: Helm, tmp_path: Path) -> None:
    helm("package", str(CHART), "-d", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path)
    assert not (tmp_path / "dfastllm" / "ci").exists()
    assert (tmp_path / "dfastllm" / "files" / "rules.yaml").exists()
