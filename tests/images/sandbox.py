"""An image run as strictly as a cluster would: by runc, as a numeric user, on a root file system
that is read-only, without capabilities and without any network but its own loopback.

    with running(Buildah(folder), archive, ["builtin:tiny"]) as sandbox:
        sandbox.execute("python3", "-c", "print(1)")
"""

import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.archives import Archive
from images.buildah import Buildah

EXECUTE_S = 120.0
STOP_S = 20.0
POLL_S = 0.2
_STATE = "/run/dfastllm/sandboxes"
MODELS = "/mnt/models"
_PREFIX = "images-"


@dataclass(frozen=True, slots=True)
class Sandbox:
    name: str
    root: Path  # of the image's files
    image: dict[str, Any]  # its description, as OCI has it
    log: Path
    _process: subprocess.Popen[bytes]

    def execute(self, *command: str, timeout_s: float = EXECUTE_S) -> str:
        """What a command prints that is run inside; CalledProcessError if it fails."""
        done = subprocess.run(
            [*_runc("exec"), self.name, *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
        return done.stdout

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self._process.wait(timeout_s)

    def until(self, *command: str, deadline_s: float) -> None:
        """Repeat a command inside until it succeeds."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                self.execute(*command)
                return
            except subprocess.CalledProcessError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    said = self.log.read_text(errors="replace")[-4000:]
                    raise AssertionError(f"{error.stderr}\nits log ends\n{said}") from error
            time.sleep(POLL_S)


@contextmanager
def running(
    buildah: Buildah,
    archive: Archive,
    arguments: Sequence[str] = (),
    user: str = "",
    models: Path | None = None,
) -> Iterator[Sandbox]:
    """`user` is UID:GID, the image's own unless it is given. `models` is mounted at /mnt/models."""
    sweep(buildah)
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    container = buildah.container(archive.path, name)
    try:
        root, image = buildah.mount(container), buildah.image_of(container)
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder)
            specification = _specification(root, image["config"], arguments, user)
            if models:
                specification["mounts"].append(
                    {"destination": MODELS, "type": "bind", "source": str(models),
                     "options": ["bind", "nosuid", "nodev"]}
                )  # fmt: skip
            (bundle / "config.json").write_text(json.dumps(specification))
            log = bundle / "log"
            with log.open("wb") as out:
                process = subprocess.Popen(
                    [*_runc("run"), "--bundle", folder, name],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                )
            try:
                yield Sandbox(name, root, image, log, process)
            finally:
                subprocess.run(
                    [*_runc("delete"), "--force", name], capture_output=True, check=False
                )
                process.wait(STOP_S)
    finally:
        buildah.remove(container)


def sweep(buildah: Buildah) -> None:
    """Ends those whose run was killed, and lets go of their mounts."""
    listed = subprocess.run([*_runc("list"), "--quiet"], capture_output=True, text=True, check=True)
    for name in filter(_is_left, listed.stdout.split()):
        subprocess.run([*_runc("delete"), "--force", name], capture_output=True, check=False)
    for name in filter(_is_left, buildah.containers()):
        buildah.remove(name)


def _is_left(name: str) -> bool:
    """Whether the process that made it is no more."""
    pid = name.removeprefix(_PREFIX).partition("-")[0]
    return name.startswith(_PREFIX) and not Path(f"/proc/{pid}").exists()


def _runc(command: str) -> list[str]:
    return ["runc", f"--root={_STATE}", command]


def _specification(
    root: Path, config: dict[str, Any], arguments: Sequence[str], user: str
) -> dict[str, Any]:
    uid, gid = (user or config["User"]).split(":")
    command = list(arguments) or config.get("Cmd") or []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": int(uid), "gid": int(gid)},
            "args": [*config["Entrypoint"], *command],
            "env": config["Env"],
            "cwd": config["WorkingDir"],
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
            _memory("/dev", "mode=755", "size=64k"),
            _memory("/dev/shm", "mode=1777", "size=64m"),
            _memory("/tmp", "mode=1777", "size=256m"),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    }


def _memory(destination: str, *options: str) -> dict[str, Any]:
    common = ["nosuid", *options]
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": common}
