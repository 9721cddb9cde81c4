"""How this machine reaches packages, lent to a build as mounted files: no image keeps any of it.

Only the content of these files is of this machine. Where they are mounted, a build without them
finds nothing, and takes what pip and uv take by themselves.
"""

import ast
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.recipes import ROOT

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_PIP_KEYS = (
    "default-timeout",
    "extra-index-url",
    "find-links",
    "index-url",
    "no-index",
    "proxy",
    "retries",
    "timeout",
    "trusted-host",
)


@dataclass(frozen=True, slots=True)
class Mount:
    source: Path
    target: str


def mounts(folder: Path) -> list[Mount]:
    """Write the files into `folder` and say where each belongs."""
    pip = pip_settings()
    authorities = _authorities()
    written = {"/etc/pip.conf": pip_conf(pip, authorities), "/etc/uv/uv.toml": uv_toml(pip)}
    lent = []
    for target, text in written.items():
        source = folder / Path(target).name
        source.write_text(text)
        lent.append(Mount(source, target))
    if authorities is not None:
        lent.append(Mount(authorities, AUTHORITIES))
    return lent + [Mount(Path(place), place) for place in _folders(pip)]


def pip_conf(pip: Mapping[str, str], authorities: Path | None) -> str:
    lines = ["[global]", *(f"{key} = {_several(value)}" for key, value in pip.items())]
    if authorities is not None:
        lines.append(f"cert = {AUTHORITIES}")
    return "\n".join(lines) + "\n"


def uv_toml(pip: Mapping[str, str]) -> str:
    """What pip's settings mean to uv, which reads none of them."""
    lines = ["system-certs = true"]
    if "index-url" in pip:
        lines.append(f'index-url = "{pip["index-url"]}"')
    for key in ("extra-index-url", "find-links"):
        if words := pip.get(key, "").split():
            lines.append(f"{key} = {json.dumps(words)}")
    return "\n".join(lines) + "\n"


def pip_settings() -> dict[str, str]:
    """Those that say where packages are; empty where there is no pip to ask."""
    for python in (ROOT / ".uv" / "bin" / "python", sys.executable, "python3"):
        try:
            said = subprocess.run(
                [python, "-m", "pip", "config", "list"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except OSError:
            continue
        if said.returncode == 0:
            return parse_pip_settings(said.stdout)
    return {}


def parse_pip_settings(listing: str) -> dict[str, str]:
    """Lines such as `global.index-url='...'`; the environment's come last in it, and win."""
    found = {}
    lines = [line.partition("=") for line in listing.splitlines()]
    for name, _, value in sorted(lines, key=lambda line: line[0].startswith(":env:")):
        if (key := name.rpartition(".")[2]) in _PIP_KEYS:
            found[key] = str(ast.literal_eval(value))
    return found


def _several(value: str) -> str:
    """A value of several lines, as pip's file has it."""
    return "\n  ".join(value.split("\n"))


def _authorities() -> Path | None:
    """The file of certificates that this machine trusts."""
    place = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return Path(place) if place and Path(place).is_file() else None


def _folders(pip: Mapping[str, str]) -> list[str]:
    """Local folders of packages."""
    return [place for place in pip.get("find-links", "").split() if Path(place).is_dir()]
