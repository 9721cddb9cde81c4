"""`manifests/`: nothing is forgotten, and every sample is right for the operator as it is now."""

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from dfastllm_operator import __version__
from dfastllm_operator.api import Spec, parse
from dfastllm_operator.core import Placement, Platform, Resolved
from dfastllm_operator.install.identity import OPERATOR_IMAGE, SERVER_IMAGE
from dfastllm_operator.kinds import SERVICE_RESOURCE
from dfastllm_operator.render import render
from dfastllm_operator.resources.pods import version_of
from dfastllm_operator.resources.runtime import OPERATOR_NAME
from dfastllm_operator.revision import new_revision
from dfastllm_operator.settings import PREFIX, Settings
from dfastllm_operator.sizing import resources_of, size
from dfastllm_operator.sizing.known import SMOL

Json = dict[str, Any]
MANIFESTS = Path(__file__).parents[2] / "manifests"
KUSTOMIZATIONS = sorted(MANIFESTS.rglob("kustomization.yaml"))
SAMPLES = sorted(p for p in (MANIFESTS / "samples").glob("*.yaml") if p.stem != "kustomization")
ONLY_BY_HAND = {"openshift-template.yaml"}  # for a kind that only OpenShift has
EXCLUDED = {"model.verifier.name", "rollout.steps.mirror"}  # by its uri


def documents(path: Path) -> list[Json]:
    return list(yaml.safe_load_all(path.read_text()))


def service_of(sample: Path) -> Json:
    (service,) = (d for d in documents(sample) if d["kind"] == SERVICE_RESOURCE.kind)
    service["metadata"] |= {"namespace": "default", "uid": "u-1", "generation": 1}
    return service


def fields(model: type[BaseModel]) -> Iterator[str]:
    """Paths of all fields that hold no further model, as the custom resource spells them."""
    for field in model.model_fields.values():
        inner = list(_models(field.annotation))
        if not inner:
            yield str(field.alias)
        for one in inner:
            yield from (f"{field.alias}.{path}" for path in fields(one))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for argument in typing.get_args(annotation):
            yield from _models(argument)


def written(value: Any, path: str = "") -> Iterator[str]:
    """Paths of everything that a document says, places in lists left out."""
    if isinstance(value, list):
        for item in value:
            yield from written(item, path)
    elif isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from written(inner, f"{path}.{key}".lstrip("."))
    else:
        yield path


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda p: str(p.parent.relative_to(MANIFESTS)))
def test_a_kustomization_names_every_file_of_its_folder(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    named = {*content["resources"], *(patch["path"] for patch in content.get("patches", []))}
    here = {p.name for p in path.parent.glob("*.yaml")} - {path.name} - ONLY_BY_HAND
    assert {name for name in named if "/" not in name} == here
    for name in named - here:
        assert (path.parent / name / "kustomization.yaml").exists()


def test_the_base_joins_the_four_parts() -> None:
    base = yaml.safe_load((MANIFESTS / "base" / "kustomization.yaml").read_text())
    assert base["resources"] == ["../crd", "../rbac", "../runtime", "../operator"]


def test_overlays_set_variables_that_exist() -> None:
    for patch in MANIFESTS.glob("overlays/*/deployment.yaml"):
        (document,) = documents(patch)
        (container,) = document["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", []):
            assert variable["name"].startswith(PREFIX)
            assert variable["name"].removeprefix(PREFIX).lower() in Settings.model_fields


def test_overlays_rename_images_that_exist() -> None:
    dev = yaml.safe_load((MANIFESTS / "overlays" / "dev" / "kustomization.yaml").read_text())
    names = {image.partition(":")[0] for image in (OPERATOR_IMAGE, SERVER_IMAGE)}
    assert {image["name"] for image in dev["images"]} == names


def test_there_is_a_sample_for_each_use() -> None:
    wanted = {"minimal", "smol", "gpu", "pvc", "verifier", "keda", "api-keys", "gateway", "full"}
    wanted |= {"canary"}
    assert {sample.stem for sample in SAMPLES} == wanted


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.stem)
def test_a_sample_says_what_it_shows(sample: Path) -> None:
    assert sample.read_text().startswith("# ")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda p: p.stem)
def test_a_sample_is_accepted_sized_and_rendered(sample: Path) -> None:
    service = parse(service_of(sample))
    requests, limits = resources_of(service.spec, size(service.spec, None))
    revision = new_revision(
        service.spec, Resolved(SERVER_IMAGE, requests, limits), version_of(service.spec)
    )
    platform = Platform(server_image=SERVER_IMAGE, runtime=OPERATOR_NAME, gateway="kserve/gateway")
    children = render(service, [Placement("a", revision, 100)], platform)
    assert {"InferenceService", "ConfigMap", "Service"} <= {child.kind.kind for child in children}


def test_the_minimal_sample_is_ten_lines_at_most() -> None:
    text = (MANIFESTS / "samples" / "minimal.yaml").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 10


def test_the_english_sample_needs_neither_network_nor_gpu_and_room_for_both_networks() -> None:
    spec = parse(service_of(MANIFESTS / "samples" / "smol.yaml")).spec
    sizing = size(spec, None)
    assert spec.model.built_in
    assert not sizing.gpu
    assert sizing.weights >= 2 * SMOL.parameters * 4  # float32: the pod's processor is not known
    requests, limits = resources_of(spec, sizing)
    assert requests["cpu"] == limits["cpu"] == "2"
    assert requests["memory"] == limits["memory"]


def test_the_full_sample_says_everything_there_is_to_say() -> None:
    spec = service_of(MANIFESTS / "samples" / "full.yaml")["spec"]
    assert set(fields(Spec)) - set(written(spec)) == EXCLUDED


def test_the_full_sample_names_the_image_of_this_version() -> None:
    spec = service_of(MANIFESTS / "samples" / "full.yaml")["spec"]
    assert spec["image"] == SERVER_IMAGE
    assert SERVER_IMAGE.endswith(f":{__version__}")


def test_the_page_names_every_folder() -> None:
    page = (MANIFESTS / "README.md").read_text()
    for path in KUSTOMIZATIONS:
        folder = path.parent.relative_to(MANIFESTS)
        top = "components" if folder.parts[0] == "components" else str(folder)
        assert f"`{top}/`" in page
