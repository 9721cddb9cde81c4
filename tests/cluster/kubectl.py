"""kubectl against the rig: what it prints, or an error with what it complained about."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


class KubectlFailed(Exception):
    """What it wrote to standard error."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Callable: `kubectl("get", "pods", "-n", "demo")`."""

    program: Path
    kubeconfig: Path
    home: Path  # of its discovery cache

    def __call__(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - named as subprocess names it
        timeout_s: float = TIMEOUT_S,
    ) -> str:
        environ = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "HOME": str(self.home),
            "NO_PROXY": "*",
        }
        done = subprocess.run(
            [self.program, *args],
            input=input or "",
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifests: str, *args: str) -> str:
        return self("apply", "--server-side", "-f", "-", *args, input=manifests)

    def get(self, *args: str) -> dict[str, Any]:
        """One object, or the list of them."""
        return dict(json.loads(self("get", *args, "-o", "json")))
