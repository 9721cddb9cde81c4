from copy import deepcopy
from typing import Any

import pytest
import yaml

from dfastllm_operator.core import Json
from dfastllm_operator.delivery.naming import former_names
from dfastllm_operator.kinds import CONFIG_MAP, CONTROLLER_REVISION, INFERENCE_SERVICE
from dfastllm_operator.names import FORMER_NAMES
from dfastllm_operator.revision import from_record
from support.little_cluster import LittleCluster
from support.situations import record
from support.steady import begun

TINY = "builtin://tiny"


def served(cluster: LittleCluster) -> dict[str, list[str]]:
    """Model names by revision, as the servers are started with them; KServe's name is the same."""
    found = {}
    for (kind, name), body in cluster.objects.items():
        if kind == CONFIG_MAP:
            model = yaml.safe_load(body["data"]["config.yaml"])["model"]
            assert model["kserve_name"] == "demo"
            found[name.removeprefix("demo-")] = model["served_model_name"]
    return found


def rename(cluster: LittleCluster, name: str | None, **spec: Any) -> list[str]:
    """Change the name and wait for the end; the names of the new revision."""
    cluster.edit(model={"uri": TINY, **({"name": name} if name else {})}, **spec)
    names: list[str] = []
    for rollout in cluster.until("Stable"):
        if (candidate := rollout.get("candidate")) is not None:
            now = served(cluster)[candidate["revision"]]
            assert names in ([], now), "as it was accepted"
            names = now
    assert served(cluster)[cluster.rollout["stable"]["revision"]] == names
    return names


def test_a_candidate_answers_to_the_name_of_stable_too() -> None:
    cluster, _ = begun()
    assert rename(cluster, "tiny-2") == ["tiny-2", "demo"]
    kept = served(cluster)
    for _ in range(5):
        cluster.tick()
    assert served(cluster) == kept, "the former name stays after the promotion"


def test_a_change_that_keeps_the_name_keeps_the_former_ones_and_a_new_name_adds_one() -> None:
    cluster, _ = begun()
    rename(cluster, "tiny-2")
    assert rename(cluster, "tiny-2", decoding={"threshold": 0.8}) == ["tiny-2", "demo"]
    assert rename(cluster, "tiny-3") == ["tiny-3", "tiny-2", "demo"]
    assert rename(cluster, "tiny-3", decoding={"threshold": 0.7}) == ["tiny-3", "tiny-2", "demo"]
    assert rename(cluster, "tiny-2", decoding={"threshold": 0.7}) == ["tiny-2", "tiny-3", "demo"]


def test_a_revision_that_comes_back_answers_to_the_name_it_replaces() -> None:
    cluster, _ = begun()
    first = cluster.rollout["stable"]["revision"]
    assert served(cluster)[first] == ["demo"]
    rename(cluster, "tiny-2")
    assert rename(cluster, None) == ["demo", "tiny-2"]
    assert cluster.rollout["stable"]["revision"] == first, "names make no revision"
    assert rename(cluster, "tiny-3") == ["tiny-3", "demo", "tiny-2"]
    assert rename(cluster, None) == ["demo", "tiny-3", "tiny-2"]
    assert rename(cluster, None, decoding={"threshold": 0.8}) == ["demo", "tiny-3", "tiny-2"]


def test_the_record_of_a_revision_that_comes_back_is_never_away() -> None:
    cluster, _ = begun()
    first = cluster.rollout["stable"]["revision"]
    at = (CONTROLLER_REVISION, f"demo-{first}")
    before = deepcopy(cluster.objects[at])
    cluster.image = "server:2"
    cluster.start()
    rename(cluster, "tiny-2")
    cluster.writes.clear()
    rename(cluster, None)
    assert not [write for write in cluster.writes if write == f"delete ControllerRevision/{at[1]}"]
    after = cluster.objects[at]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["data"], after["revision"]) == (before["data"], before["revision"])
    now = cluster.objects[INFERENCE_SERVICE, "demo-a"]["spec"]["predictor"]["containers"][0]
    assert now["image"] == "server:1"


@pytest.mark.parametrize("note", ["no list", "7", ""])
def test_names_that_somebody_else_noted_take_none_away(note: str) -> None:
    cluster, _ = begun()
    rename(cluster, "tiny-2")
    stable = cluster.rollout["stable"]["revision"]
    body = deepcopy(cluster.objects[CONTROLLER_REVISION, f"demo-{stable}"])
    body["metadata"]["annotations"] |= {FORMER_NAMES: note}
    cluster.store.put(CONTROLLER_REVISION, body)
    for _ in range(3):
        cluster.tick()
    assert served(cluster)[stable] == ["tiny-2", "demo"]


def test_names_are_written_before_the_candidate_is_accepted() -> None:
    cluster, _ = begun()
    first = cluster.rollout["stable"]["revision"]
    rename(cluster, "tiny-2")
    cluster.writes.clear()
    rename(cluster, None)
    made = f"apply ControllerRevision/demo-{first}"
    assert cluster.writes.index(made) < cluster.writes.index("status Preparing")
    assert cluster.writes.count(made) == 1


def test_without_a_canary_a_name_is_the_only_one() -> None:
    cluster, _ = begun(rollout=None)
    cluster.edit(model={"uri": TINY, "name": "tiny-2"})
    for _ in range(6):
        cluster.tick()
    assert served(cluster)[cluster.service["status"]["revision"]] == ["tiny-2"]


def test_the_names_of_a_lost_record_are_read_from_its_file() -> None:
    cluster, _ = begun()
    rename(cluster, "tiny-2")
    stable, pods = cluster.rollout["stable"]["revision"], cluster.pods()
    gone = cluster.objects.pop((CONTROLLER_REVISION, f"demo-{stable}"))
    cluster.store.remove(CONTROLLER_REVISION, gone)
    for _ in range(3):
        cluster.tick()
    assert cluster.objects[CONTROLLER_REVISION, f"demo-{stable}"]["data"] == gone["data"]
    assert served(cluster)[stable] == ["tiny-2", "demo"]
    assert cluster.pods() == pods


def test_former_names_are_those_of_stable_but_for_the_own_one() -> None:
    def stable(name: str, *former: str) -> Any:
        data: Json = record({"model": {"uri": TINY, "name": name}}).body["data"]
        resolved = {**data["resolved"], "formerNames": list(former)}
        return from_record({**data, "resolved": resolved})

    assert former_names("new", stable("old"), "demo") == ("old",)
    assert former_names("new", stable("old", "older"), "demo") == ("old", "older")
    assert former_names("old", stable("old", "older"), "demo") == ("older",)
    assert former_names("older", stable("old", "older"), "demo") == ("old",)
    assert former_names("oldest", stable("old", "older", "oldest"), "demo") == ("old", "older")
    assert former_names("old", stable("old"), "demo") == ()
    many = tuple("abcdefgh")
    assert former_names("old", stable("old", *many), "demo") == many
    assert former_names("new", stable("old", *many), "demo") == ("old", *many[:-1])
