"""Settings of the kernel that a kubelet changes for the whole machine: kept, and put back."""

import json
from pathlib import Path

ROOT = Path("/proc/sys")
NAMES = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)


def keep(file: Path) -> None:
    """As they are; unless the file has them from before."""
    if not file.exists():
        found = {name: read(name) for name in NAMES}
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(found))
        unfinished.rename(file)


def put_back(file: Path) -> None:
    """Those that are changed; without the file none is."""
    if file.exists():
        for name, value in json.loads(file.read_text()).items():
            if read(name) != value:
                path(name).write_text(value)


def read(name: str) -> str:
    return path(name).read_text()


def path(name: str) -> Path:
    return ROOT / name.replace(".", "/")
