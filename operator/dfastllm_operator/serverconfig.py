"""From a spec to the YAML file that the server reads; pure.

The file holds what is not a default, so a field that a later API adds changes no file of an older
revision. A contract test reads the result with the server's own loader.
"""

from collections.abc import Sequence
from typing import Any

from dfastllm_operator.api import DFastLLMService
from dfastllm_operator.api.structure import Struct
from dfastllm_operator.core import Json
from dfastllm_operator.places import model_place, verifier_place

KEYS_DIRECTORY = "/etc/dfastllm-keys"
"""Where the Secret with the API keys is mounted."""

PORT = 8080

PRE_STOP_S = 5
"""Seconds a pod serves on after it was told to stop, until all routers know that it goes."""

EXIT_S = 5
"""Seconds the server needs to leave once its last answer is done."""

_MODEL_FIELDS = {"max_model_len", "dtype", "num_threads"}
_NO_SETTING = {"quantization"}  # one value only, which is what the server does
_LOG_FIELDS = {"log_level", "log_format", "log_prompts"}
_SERVER_NAMES = {"cors_origins": "cors_origin"}
_RATE_NAMES = {"requests": "request_rate", "tokens": "token_rate"}


def server_config(service: DFastLLMService, *, gpu: bool, former_names: Sequence[str] = ()) -> Json:
    """The file's content by section. `gpu` is whether the pod gets one: the server then insists.

    `former_names` are answered to beside the model's own. KServe's protocols and the metrics' label
    `model_name` know only the service's: both sides of a split are told by one name.
    """
    spec = service.spec
    own = spec.model.name or service.name
    engine, server = _said(spec.engine), _said(spec.server)
    model: Json = {
        "model": model_place(spec),
        "served_model_name": [own, *(name for name in former_names if name != own)],
        "kserve_name": service.name,
        "device": "cuda" if gpu else "cpu",
    }
    if (verifier := verifier_place(spec)) is not None:
        model["verifier"] = verifier
    sections: Json = {
        "model": model | {name: engine[name] for name in engine if name in _MODEL_FIELDS},
        "engine": _without(engine, _MODEL_FIELDS | _NO_SETTING),
        "decoding": _said(spec.decoding),
        "server": {
            "host": "0.0.0.0",
            "port": PORT,
            "grace_period_s": drain_s(spec.termination_grace_period_seconds),
        }
        | _renamed(_without(server, _LOG_FIELDS), _SERVER_NAMES),
        "rate_limit": _renamed(_said(spec.rate_limit), _RATE_NAMES),
        "log": {name: server[name] for name in server if name in _LOG_FIELDS},
    }
    if spec.auth.api_keys_secret_ref is not None:
        sections["auth"] = {"api_keys_file": KEYS_DIRECTORY}
    return {name: values for name, values in sections.items() if values}


def pre_stop_s(grace_s: int) -> int:
    """The sleep before SIGTERM, of a termination grace period of `grace_s`."""
    return min(PRE_STOP_S, grace_s // 3)


def drain_s(grace_s: int) -> int:
    """What is left of the period for running answers: less the sleep before and the exit after."""
    return max(0, grace_s - pre_stop_s(grace_s) - min(EXIT_S, grace_s // 3))


def _said(part: Struct) -> dict[str, Any]:
    """Fields that are not at their default, in the server's spelling."""
    return part.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def _without(values: Json, names: set[str]) -> Json:
    return {name: value for name, value in values.items() if name not in names}


def _renamed(values: Json, names: dict[str, str]) -> Json:
    return {names.get(name, name): value for name, value in values.items()}
