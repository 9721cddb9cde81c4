"""Models without weights: logits are what the test says, so engine logic is tested alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from dfastllm.cache.pool import KVPool
from dfastllm.engine.config import EngineConfig
from dfastllm.engine.engine import DFastLLMEngine
from dfastllm.models.batch import ForwardBatch
from dfastllm.models.spec import ModelSpec
from dfastllm.models.transformer import Transformer

VOCAB = 24
MASK, EOS, EOT = 20, 21, 22
SPEC = ModelSpec(
    family="llada",
    vocab_size=VOCAB,
    embedding_rows=VOCAB,
    hidden_size=4,
    n_layers=1,
    n_heads=1,
    n_kv_heads=1,
    head_dim=4,
    intermediate_size=4,
    rope_theta=1e4,
    norm_eps=1e-5,
    max_position=1024,
    qkv_bias=False,
    tied_head=True,
    shift_logits=False,
    mask_id=MASK,
    eos_ids=(EOS, EOT),
    fill_id=EOS,
)

CAUSAL = replace(SPEC, shift_logits=True)  # a causal model's output at p - 1 predicts p

Script = Callable[[int], torch.Tensor]
"""Position in the row -> logits [VOCAB]."""


class ScriptedModel(Transformer):
    """Answers with `script(position)` at every row, and remembers the shape of every forward.

    `before` runs first with the batch and may raise.
    """

    def __init__(
        self,
        script: Script,
        spec: ModelSpec = SPEC,
        before: Callable[[ForwardBatch], None] = lambda batch: None,
    ):
        super().__init__(spec)
        self.script = script
        self.before = before
        self.forwards: list[list[int]] = []  # rows of each forward, as their query lengths

    def forward(self, batch: ForwardBatch, pool: KVPool | None = None) -> torch.Tensor:
        self.before(batch)
        self.forwards.append([(g.end - g.start) // g.n_rows for g in batch.groups])
        if not len(batch.logit_rows):
            return torch.empty(0, self.spec.vocab_size)
        positions = batch.positions[batch.logit_rows] + int(self.spec.shift_logits)
        return torch.stack([self.script(int(p)) for p in positions]).float()


def pseudo_random(seed: int = 0, scale: float = 3.0) -> Script:
    """Logits that depend on the position alone, fixed by `seed`."""
    table = np.random.default_rng(seed).normal(size=(1024, VOCAB)) * scale
    return lambda position: torch.from_numpy(table[position].copy())


def says(answer: list[int], prompt_length: int, sure: float = 20.0) -> Script:
    """The model wants exactly `answer` right of the prompt, then filler; all equally sure."""

    def script(position: int) -> torch.Tensor:
        index = position - prompt_length
        token = answer[index] if 0 <= index < len(answer) else EOS
        logits = torch.zeros(VOCAB)
        logits[token] = sure
        return logits

    return script


def make_engine(
    script: Script, *, spec: ModelSpec = SPEC, verifier: Script | None = None, **config: int
) -> DFastLLMEngine:
    """An engine over scripted logits; `verifier` scripts a second, causal model."""
    options = {"max_model_len": 512, **config}
    second = None if verifier is None else ScriptedModel(verifier, CAUSAL)
    return DFastLLMEngine(ScriptedModel(script, spec), EngineConfig(**options), verifier=second)


class Letters:
    """A tokenizer of the fake vocabulary: 0 is "a", 1 is "b"; from MASK on all are special."""

    mask_id = MASK
    vocab_size = VOCAB

    def detokenizer(self, *, skip_special_tokens: bool = True) -> "LetterDetokenizer":
        return LetterDetokenizer()

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return "".join(LetterDetokenizer().push(i) for i in ids)

    @staticmethod
    def ids(text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text]


class LetterDetokenizer:
    def push(self, token_id: int) -> str:
        return chr(ord("a") + token_id) if token_id < MASK else ""

    def flush(self) -> str:
        return ""
