"""What a cluster leaves on the machine, and what it changes there: nothing, once it is gone."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from cluster import cgroups, network, standing

# Folders of /proc/sys that a kubelet, kube-proxy, containerd or the rig may write to, whole.
FOLDERS = (
    "fs/inotify", "kernel", "kernel/keys", "net/bridge", "net/core", "net/ipv4",
    "net/ipv4/conf/all", "net/ipv4/conf/default", "net/ipv6/conf/all", "net/netfilter", "vm",
)  # fmt: skip
# What changes by itself, or does something when it is read.
RESTLESS = (
    "kernel/ns_last_pid", "kernel/perf_cpu_time_max_percent", "kernel/perf_event_max_sample_rate",
    "net/netfilter/nf_conntrack_count", "vm/stat_refresh",
)  # fmt: skip


def traces() -> list[str]:
    """Of a cluster, until it is taken down."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    groups = [g for depth in ("", "*/") for g in cgroups.ROOT.glob(f"{depth}dfastllm*")]
    links = os.listdir("/sys/class/net")
    return [
        *(mount for mount in mounts if str(standing.folder()) in mount),
        *(str(group) for group in groups),
        *(link for link in links if link == network.CABLE),
        *(str(process) for process in standing.register().running()),
    ]


def settings() -> dict[str, str]:
    """All that may have been changed, by name; rules of the firewall among them."""
    return {**_kernel(), **_firewall()}


def changed(before: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Those that are other now, or no more: each as it was, and is. New ones are a module's."""
    now = settings()
    return {
        name: (value, now.get(name, "")) for name, value in before.items() if now.get(name) != value
    }


def _kernel() -> dict[str, str]:
    found = {}
    for folder in FOLDERS:
        for file in Path("/proc/sys", folder).glob("*"):
            name = f"{folder}/{file.name}"
            if file.is_file() and name not in RESTLESS:
                with suppress(OSError):  # some are for writing only
                    found[name] = file.read_text()
    return found


def _firewall() -> dict[str, str]:
    done = subprocess.run(["iptables", "-S"], capture_output=True, text=True, check=True)
    return {"firewall": done.stdout}
