"""How fast one reader is served, on the model card: by rule, beside the base alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.reader import APD, BASE, DEFAULT, ONE, ONE_OF_32

_HEAD = """
## Speed on a CPU

One reader over HTTP, everyday questions (`python -m benchmarks.reader`); the base alone with its
key and value cache in the same run. The verifier is included. Where `default` is a rule that has
other names too (`apd`, a preset), its rows show by how much runs of the same differ.
"""
_AS_FAST = 0.97  # of the base's speed: less than runs differ by


def speed(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return the section; empty where no machine was measured."""
    return _HEAD + "".join(map(_machine, reports)) if reports else ""


def _machine(report: Mapping[str, Any]) -> str:
    served, others = report["results"]["server"]["one"], report["results"]["alone"]
    order = dict.fromkeys((DEFAULT, APD, ONE, ONE_OF_32, *served))
    rows = {n: served[n] for n in order if n in served and served[n]["tokens_per_s"]}
    base = others.get(BASE)
    if base is not None:
        rows[BASE] = base
    hardware = report["hardware"]
    title = f"\n**{hardware['cpu']}**, {others['threads']} threads, {others['dtype']}\n\n"
    head = ("| | first text, s | tokens/s | tokens/forward | times the base alone |\n"
            "|---|---|---|---|---|\n")  # fmt: skip
    lines = [_line(name, row, base) for name, row in rows.items()]
    return title + head + "".join(lines) + (_verdict(served, base) if base is not None else "")


def _line(name: str, row: Mapping[str, Any], base: Mapping[str, Any] | None) -> str:
    first = row["first_text_s"]
    first = round(first["p50"], 2) if isinstance(first, Mapping) else first
    beside = f"{row['tokens_per_s'] / base['tokens_per_s']:.2f}" if base else ""
    return (
        f"| {name} | {first} | {row['tokens_per_s']} | {row['tokens_per_forward']} | {beside} |\n"
    )


def _verdict(served: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> str:
    """Whether diffusion pays for one reader of this machine, in words."""
    best = max(served, key=lambda name: served[name]["tokens_per_s"] or 0)
    gain = served[best]["tokens_per_s"] / base["tokens_per_s"]
    if gain <= 1 / _AS_FAST:
        word = "faster than" if gain < _AS_FAST else "as fast as"
        return (
            f"\nHere the base alone, one token at a time, is {word} every diffusion rule "
            f"(the fastest, {best}, is at {gain:.2f} of it): for one reader on this machine "
            "diffusion does not pay.\n"
        )
    return f"\nThe fastest rule here, {best}, is {gain:.2f} times as fast as the base alone.\n"
