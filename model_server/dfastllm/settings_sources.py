"""Where settings come from: flags, then environment, then file, then Kubernetes, then defaults.

Unknown names are refused everywhere, with the nearest right one. Kubernetes' service-link variables
(`DFASTLLM_PORT=tcp://...` appears in every pod beside a Service named dfastllm) are not ours.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import PydanticBaseSettingsSource

from dfastllm.errors import DFastError
from dfastllm.settings import Settings, leaves, sections

PREFIX = "DFASTLLM_"
CONFIG_VARIABLE = PREFIX + "CONFIG"

# Read by the client commands (chat, generate --url, bench), not by the server.
CLIENT_VARIABLES = frozenset({PREFIX + "API_KEY", PREFIX + "BASE_URL"})

_SERVICE_LINK = re.compile(
    r"^DFASTLLM(_[A-Z0-9_]+)?(_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?"
    r"|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
)
_SERVICE_LINK_VALUE = re.compile(r"^(tcp|udp|sctp)://")


class SettingsError(DFastError):
    """Settings that cannot be used; one line per mistake."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and for each one that is not a default where it came from."""

    settings: Settings
    origins: Mapping[tuple[str, str], str]

    def changed(self) -> dict[str, Any]:
        """What is not left at its default, by leaf name: for the log line at the start."""
        return {
            leaf: str(getattr(getattr(self.settings, section), leaf))
            for section, leaf in sorted(self.origins)
        }


class NestedSource(PydanticBaseSettingsSource):
    """Values already nested by section; pydantic-settings merges sources leaf by leaf."""

    def __init__(self, values: Mapping[str, Mapping[str, Any]]):
        super().__init__(Settings)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {section: dict(values) for section, values in self._values.items()}


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: str | Path | None = None,
) -> Configuration:
    """Settings from `flags` (leaf name to value, None as if not given), environment and file."""
    environ = os.environ if environ is None else environ
    given = {leaf: value for leaf, value in (flags or {}).items() if value is not None}
    config = config or environ.get(CONFIG_VARIABLE) or None
    nested = {
        "flags": _nest(given, "flag --{}", dashes=True),
        "environment": _nest(_from_environment(environ), "environment " + PREFIX + "{}"),
        "file": _from_file(Path(config)) if config else ({}, {}),
        "platform": _from_platform(environ),
    }
    origins: dict[tuple[str, str], str] = {}
    for _, found in reversed(nested.values()):
        origins.update(found)
    sources = tuple(NestedSource(values) for values, _ in nested.values())
    try:
        built: Any = Settings  # a type checker sees the fields only
        settings: Settings = built(_build_sources=(sources, {}))
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from None
    return Configuration(settings, origins)


Nested = tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]


def _nest(flat: Mapping[str, Any], origin: str, *, dashes: bool = False) -> Nested:
    home = {leaf: section for section, leaf, _ in leaves()}
    values: dict[str, dict[str, Any]] = {}
    origins: dict[tuple[str, str], str] = {}
    for leaf, value in flat.items():
        values.setdefault(home[leaf], {})[leaf] = value
        shown = leaf.replace("_", "-") if dashes else leaf.upper()
        origins[home[leaf], leaf] = origin.format(shown)
    return values, origins


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    known = {PREFIX + leaf.upper(): leaf for _, leaf, _ in leaves()}
    found: dict[str, str] = {}
    wrong: list[str] = []
    for name, value in environ.items():
        if not name.startswith(PREFIX) or _is_service_link(name, value):
            continue
        if name in known:
            found[known[name]] = value
        elif name != CONFIG_VARIABLE and name not in CLIENT_VARIABLES:
            shown = {full.removeprefix(PREFIX): full for full in known}
            hint = _nearest(name.removeprefix(PREFIX), shown)
            wrong.append(f"environment {name}: no such setting{hint}")
    if wrong:
        raise SettingsError("\n".join(sorted(wrong)))
    return found


def _is_service_link(name: str, value: str) -> bool:
    if _SERVICE_LINK.match(name):
        return True
    return name.endswith("_PORT") and _SERVICE_LINK_VALUE.match(value) is not None


def _from_platform(environ: Mapping[str, str]) -> Nested:
    """What a pod knows by itself; anything said by a person goes first."""
    values: dict[str, dict[str, Any]] = {}
    origins: dict[tuple[str, str], str] = {}
    if "KUBERNETES_SERVICE_HOST" in environ:
        values["server"] = {"host": "0.0.0.0"}
        origins["server", "host"] = "running in Kubernetes"
    if service := environ.get("INFERENCE_SERVICE_NAME"):
        values["model"] = {"served_model_name": (service,)}
        origins["model", "served_model_name"] = "environment INFERENCE_SERVICE_NAME"
    return values, origins


def _from_file(path: Path) -> Nested:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"configuration file {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"configuration file {path}: not YAML: {error}") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise SettingsError(f"configuration file {path}: a mapping of sections is expected")
    known = sections()
    values: dict[str, dict[str, Any]] = {}
    origins: dict[tuple[str, str], str] = {}
    for section, body in content.items():
        body = {} if body is None else body
        if section not in known:
            raise SettingsError(f"file {path}: no section {section!r}{_where(str(section))}")
        if not isinstance(body, dict):
            raise SettingsError(f"file {path}: section {section} must be a mapping, not {body!r}")
        for leaf in body:
            if leaf not in known[section].model_fields:
                raise SettingsError(f"file {path}: no setting {section}.{leaf}{_where(str(leaf))}")
            origins[section, leaf] = f"file {path}"
        # A key without a value means: as if the line were not there.
        values[section] = {leaf: value for leaf, value in body.items() if value is not None}
    return values, origins


def _where(name: str) -> str:
    """The right place of a misspelt or misplaced name, as a question."""
    homes = {leaf: section for section, leaf, _ in leaves()}
    if name in homes:
        return f"; it belongs to section {homes[name]}"
    known = {section: section for section in sections()}
    known |= {leaf: f"{section}.{leaf}" for leaf, section in homes.items()}
    return _nearest(name, known)


def _nearest(name: str, known: Mapping[str, str]) -> str:
    """A question after the key of `known` that is most like `name`; the values are shown."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {known[close[0]]}?" if close else ""


def _explain(error: ValidationError, origins: Mapping[tuple[str, str], str]) -> str:
    return "\n".join(_line(detail, origins) for detail in error.errors(include_url=False))


def _line(detail: ErrorDetails, origins: Mapping[tuple[str, str], str]) -> str:
    place = tuple(str(part) for part in detail["loc"])
    name = ".".join(place[:2])
    message = detail["msg"].removeprefix("Value error, ")
    origin = origins.get((place[0], place[1])) if len(place) > 1 else None
    source = f" (from {origin})" if origin else ""
    if len(place) == 1:
        return f"{name}: {message}"
    return f"{name} = {detail['input']!r}{source}: {message}"
