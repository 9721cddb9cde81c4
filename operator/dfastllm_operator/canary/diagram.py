"""The state diagram of a rollout, drawn from the table that decides. Pure."""

from dfastllm_operator.canary.phase import RolloutPhase
from dfastllm_operator.canary.table import TABLE


def mermaid() -> str:
    """All changes of phase as a mermaid diagram, in the table's order."""
    lines = ["stateDiagram-v2", f"    [*] --> {RolloutPhase.STABLE}"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in TABLE:
        if row.source is not row.target:
            arrows.setdefault((row.source, row.target), []).append(row.words)
    for (source, target), words in arrows.items():
        lines.append(f"    {source} --> {target}: {' / '.join(dict.fromkeys(words))}")
    return "\n".join(lines) + "\n"
