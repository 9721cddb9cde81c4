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
    if failed := _everywhere(ctr, sockets, "import", str(archive.resolve())):
        raise ImportFailed(f"{archive}: {failed}")


def remove(ctr: Path, sockets: Iterable[Path], references: Sequence[str]) -> None:
    """From the stores of all nodes, with all that has lost its name; one without it is content."""
    for socket in sockets:
        argv = [str(ctr), "--address", str(socket), "--namespace", "k8s.io", "images"]
        listed = subprocess.run([*argv, "ls"], capture_output=True, text=True, check=False).stdout
        gone = [*references, *nameless(listed, references)]
        if failed := _everywhere(ctr, [socket], "rm", "--sync", *gone):
            raise ImportFailed(f"{' '.join(gone)}: {failed}")


def nameless(listed: str, removed: Sequence[str]) -> list[str]:
    """The kubelet's own records, by id, of images of which `ctr images ls` will show no name."""
    rows = [(row[0], row[2]) for line in listed.splitlines()[1:] if len(row := line.split()) > 2]
    ids = [(name, target) for name, target in rows if name.startswith("sha256:")]
    kept = {
        target for row in rows if row not in ids and row[0] not in removed for target in row[1:]
    }
    return [name for name, target in ids if target not in kept]


def _everywhere(ctr: Path, sockets: Iterable[Path], *what: str) -> str:
    """`ctr images` on all nodes at a time; what the first says that fails."""
    calls = [
        subprocess.Popen(
            [str(ctr), "--address", str(socket), "--namespace", "k8s.io", "images", *what],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for socket in sockets
    ]
    said = [process.communicate()[0] for process in calls]
    failed = [text for text, process in zip(said, calls, strict=True) if process.returncode]
    return failed[0].strip() if failed else ""


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
