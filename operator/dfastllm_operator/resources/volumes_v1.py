"""What pods of render version 1 mount: configuration, keys, room to write, the user's. Frozen."""

from dfastllm_operator.api import Spec
from dfastllm_operator.api.volume import EmptyDirMedium, EmptyDirSource, Volume
from dfastllm_operator.core import Json
from dfastllm_operator.resources.pod import CONFIG_DIRECTORY
from dfastllm_operator.serverconfig import KEYS_DIRECTORY
from dfastllm_operator.sizing.quantity import canonical

CONFIG = "dfastllm-config"
KEYS = "dfastllm-keys"
SHM = "dfastllm-shm"
TMP_NAME = "dfastllm-tmp"
TMP = "/tmp"


def volumes(spec: Spec, config_map: str) -> list[Json]:
    """Ours, then the user's."""
    found: list[Json] = [{"name": CONFIG, "configMap": {"name": config_map}}]
    if spec.auth.api_keys_secret_ref is not None:
        found.append({"name": KEYS, "secret": {"secretName": spec.auth.api_keys_secret_ref.name}})
    if _own_tmp(spec):
        found.append({"name": TMP_NAME, "emptyDir": {}})
    if spec.shm_size is not None:
        memory = {"medium": "Memory", "sizeLimit": canonical(spec.shm_size)}
        found.append({"name": SHM, "emptyDir": memory})
    return [*found, *map(_volume, spec.volumes)]


def mounts(spec: Spec) -> list[Json]:
    """Where they are seen. The keys are a directory, so that a changed Secret shows up."""
    found: list[Json] = [{"name": CONFIG, "mountPath": CONFIG_DIRECTORY, "readOnly": True}]
    if spec.auth.api_keys_secret_ref is not None:
        found.append({"name": KEYS, "mountPath": KEYS_DIRECTORY, "readOnly": True})
    if _own_tmp(spec):
        found.append({"name": TMP_NAME, "mountPath": TMP})
    if spec.shm_size is not None:
        found.append({"name": SHM, "mountPath": "/dev/shm"})
    return [*found, *map(_mount, spec.volumes)]


def _own_tmp(spec: Spec) -> bool:
    return all(volume.mount_path != TMP for volume in spec.volumes)


def _volume(volume: Volume) -> Json:
    source: Json
    if volume.config_map is not None:
        source = {"configMap": {"name": volume.config_map.name}}
    elif volume.secret is not None:
        source = {"secret": {"secretName": volume.secret.name}}
    elif volume.persistent_volume_claim is not None:
        claim: Json = {"claimName": volume.persistent_volume_claim.claim_name}
        if volume.read_only:
            claim["readOnly"] = True
        source = {"persistentVolumeClaim": claim}
    elif volume.image is not None:
        source = {"image": volume.image.model_dump(mode="json", by_alias=True, exclude_none=True)}
    else:
        source = {"emptyDir": _empty_dir(volume.empty_dir or EmptyDirSource())}
    return {"name": volume.name, **source}


def _empty_dir(source: EmptyDirSource) -> Json:
    found: Json = {}
    if source.medium == EmptyDirMedium.MEMORY:
        found["medium"] = "Memory"
    if source.size_limit is not None:
        found["sizeLimit"] = canonical(source.size_limit)
    return found


def _mount(volume: Volume) -> Json:
    mount: Json = {"name": volume.name, "mountPath": volume.mount_path}
    if volume.read_only:
        mount["readOnly"] = True
    if volume.sub_path is not None:
        mount["subPath"] = volume.sub_path
    return mount
