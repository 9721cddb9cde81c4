"""What the rig is made of: Go programs, and files out of Go modules, at pinned versions.

Each part is a Go module of its own in `go/NAME`: the parts disagree about the versions of what they
share, and one module for all would build none of them as its authors do. `go.mod` there says which
version, `go.sum` what its bytes are. To take another: `go get -tool MAIN-PACKAGE@VERSION` in the
folder. Kubernetes, KServe and KEDA also need the `replace` lines of their go.mod at that version
(Kubernetes': each `k8s.io/NAME => ./staging/...` as `k8s.io/NAME => k8s.io/NAME v0.MINOR.PATCH`).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

GO_MODULES = Path(__file__).parent / "go"


@dataclass(frozen=True, slots=True)
class Files:
    """Files of a module that are needed as they are: `folder/NAME` for each name."""

    module: str
    folder: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Programs by name with their main packages, and folders of files by name."""

    name: str
    programs: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[Files, ...]] = field(default_factory=dict)
    ldflags: str = "-s -w"
    tags: tuple[str, ...] = ()

    @property
    def build_flags(self) -> tuple[str, ...]:
        return ("-trimpath", *(f"-tags={tag}" for tag in self.tags), "-ldflags", self.ldflags)

    @property
    def folder(self) -> Path:
        return GO_MODULES / self.name

    @property
    def sources(self) -> tuple[Path, ...]:
        """Of what is written here, not fetched."""
        return tuple(sorted(self.folder.glob("*.go")))

    def key(self, name: str) -> str:
        """Changes whenever something else would come out under this name."""
        digest = hashlib.sha256()
        for file in (self.folder / "go.mod", self.folder / "go.sum", *self.sources):
            digest.update(file.read_bytes() if file.exists() else b"")
        digest.update(repr(self.files.get(name, self.build_flags)).encode())
        return digest.hexdigest()[:12]


def _crds(group: str, *plurals: str) -> tuple[str, ...]:
    return tuple(f"{group}_{plural}.yaml" for plural in plurals)


def _required(part: str, module: str) -> str:
    """The version that the part's go.mod asks for."""
    words = (GO_MODULES / part / "go.mod").read_text().split()
    return words[words.index(module) + 1]


_KUBERNETES = "k8s.io/kubernetes"
_KSERVE = "github.com/kserve/kserve"
_KWOK = "sigs.k8s.io/kwok"
_CONTAINERD = "github.com/containerd/containerd/v2"
_KEDA = "github.com/kedacore/keda/v2"

PARTS = (
    Part("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Part(
        "kubernetes",
        {
            name: f"{_KUBERNETES}/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubectl",
                "kubelet",
                "kube-proxy",
            )
        },
        ldflags="-s -w -X k8s.io/component-base/version.gitVersion="  # what /version answers
        + _required("kubernetes", _KUBERNETES),
    ),
    Part(
        "kserve",
        {"kserve-manager": f"{_KSERVE}/cmd/manager"},
        files={
            "kserve": (
                Files(
                    _KSERVE,
                    "config/crd/full",
                    _crds(
                        "serving.kserve.io",
                        "clusterservingruntimes",
                        "inferencegraphs",
                        "inferenceservices",
                        "servingruntimes",
                        "trainedmodels",
                    ),
                ),
                Files(
                    _KSERVE,
                    "config/crd/full/clusterstoragecontainer",
                    _crds("serving.kserve.io", "clusterstoragecontainers"),
                ),
            ),
            "kserve-webhooks": (Files(_KSERVE, "config/webhook", ("manifests.yaml",)),),
        },
    ),
    Part(
        "kwok",
        {"kwok": f"{_KWOK}/cmd/kwok"},
        files={
            "kwok-stages": (
                Files(_KWOK, "kustomize/stage/node/fast", ("node-initialize.yaml",)),
                Files(
                    _KWOK,
                    "kustomize/stage/node/heartbeat-with-lease",
                    ("node-heartbeat-with-lease.yaml",),
                ),
                Files(
                    _KWOK,
                    "kustomize/stage/pod/fast",
                    ("pod-ready.yaml", "pod-complete.yaml", "pod-delete.yaml"),
                ),
            )
        },
    ),
    Part(
        "containerd",
        {
            name: f"{_CONTAINERD}/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        },
        tags=("no_btrfs",),
    ),
    Part("coredns", {"coredns": "."}),
    Part("pause", {"pause": "."}),
    Part("helm", {"helm": "helm.sh/helm/v4/cmd/helm"}),
    Part(
        "keda",
        {"keda-operator": f"{_KEDA}/cmd/operator", "keda-adapter": f"{_KEDA}/cmd/adapter"},
    ),
    Part(
        "manifests",
        files={
            "gateway-api": (
                Files(
                    "sigs.k8s.io/gateway-api",
                    "config/crd/standard",
                    _crds(
                        "gateway.networking.k8s.io",
                        "backendtlspolicies",
                        "gatewayclasses",
                        "gateways",
                        "grpcroutes",
                        "httproutes",
                        "listenersets",
                        "referencegrants",
                        "tlsroutes",
                    ),
                ),
            ),
            "keda": (
                Files(
                    _KEDA,
                    "config/crd/bases",
                    _crds(
                        "keda.sh",
                        "clustertriggerauthentications",
                        "scaledobjects",
                        "triggerauthentications",
                    ),
                ),
            ),
            "prometheus-operator": (
                Files(
                    "github.com/prometheus-operator/prometheus-operator",
                    "example/prometheus-operator-crd",
                    _crds(
                        "monitoring.coreos.com", "podmonitors", "prometheusrules", "servicemonitors"
                    ),
                ),
            ),
        },
    ),
)


def names() -> Iterator[str]:
    """Everything that `binaries.ensure` can be asked for."""
    for part in PARTS:
        yield from (*part.programs, *part.files)


def part_of(name: str) -> Part:
    for part in PARTS:
        if name in part.programs or name in part.files:
            return part
    raise LookupError(f"no part holds {name!r}; there are {', '.join(names())}")
