"""Answers that are known, as conversations in the base's own tokens: exact tasks, lines by hand.

What the base would say there is of no use, so these are learned token by token, never by its law.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random

from tokenizers import Tokenizer

from training.examples import Example, Split, Turn
from training.smol.conversations import Conversations, Kind, collect, join
from training.smol.prompts import SYSTEM
from training.smol.talk import talk
from training.smol.vocabulary import chat
from training.tasks.wide import WIDE_TASKS, wide_mix

CHUNK = 4_000
SYSTEM_SHARE = 0.10
HISTORY_SHARE = 0.08
# What is learned last: letters inside tokens, long lists, squares. Drawn more often than the rest.
SLOW = frozenset(
    (
        "reverse_string", "upper", "keep_numbers", "acronym", "sort_words", "sort_long",
        "spell_long", "count_letter", "count", "remove", "repeat", "sum_direct", "sum_steps",
        "to_json", "line_swap", "ends", "days_later", "sudoku", "latin_fill", "invent_sudoku",
        "latin_invent", "line_swap_any", "acrostic", "make_sum", "make_difference",
        "letters_exactly", "anagram", "json_numbers",
    )
)  # fmt: skip
SLOW_BOOST = 3.0
TALK_SHARE = 0.08  # of all examples: greetings, thanks, what this model is

_tokenizer: list[Tokenizer] = []  # of the process, forked from its parent


def render(example: Example) -> str:
    """Write the conversation up to the point where the assistant speaks."""
    turns = [(turn.user, turn.assistant) for turn in example.history]
    return chat([*turns, (example.prompt.strip(), "")], example.system)


def in_conversation(rng: Random, example: Example, shares: dict[str, float]) -> Example:
    """Give some examples a system prompt or earlier turns, which rarely matter for the answer."""
    system, history = example.system, list(example.history)
    if not system and rng.random() < SYSTEM_SHARE:
        system = rng.choice(SYSTEM)
    if rng.random() < HISTORY_SHARE:
        name = rng.choices(list(shares), list(shares.values()))[0]
        earlier = WIDE_TASKS[name].draw(rng, Split.TRAIN)
        history[:0] = [*earlier.history, Turn(earlier.prompt, earlier.answer)]
    return Example(
        example.prompt, example.answer, example.content, example.check, tuple(history), system
    )


def draw_chunk(seed: int, split: Split = Split.TRAIN, count: int = CHUNK) -> Conversations:
    """Return one chunk of examples; a pure function of the seed."""
    (tokenizer,) = _tokenizer
    rng = Random(seed)
    shares = wide_mix(boost=dict.fromkeys(SLOW, SLOW_BOOST))
    prompts, whole, kinds = [], [], []
    for name in rng.choices(list(shares), list(shares.values()), k=count):
        if rng.random() < TALK_SHARE:
            user, answer = talk(rng)
            prompt, kind = chat([(user, "")]), Kind.TALK
        else:
            example = in_conversation(rng, WIDE_TASKS[name].draw(rng, split), shares)
            prompt, answer, kind = render(example), example.answer, Kind.TASK
        prompts.append(prompt)
        whole.append(f"{prompt}{answer}<|im_end|>")
        kinds.append(kind)
    before = tokenizer.encode_batch_fast(prompts, add_special_tokens=False)
    after = tokenizer.encode_batch_fast(whole, add_special_tokens=False)
    return collect(
        [(full.ids, len(start.ids), kind)
         for start, full, kind in zip(before, after, kinds, strict=True)]
    )  # fmt: skip


def use(tokenizer: Tokenizer) -> None:
    """Set the tokenizer of this process and those forked from it."""
    _tokenizer[:] = [tokenizer]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there is a process per core already


def draw(tokenizer: Tokenizer, seed: int, count: int, workers: int) -> Conversations:
    """Return about `count` training examples, drawn by forked processes (before CUDA starts)."""
    use(tokenizer)
    seeds = [seed * 1_000_000 + at for at in range(max(1, -(-count // CHUNK)))]
    size = min(count, CHUNK)
    if workers < 2 or len(seeds) == 1:
        return join([draw_chunk(chunk, count=size) for chunk in seeds])
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return join(list(pool.map(draw_chunk, seeds)))
