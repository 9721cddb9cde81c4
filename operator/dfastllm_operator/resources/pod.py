"""A rendered pod: all that a change of restarts the pods of a service."""

from dataclasses import dataclass

from dfastllm_operator.core import Json

CONFIG_DIRECTORY = "/etc/dfastllm"
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, slots=True)
class RenderedPod:
    """`spec` has the fields of a pod, `container` those of the server's container but its name.

    `config` is the content of the server's configuration file. `built_in`: the image brings the
    model. Else KServe does, from `storage_uri`, or from one of `storage_uris`, which has the
    verifier too.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    spec: Json
    container: Json
    config: Json
    built_in: bool
    storage_uri: str | None
    model_format: str
    storage_uris: tuple[Json, ...] = ()
