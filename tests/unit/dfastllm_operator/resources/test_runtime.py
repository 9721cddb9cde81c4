import pytest

from dfastllm_operator.resources.runtime import runtimes


@pytest.mark.parametrize(
    ("namespace", "kind"), [(None, "ClusterServingRuntime"), ("team", "ServingRuntime")]
)
def test_both_runtimes_know_all_formats(namespace: str | None, kind: str) -> None:
    for runtime in runtimes("server:1", "0.1.0", namespace=namespace):
        assert runtime["kind"] == kind
        assert runtime["metadata"].get("namespace") == namespace
        formats = {form["name"] for form in runtime["spec"]["supportedModelFormats"]}
        assert formats == {"dfastllm", "llada", "dream"}


def test_the_operators_runtime_says_nothing_that_a_new_version_could_change() -> None:
    one, other = (runtimes(image, version)[1] for image, version in (("a:1", "1"), ("b:2", "2")))
    assert one == other
    assert one["spec"]["containers"] == [{"name": "kserve-container"}]
    assert not any(form.get("autoSelect") for form in one["spec"]["supportedModelFormats"])


def test_the_public_runtime_has_no_arguments_that_users_would_have_to_fight() -> None:
    public = runtimes("server:1", "0.1.0")[0]
    (container,) = public["spec"]["containers"]
    assert "args" not in container
    assert container["image"] == "server:1"
    assert {"name": "DFASTLLM_MODEL", "value": "/mnt/models"} in container["env"]
    assert public["metadata"]["annotations"]["opendatahub.io/runtime-version"] == "0.1.0"
