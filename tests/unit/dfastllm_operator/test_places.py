"""Model and verifier beside one another, for every kind of address that each may have."""

from itertools import product
from pathlib import PurePosixPath

import pytest

from dfastllm_operator.api import Spec
from dfastllm_operator.core import Json
from dfastllm_operator.places import brought, model_place, verifier_place
from support.rendered import a_service

SIZE = {"size": {"parameters": "1B"}}
ADDRESSES = (
    "hf://a/b",
    "pvc://claim/x/y",
    "pvc://claim",
    "s3://b/x",
    "gs://b/x",
    "oci://r/m:1",
    "https://h/x.tar.gz",
)
PAIRS = list(product(ADDRESSES, ADDRESSES))
EVERY_PAIR = [*PAIRS, *(("builtin://smol", uri) for uri in ADDRESSES)]
DOWNLOADS = ("hf", "s3", "gs", "https")


def spec_of(uri: str, verifier: Json | None = None, **said: str) -> Spec:
    model = {"uri": uri, **SIZE, **said, **({"verifier": verifier} if verifier else {})}
    return a_service({"model": model}).spec


def both(uri: str, verifier: str) -> Spec:
    return spec_of(uri, {"uri": verifier, **SIZE})


@pytest.mark.parametrize("uri", ADDRESSES)
def test_a_model_alone_lies_where_kserve_puts_one(uri: str) -> None:
    for verifier in (None, {"name": "self"}, {"name": "none"}, {"uri": "builtin://smol-verifier"}):
        spec = spec_of(uri, verifier)
        assert model_place(spec) == "/mnt/models"
        assert brought(spec) == []


def test_words_and_built_in_verifiers_are_told_as_the_server_spells_them() -> None:
    assert verifier_place(spec_of("hf://a/b")) is None
    assert verifier_place(spec_of("hf://a/b", {"name": "self"})) == "self"
    built_in = spec_of("builtin://smol", {"uri": "builtin://smol-verifier"})
    assert (model_place(built_in), verifier_place(built_in)) == (
        "builtin:smol",
        "builtin:smol-verifier",
    )


@pytest.mark.parametrize(("model", "verifier"), EVERY_PAIR)
def test_the_server_finds_both_below_where_kserve_mounts_them(model: str, verifier: str) -> None:
    spec = both(model, verifier)
    mounts = {one["mountPath"]: one["uri"] for one in brought(spec)}
    found = [(verifier, verifier_place(spec))]
    if model != "builtin://smol":
        found.append((model, model_place(spec)))
    assert len(mounts) == len(found)
    for uri, place in found:
        assert place is not None
        mounted = f"/mnt/models/{place.split('/')[3]}/files"
        path = uri.partition("claim")[2] if uri.startswith("pvc") else ""
        assert place == mounted + path
        assert mounts[mounted] == uri.removesuffix("/x/y")


@pytest.mark.parametrize(("model", "verifier"), EVERY_PAIR)
def test_no_mount_of_kserves_hides_another(model: str, verifier: str) -> None:
    """Downloads share their common parent; an image has the parent of its path, as a modelcar."""
    listed = brought(both(model, verifier))
    downloads = [one["mountPath"] for one in listed if one["uri"].startswith(DOWNLOADS)]
    mounted = ["/mnt/models"] if len(downloads) > 1 else downloads
    for one in listed:
        path = PurePosixPath(one["mountPath"])
        if one["uri"].startswith("oci"):
            mounted.append(str(path.parent))
        elif one["uri"].startswith("pvc"):
            mounted.append(str(path))
    assert len(set(mounted)) == len(mounted)
    for one, other in product(mounted, mounted):
        assert one == other or not PurePosixPath(one).is_relative_to(other)


@pytest.mark.parametrize(("model", "verifier"), PAIRS)
def test_downloads_come_first(model: str, verifier: str) -> None:
    """KServe asks the first address alone which container downloads."""
    firsts = [one["uri"].startswith(DOWNLOADS) for one in brought(both(model, verifier))]
    assert firsts == sorted(firsts, reverse=True)


def test_revisions_are_spelled_as_kserve_reads_them() -> None:
    spec = spec_of("hf://a/b", {"uri": "hf://a/c", "revision": "v2", **SIZE}, revision="v1")
    assert [one["uri"] for one in brought(spec)] == ["hf://a/b:v1", "hf://a/c:v2"]
