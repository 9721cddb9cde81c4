"""What a revision asks for, in a word or two for people."""

from dfastllm_operator.core import Revision


def gpu_text(revision: Revision | None) -> str:
    """`1x NVIDIA-A100-SXM4-80GB`, `1x nvidia.com/gpu`, or `none`; empty without a revision."""
    if revision is None:
        return ""
    gpu = (revision.inputs.get("resources") or {}).get("gpu") or {}
    name = str(gpu.get("resourceName") or "nvidia.com/gpu")
    count = revision.resolved.limits.get(name)
    return f"{count}x {gpu.get('product') or name}" if count else "none"
