"""The namespace a user is in, as kubectl takes it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEFAULT = "default"


def namespace(kubeconfig: str | None, context: str | None) -> str:
    """Of the context, the current one if none is named; `default` where nothing says anything.

    Several files are taken as kubectl takes them: what is said first holds. A file that is missing
    or broken says nothing here; whoever logs in with it says what is wrong.
    """
    files = list(_files(kubeconfig))
    current = context or next((f["current-context"] for f in files if f.get("current-context")), "")
    for file in files:
        for entry in file.get("contexts") or ():
            if isinstance(entry, dict) and entry.get("name") == current:
                return str((entry.get("context") or {}).get("namespace") or DEFAULT)
    return DEFAULT


def _files(kubeconfig: str | None) -> Iterator[dict[str, Any]]:
    named = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    for part in named.split(os.pathsep):
        try:
            content = yaml.safe_load(Path(part).expanduser().read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(content, dict):
            yield content
