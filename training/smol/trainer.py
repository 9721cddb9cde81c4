"""One run: noise, loss, optimiser, and what is measured on rows that are never trained on."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.noise import BLOCK_SHARE, UNIFORM_SHARE, Noised, add_noise
from training.smol.drafter import Drafter, LowRank
from training.smol.loss import compile_head, head_loss, soft_loss
from training.smol.network import BlockRule, Weights, block, compiled, hidden, logits_of
from training.smol.optimiser import Optimiser
from training.smol.pool import Batch, Pool, Rows
from training.smol.sampler import ANSWER
from training.smol.schedule import Stage
from training.smol.vocabulary import END_OF_TEXT, MASK

LOG_EVERY = 25
MEASURE_FROM = 20  # steps after which compiling is over
FIT_EVERY = 200
RESERVE = 8.0  # seconds of the limit for the last evaluation and saving
EVALUATED = 768  # rows
EVALUATED_AT_A_TIME = 64
UNIFORM, ACTIVE = 0.0, UNIFORM_SHARE  # values of `kind` that choose these ways of masking


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run goes."""

    stage: Stage
    steps: int  # 0: as many as fit into the limit
    limit: float  # seconds from `begun`, 0: none
    seed: int
    soft: float  # share of the base's distribution in the target behind a cut
    cut: float  # share of text rows that are cut from left to right
    quantise_from: float  # share of the steps after which the factors are rounded as shipped
    evaluate_every: int


def add_kinds(batch: Batch, cut: float, generator: torch.Generator) -> tuple[Noised, int]:
    """Mask a batch; return it and how many rows at its head are text behind a cut."""
    rows = len(batch.starts)
    ordinary = (UNIFORM_SHARE + BLOCK_SHARE) * (
        torch.rand(rows, generator=generator, device=generator.device)
    )
    cuts = round(cut * batch.texts)
    place = torch.arange(rows, device=generator.device)
    # Cut rows of text stand first, so that the base reads a batch of fixed size.
    tasks_cut = (place >= batch.texts) & (place < batch.texts + cut * (rows - batch.texts))
    kind = torch.where((place < cuts) | tasks_cut, 1.0, ordinary)
    return add_noise(batch.tokens, batch.starts, generator, kind, MASK, END_OF_TEXT), cuts


class Trainer:
    """A drafter in training."""

    def __init__(
        self,
        drafter: Drafter,
        optimiser: Optimiser,
        teacher: Weights,
        pool: Pool,
        held_out: list[Rows],
        recipe: Recipe,
        out: Path | None,
        begun: float,
    ) -> None:
        self.drafter, self.optimiser, self.teacher = drafter, optimiser, teacher
        self.pool, self.held_out, self.recipe = pool, held_out, recipe
        self.device = drafter.mask_row.device
        self.begun = begun
        self.generator = torch.Generator(self.device).manual_seed(recipe.seed)
        on_gpu = self.device.type == "cuda"
        self.rule: BlockRule = compiled() if on_gpu else block
        self.chunk = 8192 if on_gpu else 256
        if on_gpu:
            torch.set_float32_matmul_precision("high")
            compile_head()
        self.log_file = out / "log.jsonl" if out is not None else None
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def log(self, **entry: object) -> None:
        line = json.dumps({**entry, "seconds": round(time.monotonic() - self.begun, 1)})
        print(line, flush=True)
        if self.log_file is not None:
            with self.log_file.open("a") as file:
                file.write(line + "\n")

    def loss(self, batch: Batch) -> Tensor:
        """Mask a batch and return its loss, each row divided by the root of its weight."""
        noised, cuts = add_kinds(batch, self.recipe.cut, self.generator)
        totals = noised.weights.sum(1, keepdim=True).clamp_min(0.1)
        weights = noised.weights / totals.sqrt() / len(batch.starts)
        weights = weights[:, 1:]  # the state at p - 1 answers for p
        soft = torch.zeros_like(weights, dtype=torch.bool)
        if self.recipe.soft and cuts:
            soft[:cuts] = (weights[:cuts] > 0) & (batch.tokens[:cuts, 1:] != END_OF_TEXT)
        model = self.drafter.merged()
        states = hidden(model, noised.inputs, rule=self.rule)[:, :-1]
        hard = weights - soft * weights * self.recipe.soft
        spots = hard.reshape(-1).nonzero()[:, 0]
        flat = states.reshape(-1, states.shape[-1])
        targets = batch.tokens[:, 1:].reshape(-1)
        loss = head_loss(
            flat.index_select(0, spots),
            model.embedding,
            targets[spots],
            hard.reshape(-1)[spots],
            self.chunk,
        )
        if self.recipe.soft and cuts:
            wanted, at = self._wanted(batch.tokens[:cuts], soft[:cuts])
            loss = loss + self.recipe.soft * soft_loss(
                states[:cuts][at], model.embedding, wanted, weights[:cuts][at]
            )
        return loss

    @torch.no_grad()
    def _wanted(self, tokens: Tensor, soft: Tensor) -> tuple[Tensor, Tensor]:
        """Return the base's distributions [N, V] for the positions that `soft` [C, L - 1] marks.

        Behind a cut nothing is visible, so the base's law given the true text to the left has the
        same mean as the sampled tokens themselves, and less noise; tempered as it was sampled.
        """
        states = hidden(self.teacher, tokens, causal=True, rule=self.rule)[:, :-1]
        logits = logits_of(self.teacher, states[soft]) / ANSWER.temperature
        logs = logits.log_softmax(-1)
        least = logs.amax(-1, keepdim=True) + torch.tensor(ANSWER.least).log().item()
        return logs.masked_fill(logs < least, -torch.inf).softmax(-1), soft

    def run(self) -> int:
        """Train; return the number of steps."""
        recipe = self.recipe
        steps = recipe.steps or 10**6
        window: list[Tensor] = []
        measured = step = 0
        clock = time.monotonic()
        while step < steps:
            if isinstance(self.drafter, LowRank):
                self.drafter.quantised = step >= recipe.quantise_from * steps
            loss = self.loss(self.pool.batch(self.pool.length_of(step)))
            torch.autograd.backward(loss)
            self.optimiser.step(recipe.stage.share_at(step, steps))
            window.append(loss.detach())
            step += 1
            if step % LOG_EVERY == 0 or step == steps:
                mean = torch.stack(window).mean().item()
                window.clear()
                self.log(step=step, of=steps, loss=round(mean, 4),
                         share=round(recipe.stage.share_at(step, steps), 3))  # fmt: skip
            if step == MEASURE_FROM:
                self._wait()
                clock, measured = time.monotonic(), step
            fits = step == MEASURE_FROM + 30 or step % FIT_EVERY == 0
            if recipe.limit and fits and measured and step > measured:
                steps = self._fit(step, steps, (time.monotonic() - clock) / (step - measured))
            if recipe.evaluate_every and step % recipe.evaluate_every == 0 and step < steps:
                paused = time.monotonic()
                self.log(step=step, **self.evaluate())
                clock += time.monotonic() - paused
        self.log(step=step, event="trained", **self.evaluate())
        return step

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _fit(self, step: int, steps: int, per_step: float) -> int:
        """Return how many steps end within the limit."""
        left = self.recipe.limit - RESERVE - (time.monotonic() - self.begun)
        fitting = step + max(1, int(left / per_step))
        if fitting < steps or self.recipe.steps == 0:
            if abs(fitting - steps) > 0.01 * steps:
                self.log(event="fitted", steps=fitting, ms_per_step=round(per_step * 1e3, 1))
            return fitting
        return steps

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return cross-entropies of masked text on held-out rows, always masked the same way."""
        quantised = getattr(self.drafter, "quantised", False)
        if isinstance(self.drafter, LowRank):
            self.drafter.quantised = True  # what ships is what counts
        model = self.drafter.merged()
        result: dict[str, float] = {}
        for name, kind in (("uniform", UNIFORM), ("active", ACTIVE)):
            sums = torch.zeros(3, device=self.device)
            for rows in self.held_out:
                for at in range(0, len(rows), EVALUATED_AT_A_TIME):
                    part = slice(at, at + EVALUATED_AT_A_TIME)
                    sums += self._score(model, rows.tokens[part].long(),
                                        rows.starts[part].long(), kind, at)  # fmt: skip
            loss, right, count = sums.tolist()
            result[f"ce_{name}"] = round(loss / max(1, count), 4)
            result[f"accuracy_{name}"] = round(right / max(1, count), 4)
        if isinstance(self.drafter, LowRank):
            self.drafter.quantised = quantised
        return result

    def _score(
        self, model: Weights, tokens: Tensor, starts: Tensor, kind: float, seed: int
    ) -> Tensor:
        """Return summed cross-entropy, right answers and count over masked text (no filler)."""
        generator = torch.Generator(self.device).manual_seed(1000 + seed)
        kinds = torch.full(starts.shape, kind, device=self.device)
        noised = add_noise(tokens, starts, generator, kinds, MASK, END_OF_TEXT)
        spots = (noised.weights[:, 1:] > 0) & (tokens[:, 1:] != END_OF_TEXT)
        states = hidden(model, noised.inputs)[:, :-1][spots]
        targets = tokens[:, 1:][spots]
        found = torch.zeros(3, device=self.device)
        for at in range(0, len(targets), 2048):
            logits = logits_of(model, states[at : at + 2048])
            wanted = targets[at : at + 2048]
            loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            right = (logits.argmax(-1) == wanted).sum()
            found += torch.stack((loss, right.float(), loss.new_tensor(len(wanted))))
        return found


def hold_out(rows: list[Rows], count: int) -> tuple[list[Rows], list[Rows]]:
    """Split off the last rows of each length for measuring: (kept for training, held out)."""
    total = sum(len(part) for part in rows)
    kept, held = [], []
    for part in rows:
        share = min(len(part) // 2, round(count * len(part) / max(1, total)))
        last = len(part) - share
        kept.append(Rows(part.tokens[:last], part.starts[:last]))
        held.append(Rows(part.tokens[last:], part.starts[last:]))
    return kept, held
