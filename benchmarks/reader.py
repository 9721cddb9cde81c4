"""What a reader gets from a plain CPU: `python -m benchmarks.reader --model builtin:smol`.

A real server over HTTP: time to the first text, tokens a second for one reader and for eight,
memory, start. Beside it, in the same run and in the same number format, LLaDA's published loop on
the same weights and, for a model made of a causal one (`--base`), that base alone with its K/V
cache: a figure of one machine means little, a ratio more. Run it on a machine that does nothing
else.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchmarks.process import ServerProcess
from benchmarks.prompts import single_turns
from benchmarks.quality_checkpoint import checkpoint_of
from benchmarks.quality_suites import Suite, load_suite
from benchmarks.reader_loops import causal, figures, published
from benchmarks.report import RESULTS, Report, goal
from dfastllm.__main__ import SPINS
from dfastllm.cli.bench_client import Target
from dfastllm.cli.bench_load import Load, run_load
from dfastllm.cli.bench_report import summarise
from dfastllm.models.causal import load_causal
from dfastllm.models.checkpoint import load_model
from dfastllm.models.context import load_context
from dfastllm.models.device import cpu_dtype, keep_memory, use_threads
from dfastllm.models.loader import stored_dtype
from dfastllm.models.source import resolve_model
from dfastllm.presets import PresetName
from dfastllm.tokenizer import Tokenizer

SMALL_MODEL, ENGLISH_MODEL, ENGLISH_BASE = "builtin:tiny", "builtin:smol", "builtin:smol-base"
MAX_TOKENS, BLOCK, CROWD = 128, 32, 8
DEFAULT, ONE, APD = "default", "one token a step", "apd"
ONE_OF_32 = f"{ONE}, blocks of {BLOCK}"  # where the model has shorter ones
RULES: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {},
    ONE: {"strategy": "fixed"},
    ONE_OF_32: {"strategy": "fixed", "block_length": BLOCK},
    APD: {"strategy": "apd"},
    **{f"preset {name}": {"preset": str(name)} for name in PresetName},
}
LOOP, LOOP_STOPPING, BASE = "published loop", "published loop that stops", "base alone, cached"
_ROUNDS = 2  # answers for each of a crowd
_KEPT = ("answers", "tokens_per_s", "tokens_per_forward", "forwards_per_answer",
         "verifier_passes_per_answer", "accepted_share", "first_text_s", "latency_s",
         "errors")  # fmt: skip

Row = dict[str, Any]
_Any = TypeVar("_Any")


def served(options: argparse.Namespace, prompts: Sequence[str]) -> Row:
    """All that is asked of a server. It is started twice: the first start may prepare files."""
    flags = ["serve", "--plain", "--model", options.model, "--no-access-log"]
    flags += ["--num-threads", str(options.threads)] if options.threads else []
    flags += ["--dtype", options.dtype] if options.dtype else []
    with ServerProcess("dfastllm", flags) as server:
        found: Row = {"first_ready_s": round(server.ready_s, 2)}
    with ServerProcess("dfastllm", flags) as server:
        found["ready_s"] = round(server.ready_s, 2)
        found["port_open_s"] = round(server.port_open_s, 2)
        found["memory_ready"] = server.memory()
        found["one"] = {name: _asked(server, rule, prompts, 1) for name, rule in RULES.items()}
        found["one_as_the_loops"] = _asked(server, {}, _few(prompts, options.loop_prompts), 1)
        crowd = {name: rule for name, rule in RULES.items() if name not in (ONE, ONE_OF_32, APD)}
        found["crowd"] = {n: _asked(server, rule, prompts, CROWD) for n, rule in crowd.items()}
        found["memory"] = server.memory()
    return found


def _asked(
    server: ServerProcess, rule: Mapping[str, Any], prompts: Sequence[str], readers: int
) -> Row:
    """Streamed answers for so many readers at once, each with the next question when it is done."""
    model = json.loads(server.get("/v1/models"))["data"][0]["id"]
    body: Row = {"model": model, "max_tokens": MAX_TOKENS, "temperature": 0}
    target = Target({**body, "diffusion": rule} if rule else body, timeout_s=600)
    count = len(prompts) if readers == 1 else readers * _ROUNDS
    load = Load(count, readers, warm_up=1, max_duration_s=3600)
    found = summarise(asyncio.run(run_load(f"{server.url}/v1/", {}, target, prompts, load)))
    row = {name: found[name] for name in _KEPT if name in found}
    print(f"{readers} readers" if readers > 1 else "one reader", rule, json.dumps(row), flush=True)
    return row


def _few(items: Sequence[_Any], count: int) -> list[_Any]:
    """Evenly spaced: neighbours are of one kind."""
    return [items[at * len(items) // count] for at in range(min(count, len(items)))]


def alone(options: argparse.Namespace, prompts: Sequence[str]) -> Row:
    """The other ways, in this process."""
    source = resolve_model(options.model)
    dtype = options.dtype or cpu_dtype(stored_dtype(source.directory))
    n_threads = use_threads(options.threads)
    keep_memory()
    cpu = torch.device("cpu")
    model = load_model(source.directory, dtype=dtype, device=cpu)
    spec = model.spec
    tokenizer = Tokenizer.load(
        source.tokenizer_directory, vocab_size=spec.vocab_size, mask_id=spec.mask_id
    )
    chats = [tokenizer.encode_chat([{"role": "user", "content": text}]) for text in prompts]
    few = _few(chats, options.loop_prompts)
    found: Row = {"dtype": dtype, "threads": n_threads}
    reader = load_context(source.directory, model)
    context = None if reader is None else reader.network
    published(model, few[0], canvas=8, block=8, stops=False, context=context)  # warms up
    for name, stops in ((LOOP, False), (LOOP_STOPPING, True)):
        loop = partial(
            published, model, canvas=MAX_TOKENS, block=BLOCK, stops=stops, context=context
        )
        found[name] = figures(loop, few)
        print(name, json.dumps(found[name]), flush=True)
    if options.base:
        base = load_causal(
            resolve_model(options.base).directory, dtype=model.embed.weight.dtype, device=cpu
        )
        causal(base, few[0], max_tokens=8, ends=())
        write = partial(causal, base, max_tokens=MAX_TOKENS, ends=spec.eos_ids)
        found[BASE] = figures(write, chats)
        print(BASE, json.dumps(found[BASE]), flush=True)
    return found


def goals(server: Row, others: Row) -> Row:
    """The goals of a model of this size in bf16 on two cores."""
    one, crowd = server["one"], server["crowd"]
    speed = one[DEFAULT]["tokens_per_s"]
    as_loops = server["one_as_the_loops"]["tokens_per_s"]  # on the questions that the loops answer
    found = {
        "first_text_s_p50": goal(one[DEFAULT]["first_text_s"]["p50"], at_most=1.0),
        "tokens_per_s": goal(speed, at_least=20),
        "gain_of_eight": goal(crowd[DEFAULT]["tokens_per_s"] / speed, at_least=1.5),
        "peak_anonymous_gb": goal(server["memory"]["peak_anonymous"] / 1e9, at_most=1.2),
        "times_published_loop": goal(as_loops / others[LOOP]["tokens_per_s"], at_least=4),
        "times_published_loop_that_stops": goal(
            as_loops / others[LOOP_STOPPING]["tokens_per_s"], at_least=4
        ),
    }
    if one[APD]["tokens_per_s"]:
        for name in (ONE, ONE_OF_32):
            gain = one[APD]["tokens_per_s"] / one[name]["tokens_per_s"]
            found[f"apd times {name}"] = goal(gain, at_least=1.5)
    return found


def table(server: Row, others: Row) -> str:
    """Everything side by side; the loops answer a few of the questions, the others all."""
    base = others[BASE]["tokens_per_s"] if BASE in others else None
    lines = [
        "| | first text, s | tokens/s | tokens/forward | times the base |",
        "|---|---|---|---|---|",
    ]
    rows = {name: row for name, row in server["one"].items() if row["tokens_per_s"]}
    rows |= {f"{n}, {CROWD} readers": row for n, row in server["crowd"].items()}
    rows["default, the loops' questions"] = server["one_as_the_loops"]
    rows |= {name: others[name] for name in (LOOP, LOOP_STOPPING, BASE) if name in others}
    for name, row in rows.items():
        first = row["first_text_s"]
        first = round(first["p50"], 2) if isinstance(first, dict) else first
        speed = row["tokens_per_s"]
        beside = f"{speed / base:.2f}" if base else ""
        lines.append(f"| {name} | {first} | {speed} | {row['tokens_per_forward']} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=ENGLISH_MODEL)
    parser.add_argument("--base", help="causal model with the same tokens; smol has its own")
    parser.add_argument("--prompts", type=int, default=16, help="answers for one reader, by rule")
    parser.add_argument("--loop-prompts", type=int, default=4, help="answers of the slow loops")
    parser.add_argument("--threads", type=int, help="compute threads")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of results")
    options = parser.parse_args()
    if options.base is None and options.model == ENGLISH_MODEL:
        options.base = ENGLISH_BASE
    if options.model == SMALL_MODEL:
        prompts = single_turns(options.prompts)
    else:
        asked = load_suite(Suite.EVERYDAY, options.prompts, wide=True)
        prompts = [str(question.messages[0]["content"]) for question in asked]
    slug = options.model.removeprefix("builtin:").strip("/").replace("/", "-")
    parameters = {name: value for name, value in vars(options).items() if name != "out"}
    report = Report(f"reader-{slug}", **parameters, max_tokens=MAX_TOKENS)
    server = served(options, prompts)
    report.add(checkpoint=checkpoint_of(options.model))  # the server's first start may make it
    others = alone(options, prompts)
    found = goals(server, others)
    results = {"server": server, "alone": others}
    path = report.write(results=results, goals=found, folder=options.out)
    print(table(server, others), json.dumps(found, indent=1), path, sep="\n")


if __name__ == "__main__":
    if "GOMP_SPINCOUNT" not in os.environ:  # read when torch loads: begin anew, as the server waits
        os.environ["GOMP_SPINCOUNT"] = SPINS
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.reader", *sys.argv[1:]])
    main()
