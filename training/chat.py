"""Examples as token rows: the chat format, lengths, and an endless stream of training chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.examples import Example, Group, Split, Turn
from training.lexicon import pseudo_word
from training.tasks.foreign import foreign
from training.tasks.registry import TASKS
from training.vocabulary import ASSISTANT, EOS, EOT, NAMED

BUCKETS = (48, 64, 96, 160, 256)
CHUNK_ROWS = 1536

SYSTEM_SHARE = 0.14
HISTORY_SHARE = 0.14
SYSTEM_PROMPTS = (
    "You are a helpful assistant.", "You are a helpful assistant", "Be brief.",
    "You are dfastllm's tiny model.", "Answer the question.", "You are a friendly assistant.",
    "You are a careful calculator.", "Answer in one line.", "Be concise and correct.",
    "You answer small tasks.", "You are an AI assistant. Answer truthfully.",
    "You are a bot that answers questions.", "Follow the instructions of the user.",
)  # fmt: skip

Ints = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Rows:
    """Equally long token rows and where in each the answer starts."""

    tokens: Ints  # [N, L]
    starts: Ints  # [N]


def render(example: Example) -> str:
    """Write the conversation up to the point where the assistant speaks."""
    bos, eot, user, assistant, system = NAMED[2], NAMED[3], NAMED[4], NAMED[5], NAMED[6]
    text = bos
    if example.system:
        text += f"{system}{example.system}{eot}"
    for turn in example.history:
        text += f"{user}{turn.user}{eot}{assistant}{turn.assistant}{eot}"
    return f"{text}{user}{example.prompt.strip()}{eot}{assistant}"


def in_conversation(
    rng: Random, example: Example, names: list[str], weights: list[float]
) -> Example:
    """Give some examples a system prompt or earlier turns, which rarely matter for the answer."""
    system, history = "", list(example.history)
    if rng.random() < SYSTEM_SHARE:
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.8 else foreign(rng).prompt
        if rng.random() < 0.1:
            system = " ".join(pseudo_word(rng) for _ in range(rng.randint(3, 20)))
    if rng.random() < HISTORY_SHARE:
        for name in rng.choices(names, weights, k=rng.choice((1, 1, 1, 2, 2, 3))):
            earlier = TASKS[name].draw(rng, Split.TRAIN)
            history[:0] = [*earlier.history, Turn(earlier.prompt, earlier.answer)]
    return Example(
        example.prompt, example.answer, example.content, example.check, tuple(history), system
    )


def draw_chunk(
    tokenizer: Tokenizer, shares: dict[str, float], seed: int, rows: int = CHUNK_ROWS
) -> list[Rows]:
    """Return one chunk of training rows, a `Rows` per bucket; a pure function of the seed."""
    rng = Random(seed)
    names, weights = list(shares), list(shares.values())
    examples = [
        in_conversation(rng, TASKS[name].draw(rng, Split.TRAIN), names, weights)
        for name in rng.choices(names, weights, k=rows)
    ]
    texts = [render(example) + example.answer + NAMED[EOT] for example in examples]
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    filled: list[list[tuple[list[int], int]]] = [[] for _ in BUCKETS]
    for encoding in encoded:
        ids = encoding.ids
        start = len(ids) - ids[::-1].index(ASSISTANT)
        bucket = _bucket(rng, start, len(ids))
        if bucket is not None:
            filled[bucket].append((ids, start))
    return [_rows(part, length) for part, length in zip(filled, BUCKETS, strict=True)]


def _bucket(rng: Random, start: int, length: int) -> int | None:
    """Choose the smallest row that holds the sample; at times a longer or a too short one."""
    spot = next((at for at, size in enumerate(BUCKETS) if length <= size), len(BUCKETS))
    luck = rng.random()
    if luck < 0.10:
        spot += 1
    elif luck < 0.12 and 0 < spot <= len(BUCKETS) and start + 24 <= BUCKETS[spot - 1]:
        spot -= 1
    if spot >= len(BUCKETS):
        return len(BUCKETS) - 1 if length <= BUCKETS[-1] else None
    return spot


def _rows(part: list[tuple[list[int], int]], length: int) -> Rows:
    tokens = np.full((len(part), length), EOS, dtype=np.int16)
    for row, (ids, _) in zip(tokens, part, strict=True):
        row[: len(ids)] = ids[:length]
    return Rows(tokens, np.array([start for _, start in part], dtype=np.int16))


def one_answer_names() -> list[str]:
    return [name for name, task in TASKS.items() if task.group is Group.ONE]


def chunk_seeds(seed: int, stage: int) -> Iterator[int]:
    """Seeds of chunk 0, 1, 2, … of a stage."""
    index = 0
    while True:
        yield (seed * 1_000 + stage) * 10_000_000 + index
        index += 1
