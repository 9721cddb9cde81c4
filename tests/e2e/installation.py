"""The operator in the cluster, from its image: by Helm, or by kustomize."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from cluster.kubectl import KubectlFailed
from e2e.site import DOMAIN, LABEL, Site
from support.packaging import CHART, MANIFESTS, NAMESPACE, RELEASE, Helm

OPERATOR = "dfastllm-operator"
DEPLOYMENT = f"deployment/{OPERATOR}"
PLACE = f"namespace/{NAMESPACE}"
CRD = "crd/dfastllmservices.dfastllm.io"
ROLLOUT_S = 180.0
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
SHIPPED = "ghcr.io/dfastllm"  # where the manifests say that the images are


class Anothers(Exception):
    """The operator is installed on a cluster of others, and the stories would remove it."""


class Installation:
    """One at a time: both ways use the same names."""

    def __init__(self, site: Site, home: Path) -> None:
        """`home` is for Helm's files."""
        self._site = site
        self._kubectl = site.kubectl
        self._helm = Helm(site.helm, home, site.kubectl.kubeconfig)

    def by_helm(self) -> None:
        """Install, or bring to these images what is installed.

        Also what a run left behind that was killed: in the middle of Helm's work, or with the
        objects of kustomize, which the release then takes over.
        """
        site = self._site
        with suppress(KubectlFailed):  # it is there
            self._kubectl("create", "namespace", NAMESPACE)
        self._kubectl("label", "--overwrite", "namespace", NAMESPACE, RESTRICTED, *self._mark())
        interrupted = f"owner=helm,name={RELEASE},status in ({', '.join(PENDING)})"
        self._kubectl("delete", "secret", "-n", NAMESPACE, "-l", interrupted)
        values = {
            "gateway": site.gateway,
            "domain": DOMAIN,
            "logLevel": "debug",
            "resources.requests.cpu": "250m",  # beside readers and servers that take all there is
            **_image("image", site.operator_image),
            **_image("server.image", site.server_image),
        }
        given = [f"--set-string={name}={value}" for name, value in values.items()]
        self._helm(
            "upgrade", "--install", "--take-ownership", RELEASE, str(CHART), "-n", NAMESPACE, *given
        )  # fmt: skip
        self.wait()

    def refuse_anothers(self) -> None:
        """Raises Anothers where it is installed, unless by stories that were killed."""
        ours = self._kubectl("get", "namespace", "-l", LABEL, "-o", "name").split()
        there = self._kubectl("get", CRD, PLACE, "--ignore-not-found", "-o", "name").split()
        if there and PLACE not in ours:
            raise Anothers(
                f"the cluster has {' and '.join(there)}: the stories install the operator and "
                "remove it with its CRD and so all its services; take a cluster without it"
            )

    def leave(self) -> None:
        """Nothing of it stays, however far it came."""
        self.remove_helm()
        self._kubectl("delete", CRD, PLACE, "--ignore-not-found", timeout_s=ROLLOUT_S)

    def remove_helm(self) -> None:
        """The CRD stays."""
        self._helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--ignore-not-found")

    def by_kustomize(self, folder: Path) -> Path:
        """An overlay that names the images, as `manifests/README.md` says; where it is."""
        shutil.copytree(MANIFESTS, folder / "manifests")
        overlay = folder / "overlay"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(self._overlay()))
        self._kubectl("apply", "--server-side", "--force-conflicts", "-k", str(overlay))
        self._kubectl("label", "--overwrite", PLACE, RESTRICTED, *self._mark())
        self.wait()
        return overlay

    def remove_kustomize(self, overlay: Path) -> None:
        """With the CRD, and so with all services."""
        self._kubectl("delete", "-k", str(overlay), timeout_s=ROLLOUT_S)

    def wait(self) -> None:
        self._kubectl(
            "rollout", "status", DEPLOYMENT, "-n", NAMESPACE,
            f"--timeout={ROLLOUT_S:.0f}s", timeout_s=ROLLOUT_S + 10,
        )  # fmt: skip

    def pods(self) -> list[dict[str, Any]]:
        """Those that are not on their way out."""
        label = f"--selector=app.kubernetes.io/name={OPERATOR}"
        found = self._kubectl.get("pods", "-n", NAMESPACE, label)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def log(self) -> str:
        return self._kubectl("logs", DEPLOYMENT, "-n", NAMESPACE, "--tail=40")

    def _mark(self) -> tuple[str, ...]:
        return () if self._site.standing else (LABEL,)

    def _overlay(self) -> dict[str, object]:
        site = self._site
        settings = {"SERVER_IMAGE": site.server_image, "GATEWAY": site.gateway, "DOMAIN": DOMAIN}
        env = [
            {"name": f"DFASTLLM_OPERATOR_{name}", "value": value}
            for name, value in settings.items()
        ]
        container = {"name": "operator", "env": env}
        patch = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": OPERATOR, "namespace": NAMESPACE},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        repository, tag = _split(site.operator_image)
        image = {"name": f"{SHIPPED}/{OPERATOR}", "newName": repository, "newTag": tag}
        return {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["../manifests/base"],
            "images": [image],
            "patches": [{"patch": yaml.safe_dump(patch)}],
        }


def _image(prefix: str, image: str) -> dict[str, str]:
    repository, tag = _split(image)
    return {f"{prefix}.repository": repository, f"{prefix}.tag": tag}


def _split(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return repository, tag
