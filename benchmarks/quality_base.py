"""A causal model: the judge of everyday answers, and one more partner, a token at a time."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from benchmarks.quality_partners import Answer
from benchmarks.quality_rules import Rule
from benchmarks.quality_suites import Question
from dfastllm.errors import InvalidRequest
from dfastllm.tokenizer import Tokenizer

PACKAGED = "builtin:smol-base"


class CausalBase:
    """The packaged base, or a directory that transformers reads as a causal model."""

    resolves = False  # it has one way to answer

    def __init__(self, name: str, *, device: str = "cpu", rows: int = 8):
        self._network, self.tokenizer = _packaged() if name == PACKAGED else _directory(Path(name))
        self._network = self._network.to(device).eval()
        self._device, self._rows = device, rows
        ends = self._network.config.eos_token_id
        self._end: int = ends[0] if isinstance(ends, list) else ends

    @torch.no_grad()
    def nll(
        self, questions: Sequence[Question], answers: Sequence[Answer]
    ) -> list[tuple[float, int]]:
        """Each answer's negative log-likelihood in nats, and how many tokens it is made of.

        An answer that ended by itself is judged with its end: stopping too early is a fault too.
        """
        rows: list[tuple[list[int], list[int]]] = []  # prompt and answer
        for question, answer in zip(questions, answers, strict=True):
            ids = self.tokenizer.encode(answer.text) + [self._end] * answer.ended
            rows.append((self.tokenizer.encode_chat(question.messages), ids))
        found: list[tuple[float, int]] = []
        for first in range(0, len(rows), self._rows):
            found += self._judge(rows[first : first + self._rows])
        return found

    def _judge(self, rows: list[tuple[list[int], list[int]]]) -> list[tuple[float, int]]:
        """Side by side, filled up on the right, where nothing looks."""
        tokens = [torch.tensor(prompt + ids) for prompt, ids in rows]
        batch = pad_sequence(tokens, batch_first=True, padding_value=self._end).to(self._device)
        hidden = self._network.model(batch).last_hidden_state  # [B, L, D]
        found = []
        for (prompt, ids), row, states in zip(rows, batch, hidden, strict=True):
            first, end = len(prompt), len(prompt) + len(ids)
            logits = self._network.lm_head(states[first - 1 : end - 1]).float()  # [A, V]
            picked = logits.log_softmax(-1).gather(1, row[first:end, None])
            found.append((-float(picked.sum()), len(ids)))
        return found

    @torch.no_grad()
    def answer(self, questions: Sequence[Question], rule: Rule, max_tokens: int) -> list[Answer]:
        """Greedy, with a K/V cache; a forward a token."""
        if rule.options:
            raise InvalidRequest("a causal model writes one token at a time", param="diffusion")
        prompts = [self.tokenizer.encode_chat(question.messages) for question in questions]
        found: list[Answer] = []
        for first in range(0, len(prompts), self._rows):
            batch = [torch.tensor(ids) for ids in prompts[first : first + self._rows]]
            found += self._greedy(batch, max_tokens)
        return found

    def decoding(self, rule: Rule, max_tokens: int) -> dict[str, Any]:
        """There is but one way."""
        return {}

    def _greedy(self, prompts: list[Tensor], max_tokens: int) -> list[Answer]:
        rows = pad_sequence(prompts, batch_first=True, padding_value=-1, padding_side="left")
        mask = (rows >= 0).long().to(self._device)  # [B, L]
        written = self._network.generate(
            rows.clamp(min=0).to(self._device),
            attention_mask=mask,
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=self._end,
        )
        return [self._read(ids) for ids in written[:, rows.shape[1] :].tolist()]

    def _read(self, ids: list[int]) -> Answer:
        ended = self._end in ids
        text = ids[: ids.index(self._end)] if ended else ids
        count = len(text) + ended
        return Answer(self.tokenizer.decode(text), count, count, ended)


def _packaged() -> tuple[Any, Tokenizer]:
    """The base of the built-in English model, straight from its package."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from dfastllm.builtin.base import find_base, open_gguf, read_config, read_tensors
    from dfastllm.builtin.vocabulary import write_tokenizer

    reader = open_gguf(find_base())
    config = read_config(reader)
    network = LlamaForCausalLM(LlamaConfig(**config))
    network.load_state_dict(read_tensors(reader), strict=False)  # the head is tied
    with TemporaryDirectory() as folder:
        write_tokenizer(reader, Path(folder))
        return network, _tokenizer(Path(folder), config["vocab_size"])


def _directory(path: Path) -> tuple[Any, Tokenizer]:
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.float32)
    return network, _tokenizer(path, network.config.vocab_size)


def _tokenizer(path: Path, vocab_size: int) -> Tokenizer:
    return Tokenizer.load(path, vocab_size=vocab_size, mask_id=vocab_size - 1)
