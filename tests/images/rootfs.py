"""A base image without a registry: Debian's essential packages, Python and the authorities' roots.

Made by mmdebstrap, which fetches and verifies the packages as apt does. Nothing of the machine that
makes it stays inside: not its name, its name servers or where it gets packages from.
"""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 900.0
_UNREAD = ("doc", "info", "locale", "man")
_OF_THIS_MACHINE = ("apt/sources.list", "hostname", "resolv.conf")


class RootfsFailed(Exception):
    """With the end of what mmdebstrap said."""


@dataclass(frozen=True, slots=True)
class Rootfs:
    suite: str = "trixie"
    packages: tuple[str, ...] = ("ca-certificates", "libstdc++6", "python3", "python3-venv")

    def key(self) -> str:
        """Of what is asked for; Debian's updates change what comes of it, and not the key."""
        return hashlib.sha256(repr(self._command("")).encode()).hexdigest()[:12]

    def make(self, archive: Path) -> None:
        """Write it as a tar file, which takes about a minute; needs root."""
        try:
            done = subprocess.run(
                self._command(str(archive)),
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RootfsFailed(f"mmdebstrap: not within {DEADLINE_S} s") from error
        if done.returncode:
            raise RootfsFailed("mmdebstrap:\n" + "\n".join(done.stderr.splitlines()[-20:]))

    def _command(self, target: str) -> tuple[str, ...]:
        removed = " ".join(f'"$1/etc/{name}"' for name in _OF_THIS_MACHINE)
        return (
            "mmdebstrap",
            "--quiet",
            "--format=tar",
            "--variant=essential",
            f"--include={','.join(self.packages)}",
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNREAD),
            f"--customize-hook=rm {removed}",
            self.suite,
            target,
        )
