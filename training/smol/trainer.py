"""One run: noise, loss, optimiser, and what is measured on rows that are never trained on."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.noise import BLOCK
from training.smol.crew import Crew
from training.smol.drafter import Drafter, LowRank
from training.smol.loss import compile_head, head_loss, soft_loss
from training.smol.network import BlockRule, Weights, block, compiled, fill, logits_of, read
from training.smol.optimiser import Optimiser
from training.smol.pool import Batch, Pool, Rows
from training.smol.schedule import Stage
from training.smol.streams import Layout, layout, two_streams
from training.smol.vocabulary import END_OF_TEXT, MASK

LOG_EVERY = 25
MEASURE_FROM = 20  # steps after which compiling is over
FIT_EVERY = 200
RESERVE = 8.0  # seconds of the limit for the last evaluation and saving
EVALUATED = 768  # rows
EVALUATED_AT_A_TIME = 64
DRAFTED = 8  # positions at the head of a block
SEEDS_APART = 1_000_003


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run goes."""

    stage: Stage
    steps: int  # 0: as many as fit into the limit
    limit: float  # seconds from `begun`, 0: none
    seed: int
    soft: float  # share of the base's distribution in the target behind a cut
    cut: float  # share of blocks that are masked right of a point
    evaluate_every: int


class Trainer:
    """A drafter in training."""

    def __init__(
        self,
        drafter: Drafter,
        optimiser: Optimiser,
        base: Weights,
        pool: Pool,
        held_out: list[Rows],
        recipe: Recipe,
        out: Path | None,
        begun: float,
        crew: Crew | None = None,
    ) -> None:
        self.drafter, self.optimiser, self.base = drafter, optimiser, base
        self.pool, self.held_out, self.recipe = pool, held_out, recipe
        self.device = drafter.mask_row.device
        self.begun = begun
        self.crew = crew or Crew(self.device)
        seed = recipe.seed + SEEDS_APART * self.crew.rank
        self.generator = torch.Generator(self.device).manual_seed(seed)
        on_gpu = self.device.type == "cuda"
        self.rule: BlockRule = compiled() if on_gpu else block
        self.chunk = 8192 if on_gpu else 256
        if on_gpu:
            torch.set_float32_matmul_precision("high")
            compile_head()
        self.log_file = out / "log.jsonl" if out is not None else None
        if out is not None and self.crew.leads:
            out.mkdir(parents=True, exist_ok=True)

    def log(self, **entry: object) -> None:
        if not self.crew.leads:
            return
        line = json.dumps({**entry, "seconds": round(time.monotonic() - self.begun, 1)})
        print(line, flush=True)
        if self.log_file is not None:
            with self.log_file.open("a") as file:
                file.write(line + "\n")

    def loss(self, batch: Batch) -> Tensor:
        """Mask a batch and return its loss, each row divided by the root of its weight."""
        streams = two_streams(batch, layout(batch, self.generator), self.recipe.cut, self.generator)
        totals = streams.weights.sum(1, keepdim=True).clamp_min(0.1)
        weights = streams.weights / totals.sqrt() / len(batch.starts)
        soft = torch.zeros_like(weights)
        soft[: batch.texts] = streams.known[: batch.texts] * self.recipe.soft
        with torch.no_grad():
            clean, context = read(self.base, batch.tokens, self.rule)
        model = self.drafter.merged()
        bias = self._bias(streams.sees)
        states = fill(model, streams.inputs, streams.positions, bias, context, self.rule)
        flat = states.flatten(0, 1)
        hard = (weights * (1 - soft)).flatten()
        spots = hard.nonzero()[:, 0]
        loss = head_loss(
            flat[spots], model.embedding, streams.targets.flatten()[spots], hard[spots], self.chunk
        )
        known = (weights * soft).flatten()
        spots = known.nonzero()[:, 0]
        if not len(spots):
            return loss
        # The base has read the true text to the left: its law there is what is wanted here.
        rows = torch.arange(len(clean), device=self.device)[:, None]
        source = (streams.positions + rows * clean.shape[1]).flatten()
        wanted = clean.flatten(0, 1)[source[spots]]
        return loss + soft_loss(flat[spots], model.embedding, wanted, known[spots], self.chunk)

    def _bias(self, sees: Tensor) -> Tensor:
        """Return what is added to scores: 0 where a place sees another."""
        bias = torch.zeros(sees.shape, dtype=self.base.embedding.dtype, device=sees.device)
        return bias.masked_fill_(~sees, -torch.inf)

    def run(self) -> int:
        """Train; return the number of steps."""
        recipe = self.recipe
        steps = recipe.steps or 10**6
        window: list[Tensor] = []
        measured = step = 0
        clock = time.monotonic()
        while step < steps:
            if isinstance(self.drafter, LowRank):
                self.drafter.quantised = step >= recipe.stage.quantise_from * steps
            loss = self.loss(self.pool.batch(self.pool.length_of(step)))
            torch.autograd.backward(loss)
            self.crew.average(self.drafter.parameters())
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
                each = (time.monotonic() - clock) / (step - measured)
                steps = self.crew.agreed(self._fit(step, steps, each))
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
        """Return cross-entropies of text on held-out rows, always masked the same way.

        `active`: in blocks of 32 masked at random; `draft`: the first `DRAFTED` positions of blocks
        of which nothing stands, less the very first; `lead`: this one, which the lead predicts.
        """
        quantised = getattr(self.drafter, "quantised", False)
        if isinstance(self.drafter, LowRank):
            self.drafter.quantised = True  # what ships is what counts
        model = self.drafter.merged()
        sums = {name: torch.zeros(3, device=self.device) for name in ("active", "draft", "lead")}
        for rows in self.held_out:
            for at in range(0, len(rows), EVALUATED_AT_A_TIME):
                part = slice(at, at + EVALUATED_AT_A_TIME)
                batch = Batch(rows.tokens[part].long(), rows.starts[part].long(), 0)
                for name, found in self._score(model, batch, at).items():
                    sums[name] += found
        result: dict[str, float] = {}
        for name, total in sums.items():
            loss, right, count = total.tolist()
            result[f"ce_{name}"] = round(loss / max(1, count), 4)
            result[f"accuracy_{name}"] = round(right / max(1, count), 4)
        if isinstance(self.drafter, LowRank):
            self.drafter.quantised = quantised
        return result

    def _score(self, model: Weights, batch: Batch, seed: int) -> dict[str, Tensor]:
        """Return summed cross-entropy, right answers and count over masked text (no filler)."""
        generator = torch.Generator(self.device).manual_seed(1000 + seed)
        size = torch.full_like(batch.starts, BLOCK)
        blocks = Layout(size, torch.zeros_like(size))
        _, context = read(self.base, batch.tokens)
        found: dict[str, Tensor] = {}
        for cut in (0.0, 1.0):
            streams = two_streams(batch, blocks, cut, generator)
            bias = self._bias(streams.sees)
            states = fill(model, streams.inputs, streams.positions, bias, context)
            counted = (streams.weights > 0) & (streams.targets != END_OF_TEXT)
            slot = torch.arange(counted.shape[1], device=self.device)
            inside = (slot % (BLOCK + 1))[None]
            chosen = {"active": counted}
            if cut:
                opening = (slot - slot % (BLOCK + 1) + 1).clamp_max(len(slot) - 1)
                open_ = counted & (streams.inputs == MASK)[:, opening]
                chosen = {"draft": open_ & (inside < DRAFTED) & (inside > 0),
                          "lead": open_ & (inside == 0)}  # fmt: skip
            for name, spots in chosen.items():
                found[name] = self._judge(model, states[spots], streams.targets[spots])
        return found

    def _judge(self, model: Weights, states: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros(3, device=self.device)
        for at in range(0, len(targets), 2048):
            logits = logits_of(model, states[at : at + 2048])
            wanted = targets[at : at + 2048]
            loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            right = (logits.argmax(-1) == wanted).sum()
            total += torch.stack((loss, right.float(), loss.new_tensor(len(wanted))))
        return total


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
