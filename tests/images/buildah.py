"""Debian's buildah, with a storage of its own: no daemon, and nothing of other tools is touched.

Commands in a build run by `chroot`, so that it needs no container runtime; as root.
"""

import json
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images.machine import Mount

BUILD_S = 3600.0  # the largest image from nothing on a slow machine
COMMAND_S = 900.0


class BuildahFailed(Exception):
    """With the end of what it said."""


@dataclass(frozen=True, slots=True)
class Build:
    """What `buildah build` is asked for."""

    reference: str
    folder: Path
    target: str
    arguments: Mapping[str, str]
    mounts: Iterable[Mount] = field(default_factory=tuple)


class Buildah:
    def __init__(self, folder: Path):
        self._storage = folder / "storage"
        # Below /run, which a restart of the machine empties: it says what is mounted now.
        self._state = Path("/run/dfastllm") / folder.relative_to("/")

    def has(self, reference: str) -> bool:
        return self._call("inspect", "--type", "image", reference, check=False).returncode == 0

    def build(self, build: Build, log: Path) -> None:
        """Layers that are there already are taken; what it prints goes into `log`."""
        options = [f"--build-arg={name}={value}" for name, value in build.arguments.items()]
        options += [f"--volume={m.source}:{m.target}:ro" for m in build.mounts]
        self._call(
            "build",
            "--layers",
            "--jobs=1",
            "--isolation=chroot",
            "--network=host",
            f"--target={build.target}",
            f"--tag={build.reference}",
            *options,
            str(build.folder),
            log=log,
        )

    def add_rootfs(self, archive: Path, reference: str) -> None:
        """A tar file of a root file system, as an image of one layer."""
        container = self._call("from", "scratch").stdout.strip()
        self._call("add", "--quiet", container, str(archive), "/")
        self._call("config", "--cmd=/bin/sh", container)
        self._call("commit", "--quiet", "--rm", container, reference)

    def export(self, reference: str, archive: Path) -> None:
        """Write an OCI archive; zstd is sooner written than gzip, and smaller."""
        destination = f"oci-archive:{archive}:{reference}"
        self._call("push", "--quiet", "--compression-format=zstd", reference, destination)

    def container(self, archive: Path, name: str) -> str:
        """A container of what an archive holds; its name."""
        self._call("from", "--quiet", f"--name={name}", f"oci-archive:{archive}")
        return name

    def containers(self) -> list[str]:
        """The names of all."""
        return self._call("containers", "--noheading", "--format={{.ContainerName}}").stdout.split()

    def mount(self, container: str) -> Path:
        return Path(self._call("mount", container).stdout.strip())

    def image_of(self, container: str) -> dict[str, Any]:
        """The image's description in OCI's form: `config` says how it is run."""
        description: dict[str, Any] = json.loads(self._call("inspect", container).stdout)["OCIv1"]
        return description

    def remove(self, container: str) -> None:
        self._call("rm", container)

    def remove_containers(self) -> None:
        """All of them, which lets go of their mounts; a build that was killed leaves some."""
        self._call("rm", "--all")

    def forget(self, reference: str) -> None:
        """Remove an image with those of its layers that no other one has."""
        self._call("rmi", reference, check=False)  # it may be gone already

    def prune(self, used: Collection[str]) -> None:
        """Remove what builds left behind, but for the layers whose ids begin as one of `used`."""
        listed = self._call("images", "--filter=dangling=true", "--quiet", "--no-trunc").stdout
        for identity in listed.replace("sha256:", "").split():
            if not any(identity.startswith(start) for start in used):
                self._call("rmi", identity, check=False)  # what others are made from stays

    def remove_everything(self) -> None:
        self.remove_containers()
        self._call("rmi", "--all", "--force")

    def _call(
        self, command: str, *arguments: str, log: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = self._run(command, arguments, log)
        if done.returncode and check:
            said = log.read_text(errors="replace") if log else done.stderr
            tail = "\n".join(said.splitlines()[-30:])
            raise BuildahFailed(f"buildah {command}{f', {log}' if log else ''}:\n{tail}")
        return done

    def _run(
        self, command: str, arguments: tuple[str, ...], log: Path | None
    ) -> subprocess.CompletedProcess[str]:
        argv = ["buildah", f"--root={self._storage}", f"--runroot={self._state}", command]
        argv += arguments
        try:
            if log is None:
                return subprocess.run(
                    argv, capture_output=True, text=True, timeout=COMMAND_S, check=False
                )
            with log.open("w") as out:
                return subprocess.run(
                    argv, stdout=out, stderr=out, text=True, timeout=BUILD_S, check=False
                )
        except subprocess.TimeoutExpired as error:
            raise BuildahFailed(f"buildah {command}: not within {error.timeout} s") from error
