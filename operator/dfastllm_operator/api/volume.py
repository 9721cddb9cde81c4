"""`spec.volumes`: a typed subset of Kubernetes' volumes, each with the place it is mounted at.

The full core type is 90 KB of schema; these five kinds are what serving needs.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dfastllm_operator.api.names import ImageName, LabelName, NameRef, ObjectName
from dfastllm_operator.api.quantity import Quantity
from dfastllm_operator.api.structure import Rule, Struct

RESERVED_PATHS = ("/mnt/models", "/etc/dfastllm", "/etc/dfastllm-keys", "/dev/shm")
RESERVED_PREFIXES = ("dfastllm-", "kserve-")

_PATHS = "[" + ", ".join(f"'{path}'" for path in RESERVED_PATHS) + "]"


class EmptyDirMedium(StrEnum):
    """Where an empty directory lies."""

    DISK = "Disk"  # the node's disk
    MEMORY = "Memory"  # RAM, which counts as memory of the pod


class PullPolicy(StrEnum):
    """When an image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class ClaimSource(Struct):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: ObjectName = Field(description="Name of the PersistentVolumeClaim.")


class EmptyDirSource(Struct):
    """A directory that is empty when the pod starts and goes with it."""

    medium: EmptyDirMedium = Field(
        default=EmptyDirMedium.DISK,
        description="Where it lies: `Disk`, or `Memory`, which counts as memory of the pod.",
    )
    size_limit: Quantity | None = Field(
        default=None,
        description="Largest size, in bytes, for example `10Gi`; a pod that exceeds it is "
        "evicted. Left out: the node's.",
    )


class ImageSource(Struct):
    """The files of a container image, read-only."""

    reference: ImageName = Field(
        description="Image, for example `registry.example.com/models/llada:1`."
    )
    pull_policy: PullPolicy | None = Field(
        default=None,
        description="When the image is pulled. Left out: `Always` for the tag latest, else "
        "`IfNotPresent`.",
    )


class Volume(Struct):
    """A volume and where the server sees it: exactly one of the five sources."""

    name: LabelName = Field(
        description="Name of the volume, unique in the list; names that begin with dfastllm- or "
        "kserve- are taken."
    )
    mount_path: Annotated[
        str, StringConstraints(pattern=r"^(/[^/:]+)+$", min_length=2, max_length=512)
    ] = Field(description="Directory of the container it is mounted at.")
    read_only: bool = Field(default=False, description="Mount it so that it cannot be written.")
    sub_path: (
        Annotated[str, StringConstraints(pattern=r"^[^/]", min_length=1, max_length=512)] | None
    ) = Field(
        default=None,
        description="Path inside the volume to mount, without a leading slash. Left out: all.",
    )
    config_map: NameRef | None = Field(default=None, description="The keys of a ConfigMap.")
    secret: NameRef | None = Field(default=None, description="The keys of a Secret.")
    persistent_volume_claim: ClaimSource | None = Field(
        default=None, description="A PersistentVolumeClaim of this namespace."
    )
    empty_dir: EmptyDirSource | None = Field(
        default=None, description="A directory that lives and dies with the pod."
    )
    image: ImageSource | None = Field(
        default=None, description="The files of an image (Kubernetes 1.33 or newer)."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.configMap), has(self.secret), has(self.persistentVolumeClaim), "
            "has(self.emptyDir), has(self.image)].filter(given, given).size() == 1",
            "a volume has exactly one of configMap, secret, persistentVolumeClaim, emptyDir and "
            "image",
            lambda volume: _sources(volume).count(None) == 4,
        ),
        Rule(
            f"!{_PATHS}.exists(p, self.mountPath == p || self.mountPath.startsWith(p + '/'))",
            "/mnt/models, /etc/dfastllm, /etc/dfastllm-keys and /dev/shm are mounted by the "
            "operator; choose another mountPath (shared memory: spec.shmSize)",
            lambda volume: (
                not any(
                    volume.mount_path == path or volume.mount_path.startswith(f"{path}/")
                    for path in RESERVED_PATHS
                )
            ),
            ".mountPath",
        ),
        Rule(
            "!self.name.startsWith('dfastllm-') && !self.name.startsWith('kserve-')",
            "names that begin with dfastllm- or kserve- belong to volumes of the operator and of "
            "KServe; choose another name",
            lambda volume: not volume.name.startswith(RESERVED_PREFIXES),
            ".name",
        ),
        Rule(
            "!has(self.subPath) || !self.subPath.matches('(^|/)\\\\.\\\\.(/|$)')",
            "subPath must not contain ..",
            lambda volume: ".." not in (volume.sub_path or "").split("/"),
            ".subPath",
        ),
    )


def _sources(volume: Volume) -> list[Struct | None]:
    return [
        volume.config_map,
        volume.secret,
        volume.persistent_volume_claim,
        volume.empty_dir,
        volume.image,
    ]
