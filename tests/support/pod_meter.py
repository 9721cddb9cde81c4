"""What pods use, as metrics-server would have it: an autoscaler of the real controller acts on it.

The API `metrics.k8s.io` is a CRD here, and its objects are written by a thread: one for each pod.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from cluster.rig import Rig
from dfastllm_operator import names
from dfastllm_operator.kinds import POD, Kind
from support.history import History
from support.installed import CRD
from support.kubeapi import Json, KubeApi
from support.process import until

POD_METRICS = Kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")
LATE = "2100-01-01T00:00:00Z"
"""The autoscaler wants measurements from when the pod was ready for a while."""
EVERY_S = 0.3


class PodMeter:
    """Thousandths of a core for each pod of a service; pods of others have no metrics."""

    def __init__(self) -> None:
        self._loads: dict[str, int] = {}

    def load(self, service: str, millicores: int) -> None:
        self._loads[service] = millicores

    def of(self, pod: Json) -> int | None:
        return self._loads.get((pod["metadata"].get("labels") or {}).get(names.SERVICE_LABEL, ""))


@contextmanager
def metered(rig: Rig, namespace: str, history: History, meter: PodMeter) -> Iterator[None]:
    api, over = KubeApi(rig), threading.Event()
    thread = threading.Thread(target=_measure, args=(api, namespace, history, meter, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        api.close()


@contextmanager
def metrics_api(rig: Rig) -> Iterator[None]:
    """The whole cluster has it, so nobody else may count on its absence meanwhile."""
    api = KubeApi(rig)
    try:
        api.apply(CRD, "", pod_metrics())
        until(partial(api.serves, POD_METRICS), "metrics served")
        yield
    finally:
        api.delete(CRD, "", f"{POD_METRICS.plural}.{POD_METRICS.group}")
        until(lambda: not api.serves(POD_METRICS), "metrics gone")
        api.close()


def pod_metrics() -> Json:
    """metrics-server's API as the autoscaler reads it, with objects that a test writes itself."""
    group, plural = POD_METRICS.group, POD_METRICS.plural
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": POD_METRICS.kind, "plural": plural, "singular": "pod"},
            "versions": [
                {
                    "name": POD_METRICS.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def usage(pod: Json, millicores: int) -> Json:
    """What one pod uses, in all its containers."""
    each = {"cpu": f"{millicores}m", "memory": "1Gi"}
    return {
        "metadata": {key: pod["metadata"][key] for key in ("name", "labels")},
        "timestamp": LATE,
        "window": "1s",
        "containers": [{"name": c["name"], "usage": each} for c in pod["spec"]["containers"]],
    }


def _measure(
    api: KubeApi, namespace: str, history: History, meter: PodMeter, over: threading.Event
) -> None:
    written: dict[str, int] = {}
    while not over.wait(EVERY_S):
        for pod in history.present(POD):
            name, load = pod["metadata"]["name"], meter.of(pod)
            if load is not None and written.get(name) != load:
                api.apply(POD_METRICS, namespace, usage(pod, load))
                written[name] = load
