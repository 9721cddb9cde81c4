from typing import Any

from dfastllm_operator.conditions import Reason
from dfastllm_operator.symptoms import ORDER, of_pod, worst


def pod(name: str = "p", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


def conditions(**given: str) -> list[dict[str, Any]]:
    return [{"type": kind, "status": value} for kind, value in given.items()]


def container(name: str = "kserve-container", **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "image": "server:1", **state}


def reason_of(body: dict[str, Any]) -> Reason | None:
    found = of_pod(body)
    return found.reason if found else None


def test_a_ready_pod_has_no_symptom() -> None:
    assert of_pod(pod(conditions=conditions(PodScheduled="True", Ready="True"))) is None


def test_a_pod_that_is_being_deleted_has_none_either() -> None:
    leaving = pod(conditions=conditions(Ready="False"))
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert of_pod(leaving) is None


def test_a_missing_gpu_is_told_from_other_scheduling_trouble() -> None:
    def waits(message: str) -> dict[str, Any]:
        return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])

    assert reason_of(waits("0/2 nodes: 2 Insufficient nvidia.com/gpu.")) is Reason.GPU_UNAVAILABLE
    assert reason_of(waits("0/2 nodes: 2 Insufficient cpu.")) is Reason.UNSCHEDULABLE


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    found = of_pod(pod(containerStatuses=[container(state=waiting)]))
    assert found is not None
    assert found.reason is Reason.IMAGE_PULL_FAILED
    assert "server:1" in found.message
    assert found.fatal


def test_only_a_name_that_is_none_is_hopeless() -> None:
    def hopeless(reason: str) -> bool:
        found = of_pod(pod(containerStatuses=[container(state={"waiting": {"reason": reason}})]))
        return found is not None and found.hopeless

    assert hopeless("InvalidImageName")
    assert not hopeless("ImagePullBackOff")
    assert not hopeless("CreateContainerConfigError")


def test_a_lost_node_is_told_from_a_server_that_is_not_ready() -> None:
    def seen(**given: str) -> dict[str, Any]:
        body = pod(conditions=conditions(PodScheduled="True", **given))
        return {**body, "spec": {"nodeName": "n2"}}

    found = of_pod(seen(ContainersReady="True", Ready="False"))
    assert found is not None
    assert found.reason is Reason.NODE_LOST
    assert "n2" in found.message
    assert reason_of(seen(ContainersReady="False", Ready="False")) is Reason.LOADING
    gated = seen(ContainersReady="True", Ready="False")
    gated["status"]["conditions"][-1]["reason"] = "ReadinessGatesNotReady"
    assert reason_of(gated) is Reason.LOADING


def listed(name: str, made: str, **status: Any) -> dict[str, Any]:
    body = pod(name, **status)
    body["metadata"]["creationTimestamp"] = f"2026-01-01T{made}:00Z"
    return body


def evicted(name: str, made: str, at: str) -> dict[str, Any]:
    """As a kubelet leaves it: the containers' ends stay in it."""
    ended = {"terminated": {"exitCode": 137, "reason": "Error"}}
    since = f"2026-01-01T{at}:00Z"
    return listed(
        name,
        made,
        phase="Failed",
        reason="Evicted",
        message=f"The node had too little memory at {at}.",
        conditions=[{"type": "Ready", "status": "False", "lastTransitionTime": since}],
        containerStatuses=[container(state=ended)],
    )


READY = {"phase": "Running", "conditions": conditions(PodScheduled="True", Ready="True")}


def test_an_evicted_pod_is_no_fault_once_another_serves() -> None:
    gone = evicted("gone", "10:00", "10:30")
    assert of_pod(gone) is None
    assert worst([gone, listed("next", "10:30", **READY)]) is None


def test_what_starts_in_its_place_tells_of_the_latest_eviction() -> None:
    gone = [evicted("first", "10:00", "10:30"), evicted("second", "10:30", "10:45")]
    for starting in [], [listed("third", "10:45")]:
        found = worst([*gone, *starting])
        assert found is not None
        assert found.reason is Reason.EVICTED
        assert found.message == (
            "Pod second was ended by its node (Evicted): The node had too little memory at 10:45."
        )
        assert not found.fatal
    assert worst([*gone, listed("long after", "23:00")]).reason is Reason.LOADING
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    worse = listed("third", "10:45", containerStatuses=[container(state=waiting)])
    assert worst([*gone, worse]).reason is Reason.IMAGE_PULL_FAILED


def test_a_pod_that_its_node_refused_tells_why() -> None:
    refused = listed(
        "refused", "10:00", phase="Failed", reason="UnexpectedAdmissionError", message=" "
    )
    found = worst([refused])
    assert found is not None
    assert found.message == "Pod refused was ended by its node (UnexpectedAdmissionError)."
    assert worst([listed("done", "10:00", phase="Succeeded")]) is None


def test_a_container_that_cannot_start_says_what_it_lacks() -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    found = of_pod(pod(containerStatuses=[container(state={"waiting": waiting})]))
    assert found is not None
    assert found.reason is Reason.START_FAILED
    assert 'secret "x" not found' in found.message


def test_a_failed_download_is_told_from_a_failed_load() -> None:
    ended = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "404"}}}
    download = pod(initContainerStatuses=[container("storage-initializer", **ended)])
    assert reason_of(download) is Reason.DOWNLOAD_FAILED
    assert reason_of(pod(containerStatuses=[container(**ended)])) is Reason.LOAD_FAILED


def test_a_finished_storage_initializer_is_no_symptom() -> None:
    done = container("storage-initializer", state={"terminated": {"exitCode": 0}})
    assert reason_of(pod(initContainerStatuses=[done])) is Reason.LOADING


def test_a_server_killed_for_its_memory_says_so() -> None:
    killed = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    assert reason_of(pod(containerStatuses=[container(**killed)])) is Reason.OUT_OF_MEMORY


def test_the_worst_symptom_of_all_pods_wins() -> None:
    starting = pod("a")
    killed = pod(
        "b",
        containerStatuses=[
            container(lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
        ],
    )
    found = worst([starting, killed])
    assert found is not None
    assert found.reason is Reason.OUT_OF_MEMORY
    assert worst([]) is None


def test_every_symptom_has_a_rank() -> None:
    assert len(set(ORDER)) == len(ORDER)
