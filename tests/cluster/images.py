"""Images without a registry: archives of programs, made here, and archives brought to nodes."""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LONG_AGO = "1970-01-01T00:00:00Z"  # the same bytes each time


class ImportFailed(Exception):
    """What containerd says of an archive."""


def write(archive: Path, reference: str, programs: Mapping[str, Path], argv: Sequence[str]) -> Path:
    """An image of nothing but `programs`, by their paths in it, that runs `argv`."""
    layer = _tar({name: file.read_bytes() for name, file in programs.items()})
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": LONG_AGO,
        "config": {"Entrypoint": list(argv), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": LONG_AGO}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    members = {"config.json": _json(config), "manifest.json": _json(manifest), "layer.tar": layer}
    archive.write_bytes(_tar(members))
    return archive


def load(ctr: Path, sockets: Iterable[Path], archive: Path) -> None:
    """Into the stores of all nodes at a time, whose containerds listen at `sockets`."""
    what = ("--namespace", "k8s.io", "images", "import", str(archive.resolve()))
    imports = [
        subprocess.Popen(
            [str(ctr), "--address", str(socket), *what],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for socket in sockets
    ]
    said = [process.communicate()[0] for process in imports]
    if failed := [text for text, process in zip(said, imports, strict=True) if process.returncode]:
        raise ImportFailed(f"{archive}: {failed[0].strip()}")


def _tar(members: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
