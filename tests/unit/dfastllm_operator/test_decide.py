from dataclasses import replace
from typing import Any

import pytest

from dfastllm_operator.core import Seen
from dfastllm_operator.decide import decide
from dfastllm_operator.errors import Refuse
from dfastllm_operator.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD
from dfastllm_operator.revision import revision_hash
from support.situations import HASH_LABEL, observed, record, service


def hash_of(spec: dict[str, Any]) -> str:
    return revision_hash(service(spec).spec)


def test_a_first_spec_becomes_a_new_revision_in_slot_a() -> None:
    plan = decide(observed({}))
    (placement,) = plan.placements
    assert (placement.slot, placement.weight) == ("a", 100)
    assert placement.revision.render_version == 1
    assert placement.revision.resolved.image == "server:1"
    assert plan.problem is None


def test_a_recorded_revision_is_taken_as_it_was_recorded() -> None:
    old = record({}, image="server:0", render_version=7)
    plan = decide(observed({}, seen=[old]))
    assert plan.placements[0].revision.resolved.image == "server:0"
    assert plan.placements[0].revision.render_version == 7


def test_a_default_that_grew_makes_no_revision_of_what_was_stored_before() -> None:
    """Before `apd` there were three strategies; the API server wrote them out."""
    former = {"decoding": {"allowedStrategies": ["fixed", "threshold", "factor"]}}
    stored = record(former)
    stored.body["data"]["hash"] = hash_of({})  # they were the default, which does not count
    plan = decide(observed(former, seen=[stored]))
    assert plan.placements[0].revision.hash == hash_of({}) != hash_of(former)
    edited = {**former, "env": [{"name": "A", "value": "1"}]}
    plan = decide(observed(edited, seen=[stored]))
    assert plan.placements[0].revision.hash == hash_of(edited)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": {"min": 3}},
        {"ingress": {"hostname": "llm.example.org"}},
        {"monitoring": {"enabled": True}},
        {"decoding": {"defaultMaxTokens": 256}},  # the default, written out
    ],
)
def test_what_changes_no_pod_changes_no_revision(change: dict[str, Any]) -> None:
    assert hash_of(change) == hash_of({})


@pytest.mark.parametrize(
    "change",
    [
        {"decoding": {"threshold": 0.8}},
        {"image": "server:2"},
        {"env": [{"name": "A", "value": "1"}]},
        {"engine": {"maxRunningRequests": 4}},
    ],
)
def test_what_changes_a_pod_changes_the_revision(change: dict[str, Any]) -> None:
    assert hash_of(change) != hash_of({})


def test_a_spec_that_cannot_be_sized_leaves_the_last_good_revision() -> None:
    good = record({"decoding": {"threshold": 0.8}})
    status = {"updatedRevision": hash_of({"decoding": {"threshold": 0.8}})}
    bad = replace(
        observed({"model": {"uri": "s3://b/m"}, "replicas": {"min": 2}}, [good], status=status),
        resolved=None,
        sizing=None,
        unsized=Refuse("SizeUnknown", "set model.size"),
    )
    plan = decide(bad)
    assert plan.problem is not None
    assert plan.problem.reason == "SizeUnknown"
    assert plan.placements[0].revision.inputs["decoding"]["threshold"] == 0.8
    assert plan.spec.replicas.min == 2, "what restarts no pod still follows the present spec"
    assert plan.spec.model.uri == "builtin://tiny"


def test_a_first_spec_that_cannot_be_sized_places_nothing() -> None:
    bad = replace(observed({}), resolved=None, sizing=None, unsized=Refuse("SizeUnknown", "x"))
    plan = decide(bad)
    assert plan.placements == ()
    assert plan.problem is not None


def test_a_recorded_revision_needs_no_size() -> None:
    sized_once = replace(
        observed({}, [record({})]),
        resolved=None,
        sizing=None,
        unsized=Refuse("SizeUnknown", "the hub does not answer today"),
    )
    assert decide(sized_once).problem is None


def test_a_missing_secret_is_a_problem() -> None:
    plan = decide(replace(observed({}), secrets_missing=(("auth.apiKeysSecretRef", "keys"),)))
    assert plan.problem is not None
    assert "keys" in str(plan.problem)


@pytest.mark.parametrize("kind", [POD, DEPLOYMENT])
def test_revisions_that_pods_may_need_are_kept(kind: Any) -> None:
    old = record({"image": "server:0"})
    used = hash_of({"image": "server:0"})
    labels = {"labels": {HASH_LABEL: used}}
    user = (
        Seen(POD, {"metadata": {"name": "p", **labels}})
        if kind is POD
        else Seen(
            DEPLOYMENT, {"metadata": {"name": "d"}, "spec": {"template": {"metadata": labels}}}
        )
    )
    assert [r.hash for r in decide(observed({}, [old, user])).kept] == [used]
    assert decide(observed({}, [old])).kept == ()


def test_a_lost_record_is_written_anew_from_what_runs() -> None:
    present = hash_of({})
    container = {"image": "server:old", "resources": {"requests": {"memory": "7Gi"}}}
    running = Seen(
        INFERENCE_SERVICE,
        {
            "metadata": {"name": "demo-a", "labels": {HASH_LABEL: present}},
            "spec": {"predictor": {"containers": [container]}},
        },
    )
    status = {"updatedRevision": present, "renderVersion": 1}
    revision = decide(observed({}, [running], status=status)).placements[0].revision
    assert revision.resolved.image == "server:old"
    assert revision.resolved.requests == {"memory": "7Gi"}
    running.body["metadata"]["labels"][HASH_LABEL] = "another"
    fresh = decide(observed({}, [running], status=status)).placements[0].revision
    assert fresh.resolved.image == "server:1"


def test_a_record_that_nobody_can_read_is_made_anew() -> None:
    broken = record({})
    broken.body["data"].pop("resolved")
    assert decide(observed({}, [broken])).placements[0].revision.render_version == 1
