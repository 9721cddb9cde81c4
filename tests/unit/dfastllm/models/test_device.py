import os
import platform
from pathlib import Path

import pytest
import torch

from dfastllm.models.device import cpu_dtype, keep_memory, usable_cores, use_threads

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max 100000", CORES), ("50000 100000", 1), ("150000 100000", 2), ("9900000 100000", CORES)],
)
def test_the_containers_limit_counts_rounded_up(tmp_path: Path, text: str, limit: int) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert usable_cores(tmp_path / "cpu.max", tmp_path) == min(limit, CORES)


def test_the_first_version_of_control_groups_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path / "none", tmp_path) == 1
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(tmp_path / "none", tmp_path) == CORES


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "none", tmp_path / "none") == CORES


def test_the_setting_wins() -> None:
    before = torch.get_num_threads()
    try:
        assert use_threads(3) == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_allocator_of_glibc_takes_both_settings() -> None:
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize(
    ("stored", "flags", "dtype"),
    [
        (torch.bfloat16, "flags : fpu avx2 avx512_bf16 sse", "bfloat16"),
        (torch.bfloat16, "flags : fpu amx_bf16 amx_tile", "bfloat16"),
        (torch.bfloat16, "Features : fp asimd bf16 i8mm", "bfloat16"),
        (torch.bfloat16, "flags : fpu avx2", "float32"),
        (torch.float16, "flags : fpu avx512_bf16", "float32"),
        (torch.float32, "flags : fpu avx512_bf16", "float32"),
    ],
)
def test_bfloat16_is_for_weights_stored_so_and_processors_that_have_it(
    tmp_path: Path, stored: torch.dtype, flags: str, dtype: str
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    assert cpu_dtype(stored, tmp_path / "cpuinfo") == dtype
    assert cpu_dtype(stored, tmp_path / "none") == "float32"
