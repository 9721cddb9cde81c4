"""Helm and kustomize as programs, and their objects in a form that can be compared."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
Identity = tuple[str, str, str]
ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
CHART = ROOT / "charts" / "dfastllm"
NAMESPACE = "dfastllm-system"
RELEASE = "dfastllm"
TIMEOUT_S = 120.0
RELEASE_LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
}
"""What Helm's objects have on top; kustomize knows no releases."""


class HelmFailed(Exception):
    """What it wrote to standard error."""


@dataclass(frozen=True, slots=True)
class Helm:
    """Callable: `helm("list", "-A")`. Its files go to `home`."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def __call__(self, *args: str) -> str:
        given: dict[str, object] = {
            "HOME": self.home,
            "HELM_CACHE_HOME": self.home,
            "HELM_CONFIG_HOME": self.home,
        }
        given |= {"HELM_DATA_HOME": self.home, "KUBECONFIG": self.kubeconfig or os.devnull}
        done = subprocess.run(
            [self.program, *args],
            env={**os.environ, **{name: str(value) for name, value in given.items()}},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise HelmFailed(f"helm {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def template(self, *args: str, namespace: str = NAMESPACE) -> list[Json]:
        return parsed(self("template", RELEASE, str(CHART), "-n", namespace, *args))


def kustomize(kubectl: Path, folder: Path) -> list[Json]:
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert not done.returncode, done.stderr
    return parsed(done.stdout)


def parsed(text: str) -> list[Json]:
    return [document for document in yaml.safe_load_all(text) if document]


def identity(body: Json) -> Identity:
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", ""), metadata["name"]


def by_identity(objects: list[Json]) -> dict[Identity, Json]:
    """Nothing may be there twice."""
    found = {identity(body): body for body in objects}
    assert len(found) == len(objects)
    return found


def without_release(value: Any) -> Any:
    """An object as it would be without Helm."""
    if isinstance(value, list):
        return [without_release(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without_release(inner) for key, inner in value.items()}
    for key in ("labels", "matchLabels", "selector", "annotations"):
        if isinstance(kept.get(key), dict):
            kept[key] = {k: v for k, v in kept[key].items() if not _of_helm(k)}
            if not kept[key]:
                del kept[key]
    return kept


def pod_specs(objects: list[Json]) -> list[Json]:
    return [body["spec"]["template"]["spec"] for body in objects if body["kind"] == "Deployment"]


def _of_helm(key: str) -> bool:
    return key in RELEASE_LABELS or key == "helm.sh/resource-policy"
