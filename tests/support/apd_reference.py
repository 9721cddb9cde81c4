"""Adaptive parallel decoding as its paper writes it: one row, no batch, nothing cropped.

Both models read the whole row anew in every iteration; with a window the drafter keeps the K/V of
what lies further back. The numbers drawn are the engine's, so an engine whose caches and batches
are right gives the same tokens. A drafter that reads its context causally, or has it read by
another network, needs no window here: one changes nothing that it computes.
"""

import numpy as np
import torch
from torch import Tensor

from dfastllm.cache.policy import Feed
from dfastllm.cache.pool import PAGE_TOKENS, KVPool
from dfastllm.core import Request
from dfastllm.decoding.candidates import Filters, filter_logits
from dfastllm.decoding.noise import gumbel, token_keys
from dfastllm.engine.runner import kv_pool
from dfastllm.models.batch import Segment, pack
from dfastllm.models.spec import NetworkSpec
from dfastllm.models.transformer import Transformer

SHAPE = {
    "hidden_size": 48,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 2,
    "head_dim": 12,
    "intermediate_size": 64,
    "rope_theta": 1e4,
    "norm_eps": 1e-5,
    "max_position": 512,
}


def random_verifier(vocab_size: int, seed: int = 5, scale: float = 0.3) -> Transformer[NetworkSpec]:
    """A causal model with random weights; `scale` says how sure it is of itself."""
    spec = NetworkSpec(
        family="llama",
        vocab_size=vocab_size,
        embedding_rows=vocab_size,
        qkv_bias=False,
        tied_head=True,
        **SHAPE,
    )
    model = Transformer(spec)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    return model.eval()


def output_rows(
    model: Transformer[NetworkSpec], tokens: list[int], *, causal: bool, context: int = 0
) -> Tensor:
    """The raw output of every position, [len(tokens), V]; `context` of them read causally."""
    n = len(tokens)
    feed = Feed(0, n, n, refresh=True, store=False, causal_until=n if causal else context)
    segment = Segment(np.asarray(tokens), feed, np.arange(n))
    return model(pack([segment], torch.device("cpu")))


def block_rows(
    model: Transformer, context: Transformer[NetworkSpec], tokens: list[int], cut: int
) -> Tensor:
    """As `output_rows`, [0, cut) read by `context` alone: there, nothing is computed."""
    n, cpu = len(tokens), torch.device("cpu")
    pages = tuple(range(KVPool.pages_for(n)))
    pool = kv_pool(model, len(pages) * PAGE_TOKENS)
    feed = Feed(0, n, n, refresh=True, store=True, causal_until=cut)
    read, block = Segment(np.asarray(tokens), feed, np.arange(cut, n), pages).split()
    if cut:
        context(pack([read], cpu), pool)
    rows = model(pack([block], cpu), pool)
    return torch.cat([torch.full((cut, rows.shape[1]), float("nan")), rows])


class _KeptRow:
    """The drafter over one row, feeding only what lies right of a window's edge."""

    def __init__(self, model: Transformer, length: int):
        self.model, self.pages = model, tuple(range(KVPool.pages_for(length)))
        self.pool = kv_pool(model, len(self.pages) * PAGE_TOKENS)

    def output_rows(self, tokens: list[int], left: int) -> Tensor:
        """As `output_rows`; those left of `left` are not computed and stay empty."""
        n, start = len(tokens), max(left, 0)
        feed = Feed(start, n, n, refresh=False, store=True)
        segment = Segment(np.asarray(tokens[start:]), feed, np.arange(start, n), self.pages)
        fed = self.model(pack([segment], torch.device("cpu")), self.pool)
        return torch.cat([torch.full((start, fed.shape[1]), float("nan")), fed])


def decode(
    drafter: Transformer,
    verifier: Transformer[NetworkSpec],
    request: Request,
    context: Transformer[NetworkSpec] | None = None,
) -> tuple[list[int], int]:
    """The answer and the number of iterations; `context` reads the drafter's context, if given."""
    spec, sampling, decoding = drafter.spec, request.sampling, request.decoding
    tokens, n_prompt = list(request.prompt), len(request.prompt)
    whole = n_prompt + request.max_tokens
    steps = accepted = 0
    windowed = decoding.window is not None and not spec.causal_context
    kept = _KeptRow(drafter, whole) if windowed else None
    while len(tokens) < whole:
        t = len(tokens)
        end = whole if decoding.lookahead is None else min(t + max(decoding.lookahead, 1), whole)
        shift = int(spec.shift_logits)
        canvas = tokens + [spec.mask_id] * (end - t)
        if context is not None:
            raw = block_rows(drafter, context, canvas, max(t - shift, 0))
        elif kept is None:
            raw = output_rows(drafter, canvas, causal=False, context=t * spec.causal_context)
        else:
            raw = kept.output_rows(canvas, t - accepted - decoding.window if steps else 0)
        drafter_levels = _levels(raw[t - shift : end - shift], spec.forbidden_ids, request)
        noise = gumbel(
            torch.from_numpy(token_keys(sampling.seed, np.arange(t, end), steps)), spec.vocab_size
        )
        noise = noise if sampling.temperature > 0 else torch.zeros_like(noise)
        draft = (drafter_levels + noise).argmax(-1).tolist()
        read = output_rows(verifier, tokens + draft, causal=True)[t - 1 : end - 1]
        verifier_levels = _levels(read, spec.forbidden_ids, request)
        r = decoding.r
        mixed = (r * drafter_levels if r else 0.0) + ((1 - r) * verifier_levels if r < 1 else 0.0)
        wanted = (mixed + noise).argmax(-1).tolist()
        steps += 1
        for k, token in enumerate(draft):
            if k and token != wanted[k]:
                break
            tokens.append(token)
            if token in spec.eos_ids and not request.ignore_eos:
                return tokens[n_prompt:], steps
        accepted = len(tokens) - t
    return tokens[n_prompt:], steps


def _levels(logits: Tensor, forbidden: tuple[int, ...], request: Request) -> Tensor:
    sampling, n = request.sampling, len(logits)
    logits = logits.clone()
    for token, bias in sampling.logit_bias:
        logits[:, token] += bias
    logits[:, list(forbidden)] = float("-inf")
    if sampling.temperature == 0:
        return logits
    filters = Filters(
        torch.full((n,), sampling.temperature),
        torch.full((n,), sampling.top_p),
        torch.full((n,), sampling.top_k),
    )
    return filter_logits(logits, filters)
