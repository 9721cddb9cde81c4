"""Train one stage: `python -m training.train --stage 1 --out DIR [--resume DIR]`."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from training import checkpoint
from training.chat import BUCKETS
from training.network import Network
from training.noise import add_noise, loss_of
from training.optimiser import Optimiser
from training.schedule import STAGES, Stage
from training.stream import Pool, Stream
from training.tasks.registry import mix

FILL_CHUNKS = 64
LOG_EVERY = 100
MEASURE_FROM, MEASURE_TO = 300, 700


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    stage: int
    out: Path
    resume: Path | None
    seed: int
    steps: int | None
    tokens_per_step: int
    workers: int
    device: str
    fit_seconds: float


def parse() -> Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=int, default=1, choices=sorted(STAGES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="checkpoint of the stage before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="instead of the stage's own number")
    parser.add_argument("--tokens-per-step", type=int, default=131_072)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--fit-seconds",
        type=float,
        default=0.0,
        help="fewer steps if a slow device would take longer than this (0: never)",
    )
    return Options(**vars(parser.parse_args()))


class Trainer:
    """Network, optimiser and log of one stage."""

    def __init__(
        self, options: Options, stage: Stage | None = None, network: Network | None = None
    ) -> None:
        self.options = options
        self.stage = stage or STAGES[options.stage]
        self.device = torch.device(options.device)
        on_gpu = self.device.type == "cuda"
        self.network = network or Network()
        self.network.initialise(options.seed)
        self.network.to(self.device)
        self.optimiser = Optimiser(self.network, compiled=on_gpu)
        self.steps_before = self._resume()
        self.loss: Callable[[Tensor, Tensor, Tensor], Tensor] = loss_of
        if on_gpu:
            torch.set_float32_matmul_precision("high")
            self.network.compute = torch.bfloat16
            for block in self.network.model.transformer.blocks:
                block.compile(dynamic=False)
            self.loss = torch.compile(loss_of, dynamic=False)
        self.generator = torch.Generator(self.device).manual_seed(options.seed + options.stage)
        options.out.mkdir(parents=True, exist_ok=True)
        self.log_path = options.out / "log.jsonl"

    def _resume(self) -> int:
        if self.options.resume is None:
            return 0
        tensors, progress = checkpoint.read(self.options.resume)
        checkpoint.load_network(self.network, tensors)
        checkpoint.load_optimiser(self.optimiser, tensors)
        return progress.total_steps

    def log(self, **entry: object) -> None:
        line = json.dumps(entry)
        print(line, flush=True)
        with self.log_path.open("a") as file:
            file.write(line + "\n")

    def lesson(self, tokens: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the network reads, what it should say, and how much each position counts."""
        noised = add_noise(tokens, starts, self.generator)
        return noised.inputs, tokens, noised.weights

    def save(self, progress: checkpoint.Progress) -> None:
        """Write what a later stage, the scores and the export need."""
        checkpoint.save(self.options.out, self.network, self.optimiser, progress)

    def step(self, tokens: Tensor, starts: Tensor, rate: float) -> Tensor:
        inputs, wanted, weights = self.lesson(tokens, starts)
        loss = self.loss(self.network(inputs), wanted, weights)
        torch.autograd.backward(loss)
        self.optimiser.step(rate)
        return loss.detach()

    def run(self, stream: Stream) -> None:
        options = self.options
        begun = time.monotonic()
        pool = Pool(self.device, 2**19 if self.device.type == "cuda" else 2**14, options.seed)
        chunks = iter(stream)
        for _ in range(FILL_CHUNKS if self.device.type == "cuda" else 3):
            pool.add(next(chunks))
        self.log(event="filled", seconds=round(time.monotonic() - begun, 1),
                 shares=pool.shares(), rows=pool.written)  # fmt: skip
        steps = self._loop(pool, chunks.__next__, begun)
        progress = checkpoint.Progress(
            stage=options.stage,
            seed=options.seed,
            steps=steps,
            total_steps=self.steps_before + steps,
            tokens_per_step=options.tokens_per_step,
            seconds=round(time.monotonic() - begun, 1),
            device=torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
        )
        self.save(progress)
        self.log(event="saved", steps=steps, seconds=progress.seconds, device=progress.device)

    def _loop(
        self, pool: Pool, next_chunk: Callable[[], list[tuple[Tensor, Tensor]]], begun: float
    ) -> int:
        options = self.options
        steps = options.steps or self.stage.steps
        weights = pool.shares()
        order = Random(options.seed * 100 + options.stage)
        window: list[Tensor] = []
        measured = time.monotonic()
        step = 0
        while step < steps:
            if step:
                pool.add(next_chunk())
            # Every length is met early, so that compiling ends before the speed is measured.
            bucket = step if step < len(BUCKETS) else order.choices(range(len(BUCKETS)), weights)[0]
            rate = self.stage.rate_at(step, steps)
            window.append(self.step(*pool.batch(bucket, options.tokens_per_step), rate))
            step += 1
            if step % LOG_EVERY == 0 or step == steps:
                loss = torch.stack(window).mean().item()
                window.clear()
                self.log(step=step, loss=round(loss, 4), rate=round(rate, 6),
                         seconds=round(time.monotonic() - begun, 1))  # fmt: skip
            if step == MEASURE_FROM:
                measured = time.monotonic()
            if step == MEASURE_TO and options.fit_seconds:
                per_step = (time.monotonic() - measured) / (MEASURE_TO - MEASURE_FROM)
                left = options.fit_seconds - (time.monotonic() - begun)
                if (steps - step) * per_step > left:
                    steps = step + max(int(left / per_step), 100)
                self.log(event="measured", ms_per_step=round(per_step * 1e3, 2), steps=steps)
        return steps


def main() -> None:
    options = parse()
    shares = mix(dict(STAGES[options.stage].boost))
    with Stream(shares, options.seed, options.stage, options.workers) as stream:
        trainer = Trainer(options)
        said = {k: v for k, v in asdict(options).items() if k not in ("out", "resume")}
        trainer.log(event="start", options=said)
        trainer.run(stream)


if __name__ == "__main__":
    main()
