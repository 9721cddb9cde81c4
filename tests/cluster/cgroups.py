"""Control groups of nodes: below one folder each, in every hierarchy that the machine has."""

from contextlib import suppress
from pathlib import Path

from cluster.processes import until

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = "cgroup.controllers"  # that there are
LENT = "cgroup.subtree_control"  # to the groups below


def lend(mark: Path) -> None:
    """In version 2 a group has the controllers that its parent lets it have: all, from now on.

    `mark` keeps those that the machine's own groups did not have before.
    """
    if not (ROOT / CONTROLLERS).exists():
        return
    had = (ROOT / LENT).read_text().split()
    lacking = [name for name in (ROOT / CONTROLLERS).read_text().split() if name not in had]
    if lacking and not mark.exists():
        mark.write_text(" ".join(lacking))
    for name in lacking:
        (ROOT / LENT).write_text(f"+{name}")


def take_back(mark: Path) -> None:
    """Those in `mark`, but for what somebody else's groups use by now."""
    if mark.exists():
        for name in mark.read_text().split():
            with suppress(OSError):
                (ROOT / LENT).write_text(f"-{name}")
        mark.unlink()


def make(name: str) -> None:
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # of version 1: empty, and nothing could run
            if (hierarchy / file).exists():
                (group / file).write_text((hierarchy / file).read_text())


def remove(name: str) -> None:
    """With all below; returns when the last process has left it."""
    groups = [hierarchy / name for hierarchy in hierarchies()]
    until(lambda: all(_gone(group) for group in groups), f"control groups of {name} gone")


def hierarchies() -> list[Path]:
    """All of version 1, or the one of version 2; or both, and containers are in both."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(mount) for _, mount, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]


def _gone(group: Path) -> bool:
    below = [path for path in group.rglob("*") if path.is_dir()] if group.exists() else []
    for folder in [*sorted(below, reverse=True), group]:  # what is below sorts behind
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:  # a process that was killed is not gone yet
            return False
    return True
