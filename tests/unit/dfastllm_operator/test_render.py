"""Every object of a service against a stored picture: tests/golden/CASE/{in,out}.yaml.

With a `candidate` there are two slots: the service's own inputs, and those with the candidate's on
top.

`UPDATE_GOLDEN=1 pytest tests/unit/dfastllm_operator/test_render.py` draws them anew; read the diff.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfastllm_operator import names
from dfastllm_operator.core import Child, Placement, ReplicaRange, Resolved
from dfastllm_operator.errors import Refuse
from dfastllm_operator.kinds import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    HPA,
    INFERENCE_SERVICE,
    OWNED,
    SCALED_OBJECT,
)
from dfastllm_operator.render import render
from dfastllm_operator.resources.pods import RENDER_VERSIONS
from dfastllm_operator.revision import new_revision
from support.rendered import a_platform, a_service, body_of, children_of, revision_of

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/in.yaml"))
MAY_BE_EMPTY = {"emptyDir", "podSelector", "namespaceSelector"}


class Picture(yaml.SafeDumper):
    """Nothing by reference, and lines of text as lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Picture.add_representer(str, _text)


def rendered(case: str) -> list[Child]:
    given = yaml.safe_load((GOLDEN / case / "in.yaml").read_text())
    metadata = given["service"]["metadata"]
    service = a_service(given["service"]["spec"], **metadata)
    platform = a_platform(**given.get("platform", {}))
    if "candidate" not in given:
        return children_of(service, platform)
    candidate, weight = given["candidate"], given["candidate"]["weight"]
    other = a_service({**given["service"]["spec"], **candidate["inputs"]}, **metadata)
    placements = [
        Placement("a", revision_of(service), 100 - weight),
        Placement("b", revision_of(other), weight, candidate["replicas"]),
    ]
    return render(service, placements, platform, scaling=ReplicaRange(**given["scaling"]))


@pytest.mark.parametrize("case", CASES)
def test_objects_are_as_drawn(case: str) -> None:
    bodies = [child.body for child in rendered(case)]
    text = yaml.dump_all(bodies, Dumper=Picture, sort_keys=False, width=100, explicit_start=True)
    picture = GOLDEN / case / "out.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        picture.write_text(text)
    assert text == picture.read_text()


@pytest.mark.parametrize("case", CASES)
def test_objects_come_in_the_order_of_writing_and_belong_to_the_service(case: str) -> None:
    children = rendered(case)
    slots = [child for child in children if child.kind == INFERENCE_SERVICE]
    scaled = len(slots) == 2  # what is left to stable's scaler is told it before anything else
    assert not scaled or children[0].kind in (HPA, SCALED_OBJECT)
    places = [OWNED.index(child.kind) for child in children[scaled:]]
    assert places == sorted(places)
    for child in children:
        metadata = child.body["metadata"]
        assert metadata["namespace"] == "team"
        assert [owner["controller"] for owner in metadata["ownerReferences"]] == [True]
        assert metadata["labels"][names.MANAGED_BY] == names.FIELD_MANAGER
        assert all(len(value) <= 63 for value in metadata["labels"].values())


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_null_or_empty_that_the_api_server_would_drop(case: str) -> None:
    def look(value: Any, key: str) -> None:
        if isinstance(value, dict):
            assert value or key in MAY_BE_EMPTY, key
            for name, part in value.items():
                look(part, name)
        elif isinstance(value, list):
            assert value, key
            for part in value:
                look(part, key)
        else:
            assert value is not None, key
            assert value != "", key

    for child in rendered(case):
        if child.kind != CONTROLLER_REVISION:  # opaque: stored as it is
            look(child.body, "")


@pytest.mark.parametrize("case", CASES)
def test_names_are_dns_labels(case: str) -> None:
    for child in rendered(case):
        assert names.dns_label(child.name) == child.name
    slots = [child.name for child in rendered(case) if child.kind == INFERENCE_SERVICE]
    pods = [f"isvc.{name}-predictor" for name in slots]
    assert max(map(len, pods)) <= 63, "KServe makes this a label of the pods"


def test_no_placement_means_no_object() -> None:
    assert render(a_service(), [], a_platform()) == []


def test_kept_revisions_keep_their_record_and_configuration() -> None:
    old = revision_of(a_service({"model": {"uri": "builtin://tiny", "name": "older"}}))
    children = children_of(a_service(), kept=[old])
    kept = [c for c in children if c.name == names.revision("chat", old.hash)]
    assert [c.kind for c in kept] == [CONTROLLER_REVISION, CONFIG_MAP]
    assert "older" in kept[1].body["data"]["config.yaml"]
    assert len([c for c in children if c.kind == INFERENCE_SERVICE]) == 1


def test_a_revision_renders_the_same_whatever_the_spec_says_now() -> None:
    before = a_service({"model": {"uri": "builtin://tiny"}, "podLabels": {"team": "one"}})
    now = a_service({"model": {"uri": "builtin://tiny"}, "podLabels": {"team": "two"}})
    placement = Placement("a", revision_of(before), 100)
    old, new = (render(s, [placement], a_platform()) for s in (before, now))
    assert [c.body for c in old] == [c.body for c in new]


def test_what_the_operator_filled_in_comes_from_the_revision() -> None:
    service = a_service()
    resolved = Resolved(image="old:1", requests={"cpu": "3"}, limits={"cpu": "3"})
    placement = Placement("a", new_revision(service.spec, resolved, 1), 100)
    isvc = body_of(render(service, [placement], a_platform()), INFERENCE_SERVICE)
    (container,) = isvc["spec"]["predictor"]["containers"]
    assert container["image"] == "old:1"
    assert container["resources"] == {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}


def test_a_revision_of_a_newer_operator_is_refused_in_words() -> None:
    service = a_service()
    resolved = Resolved(image="x", requests={}, limits={})
    placement = Placement("a", new_revision(service.spec, resolved, max(RENDER_VERSIONS) + 1), 100)
    with pytest.raises(Refuse, match="made by a newer operator"):
        render(service, [placement], a_platform())


def test_two_slots_stand_side_by_side() -> None:
    service = a_service()
    canary = revision_of(a_service({"model": {"uri": "builtin://tiny", "name": "new"}}))
    placements = [Placement("a", revision_of(service), 90), Placement("b", canary, 10)]
    children = render(service, placements, a_platform(gateway="infra/public"), serving="a")
    route = next(c.body for c in children if c.kind.kind == "HTTPRoute")
    backends = route["spec"]["rules"][0]["backendRefs"]
    assert [(b["name"], b["weight"]) for b in backends] == [
        ("chat-a-predictor", 90),
        ("chat-b-predictor", 10),
    ]
    slots = [c.name for c in children if c.kind == INFERENCE_SERVICE]
    assert slots == ["chat-a", "chat-b"]
