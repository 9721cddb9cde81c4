"""Other ways to the same answers, in this process, one request at a time: what a reader compares.

`published` is LLaDA's loop (`reference_loop.py`) for any model here: one token a step, nothing
cached, every step a forward over all that the model can see. `causal` is a causal model with its
K/V cache, one token a forward: what there is without diffusion.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import PAGE_TOKENS, KVPool
from dfastllm.engine.runner import kv_pool
from dfastllm.models.batch import Segment, pack
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer

_CPU = torch.device("cpu")
Prompt = Sequence[int]


@dataclass(frozen=True, slots=True)
class Written:
    """One answer: its tokens up to the end of the turn, and what it took. Times are seconds."""

    tokens: list[int]
    forwards: int
    first_text_s: float
    seconds: float


@torch.inference_mode()
def published(
    model: Transformer,
    prompt: Prompt,
    canvas: int,
    block: int,
    *,
    stops: bool,
    context: Transformer[NetworkSpec] | None = None,
) -> Written:
    """LLaDA's loop at temperature 0. With `stops` no block is begun behind the end of the turn.

    `context` reads the context, where that is another network, anew in every step.
    """
    spec, began, first_text = model.spec, time.perf_counter(), 0.0
    tokens = np.array([*prompt, *[spec.mask_id] * canvas], dtype=np.int64)
    first, forwards = len(prompt), 0
    for start in range(first, len(tokens), block):
        end = min(start + block, len(tokens))
        # Nothing right of the block is seen where the context is read causally.
        seen = end if spec.causal_context else len(tokens)
        until = start if spec.causal_context else 0
        feed = Feed(0, seen, seen, refresh=True, store=False, causal_until=until)
        asked = first if context is None else start
        wanted = np.arange(asked, seen) - int(spec.shift_logits)
        for _ in range(start, end):
            segment = Segment(tokens[:seen], feed, wanted)
            if context is None:
                logits = model(pack([segment], _CPU))  # [seen - asked, V]
            else:
                logits = _read_apart(model, context, segment)
            forwards += 1
            at, token = _surest(
                logits[start - asked : end - asked], tokens[start:end], spec.mask_id
            )
            tokens[start + at] = token
        first_text = first_text or time.perf_counter() - began
        if stops and _ends(tokens[first:end], spec.eos_ids) is not None:
            break
    answer = tokens[first:]
    length = _ends(answer, spec.eos_ids)
    kept = answer if length is None else answer[: length + 1]
    return Written(kept.tolist(), forwards, first_text, time.perf_counter() - began)


def _read_apart(model: Transformer, context: Transformer[NetworkSpec], segment: Segment) -> Tensor:
    """The outputs wanted, [K, V], after `context` has read what is causal but what leads in."""
    feed = segment.feed
    n_pages = KVPool.pages_for(feed.end)
    pool, pages = kv_pool(model, n_pages * PAGE_TOKENS), tuple(range(n_pages))
    until = max(feed.causal_until - int(model.spec.shift_logits), 0)
    feed = replace(feed, causal_until=until, store=True)
    read, block = replace(segment, feed=feed, pages=pages).split()
    if len(read.tokens):
        context(pack([read], _CPU), pool)
    logits: Tensor = model(pack([block], _CPU), pool)
    return logits


def _surest(logits: Tensor, tokens: np.ndarray, mask: int) -> tuple[int, int]:
    """The masked place that the model is surest of, and its token; logits [B, V]."""
    logits[:, mask] = -torch.inf
    probability, token = logits.softmax(-1).max(-1)
    probability[torch.from_numpy(tokens != mask)] = -1
    at = int(probability.argmax())
    return at, int(token[at])


@torch.inference_mode()
def causal(
    model: Transformer[NetworkSpec], prompt: Prompt, max_tokens: int, ends: Iterable[int]
) -> Written:
    """The most probable token of each forward, until the turn ends."""
    began, first_text = time.perf_counter(), 0.0
    pages = KVPool.pages_for(len(prompt) + max_tokens)
    pool = kv_pool(model, pages * PAGE_TOKENS)
    own = pool.take(pages)
    assert own is not None
    written: list[int] = []
    fed, at = np.array(prompt, dtype=np.int64), 0
    while len(written) < max_tokens:
        end = at + len(fed)
        feed = Feed(at, end, end, refresh=at == 0, store=True, causal_until=end)
        logits = model(pack([Segment(fed, feed, np.array([end - 1]), own)], _CPU), pool)  # [1, V]
        written.append(int(logits.argmax()))
        first_text = first_text or time.perf_counter() - began
        if written[-1] in ends:
            break
        fed, at = np.array(written[-1:], dtype=np.int64), end
    return Written(written, len(written), first_text, time.perf_counter() - began)


def _ends(tokens: np.ndarray, eos_ids: Sequence[int]) -> int | None:
    """Where the turn ends."""
    places = np.flatnonzero(np.isin(tokens, eos_ids))
    return int(places[0]) if len(places) else None


def figures(write: Callable[[Prompt], Written], prompts: Sequence[Prompt]) -> dict[str, Any]:
    """What one way comes to over all prompts, one after the other."""
    answers = [write(prompt) for prompt in prompts]
    tokens, forwards = (sum(len(a.tokens) for a in answers), sum(a.forwards for a in answers))
    seconds = sum(answer.seconds for answer in answers)
    return {
        "answers": len(answers),
        "tokens_per_s": round(tokens / seconds, 2),
        "tokens_per_answer": round(tokens / len(answers), 1),
        "tokens_per_forward": round(tokens / forwards, 3),
        "ms_per_forward": round(1000 * seconds / forwards, 2),
        "first_text_s": round(float(np.median([a.first_text_s for a in answers])), 3),
    }
