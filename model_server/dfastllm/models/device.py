"""The device a model runs on, its number format, and how much of the processor it keeps busy.

torch starts one thread per core of the machine. In a container that may use two of sixty-four that
is ruinous: the threads wait for one another while the kernel holds them back.
"""

import ctypes
import math
import os
from pathlib import Path

import torch

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD"
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
_CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86, x86, Arm
# Of <malloc.h>; the largest mmap threshold that glibc takes is 32 MiB.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def cpu_dtype(stored: torch.dtype, cpu_info: Path = _CPU_INFO) -> str:
    """The number format to compute in on a CPU: bfloat16 where that is stored and multiplied fast.

    Weights of another format lose digits in bfloat16, and processors without instructions for it
    convert number by number: both get float32.
    """
    if stored is not torch.bfloat16:
        return "float32"
    try:
        words = set(cpu_info.read_text().split())
    except OSError:  # not Linux
        words = set()
    return "bfloat16" if words & _BFLOAT16_FLAGS else "float32"


def use_threads(wanted: int | None) -> int:
    """Have torch compute on `wanted` threads, by default one per core this process may use.

    torch's own number, which OMP_NUM_THREADS sets, is an upper bound of the default.
    """
    n_threads = wanted or min(torch.get_num_threads(), usable_cores())
    torch.set_num_threads(n_threads)
    return n_threads


def keep_memory() -> bool:
    """Have glibc's allocator keep freed memory; False where there is none to tell.

    Each step allocates megabytes and frees them again. By default they go back to the kernel and
    come back as page faults, a fifth of a step of eight rows (`benchmarks/forward_cost`).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 32 << 20) and mallopt(_M_TRIM_THRESHOLD, 1 << 30))


def give_memory_back() -> None:
    """Hand freed memory back to the kernel, which `keep_memory` else forbids: once, after loading.

    Nothing happens with another C library.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return


def usable_cores(cgroup_v2: Path = _CGROUP_V2, cgroup_v1: Path = _CGROUP_V1) -> int:
    """Cores by affinity and by the container's CPU limit, rounded up; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota(cgroup_v2, cgroup_v1)
    return max(min(cores or 1, math.ceil(quota) if quota else cores or 1), 1)


def _quota(cgroup_v2: Path, cgroup_v1: Path) -> float | None:
    """The CPU limit in cores; None where there is none."""
    try:
        if cgroup_v2.exists():
            quota, period = cgroup_v2.read_text().split()
        else:
            quota = (cgroup_v1 / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup_v1 / "cpu.cfs_period_us").read_text().strip()
        return int(quota) / int(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError):
        return None
