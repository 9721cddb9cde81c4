"""A verifier beside the model: KServe takes the InferenceService and mounts both in the pod."""

from collections.abc import Iterator

import httpx
import pytest
import yaml

from cluster.rig import Rig
from dfastllm_operator.kinds import SECRET
from support.kubeapi import Json
from support.operators import Stage, staged
from support.services import Services, condition

DREAM: Json = {"uri": "hf://Dream-org/Dream-v0-Instruct-7B", "format": "dream"}
SMALL: Json = {"uri": "hf://Qwen/Qwen2.5-0.5B"}
SIZE: Json = {"size": {"parameters": "100M", "layers": 12}}
ON_A_CPU: Json = {"gpu": {"count": 0}}


@pytest.fixture(scope="module")
def stage(rig: Rig) -> Iterator[Stage]:
    with staged(rig) as stage:
        yield stage


@pytest.fixture
def services(stage: Stage) -> Services:
    return stage.services


def _template(services: Services, name: str) -> Json:
    """Of the pods, as KServe made it."""
    found: Json = services.deployment(name)["spec"]["template"]["spec"]
    return found


def _mounts(template: Json) -> dict[str, str]:
    """The server's mounts below /mnt: path to the volume's kind and what it names."""
    volumes = {volume["name"]: volume for volume in template["volumes"]}
    server = next(c for c in template["containers"] if c["name"] == "kserve-container")
    found = {}
    for mount in server["volumeMounts"]:
        if mount["mountPath"].startswith("/mnt"):
            volume = volumes[mount["name"]]
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            found[mount["mountPath"]] = claim or next(key for key in volume if key != "name")
    return found


def _paths(services: Services, name: str) -> tuple[str, str]:
    """Where the server looks for model and verifier."""
    model = yaml.safe_load(services.config(name))["model"]
    return model["model"], model["verifier"]


def test_both_are_downloaded_into_one_volume(stage: Stage, services: Services) -> None:
    body = {"metadata": {"name": "hub-token"}, "stringData": {"HF_TOKEN": "t"}}
    stage.api.create(SECRET, stage.namespace, body)
    model = {**DREAM, "verifier": SMALL, "storageSecretRef": {"name": "hub-token"}}
    services.create("hub", model=model, decoding={"strategy": "apd"}, resources=ON_A_CPU)
    status = services.ready("hub")["status"]
    assert status["sizing"]["verifier"] == "1.8Gi"
    template = _template(services, "hub")
    (loader,) = template["initContainers"]
    model_path, verifier_path = _paths(services, "hub")
    assert loader["name"] == "storage-initializer"
    assert loader["args"] == [DREAM["uri"], model_path, SMALL["uri"], verifier_path]
    assert [variable["name"] for variable in loader["env"]].count("HF_TOKEN") == 1
    assert _mounts(template) == {"/mnt/models": "emptyDir"}
    assert model_path.startswith("/mnt/models/")
    assert verifier_path.startswith("/mnt/models/")


def test_claims_are_mounted_side_by_side(services: Services) -> None:
    model = {"uri": "pvc://checkpoints/dream", **SIZE}
    verifier = {"uri": "pvc://verifiers/small", **SIZE}
    services.create("claims", model={**model, "verifier": verifier}, resources=ON_A_CPU)
    services.wait("ConfigReady", "True", name="claims")
    services.wait("ModelReady", "False", "Unschedulable", "claims")  # there are no such claims
    template = _template(services, "claims")
    assert "initContainers" not in template
    assert _mounts(template) == {
        "/mnt/models/model/files": "checkpoints",
        "/mnt/models/verifier/files": "verifiers",
    }
    assert _paths(services, "claims") == (
        "/mnt/models/model/files/dream",
        "/mnt/models/verifier/files/small",
    )


def test_a_built_in_model_takes_a_verifier_from_elsewhere(services: Services) -> None:
    model = {"uri": "builtin://smol", "verifier": {"uri": "s3://models/small", **SIZE}}
    services.create("smol", model=model)
    services.ready("smol")
    template = _template(services, "smol")
    (loader,) = template["initContainers"]
    assert loader["args"] == ["s3://models/small", "/mnt/models/verifier/files"]
    assert _mounts(template) == {"/mnt/models/verifier/files": "emptyDir"}
    assert _paths(services, "smol") == ("builtin:smol", "/mnt/models/verifier/files")


def test_images_have_a_folder_each(services: Services) -> None:
    model = {"uri": "oci://registry.example.com/dream:1", **SIZE}
    verifier = {"uri": "oci://registry.example.com/small:1", **SIZE}
    services.create("images", model={**model, "verifier": verifier}, resources=ON_A_CPU)
    services.ready("images")
    template = _template(services, "images")
    links = {c["image"]: c["args"][-1] for c in template["containers"] if "args" in c}
    assert set(links) == {"registry.example.com/dream:1", "registry.example.com/small:1"}
    for path, command in zip(_paths(services, "images"), links.values(), strict=True):
        assert f"/root/models {path} " in command
    assert set(_mounts(template)) == {"/mnt/models/model", "/mnt/models/verifier"}


def test_a_verifier_comes_and_goes_with_an_edit(services: Services) -> None:
    """KServe refuses one address beside a list: the one has to go with the same write."""
    services.create("edited", model=DREAM, resources=ON_A_CPU)
    services.settled("edited")
    alone = services.end_state("edited", history=False)
    assert services.inference_service("edited")["spec"]["predictor"]["model"]["storageUri"]
    services.edit("edited", model={"verifier": SMALL})
    services.ready("edited")
    predictor = services.inference_service("edited")["spec"]["predictor"]
    assert "storageUri" not in predictor["model"]
    assert [one["uri"] for one in predictor["storageUris"]] == [DREAM["uri"], SMALL["uri"]]
    services.edit("edited", model={"verifier": None})
    services.come_to(alone, "edited", history=False)


def test_the_operator_writes_a_settled_service_no_more(services: Services) -> None:
    services.create("quiet", model={**DREAM, "verifier": SMALL}, resources=ON_A_CPU)
    services.settled("quiet")
    before = services.inference_service("quiet")["metadata"]["resourceVersion"]
    services.touch("quiet")
    services.create("behind")
    services.ready("behind")  # the operator has looked at both by now
    assert services.inference_service("quiet")["metadata"]["resourceVersion"] == before


def test_a_service_that_names_its_rule_without_a_verifier_is_refused(services: Services) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"decoding\.strategy apd needs a verifier"):
        services.create("refused", model=DREAM, decoding={"strategy": "apd"})
    services.create("later", model=DREAM, resources=ON_A_CPU)
    services.ready("later")
    assert condition(services.get("later"), "ConfigReady")["status"] == "True"
