"""The runs of a comparison: each contender from each seed's first weights, over each seed's shuffles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbdl.comparison.contenders import Contender
from nbdl.evaluation import Evaluation
from nbdl.history import Epoch, History
from nbdl.layers import Layer
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.program import Announce, Data
from nbdl.training import Budget, Diverged, Training


@dataclass(frozen=True)
class Problem:
    """What all contenders have to solve, and how long each may take."""

    layers: Sequence[Layer]
    input_shape: tuple[int, ...]
    train: Data
    validation: Data
    test: Data
    loss: Loss
    budget: Budget
    backend: str = "auto"
    clip: float | None = None


@dataclass(frozen=True)
class Outcome:
    """One run: its epochs on every clock, and its test at the end, or where and how it diverged."""

    contender: Contender
    seed: int
    epochs: list[Epoch]
    updates: int
    examples: int
    seconds: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_r2: float | None = None
    diverged: str | None = None
    diverged_update: int | None = None


@dataclass
class _Bench:
    """Programs are bound once for each contender and reused by its seeds: only the numbers in them change."""

    problem: Problem
    announce: Announce = None
    model: Sequential = field(init=False)
    validation: Evaluation = field(init=False)
    test: Evaluation = field(init=False)

    def __post_init__(self) -> None:
        p = self.problem
        self.model = Sequential(p.layers, p.input_shape)
        self.validation = Evaluation(self.model, p.validation, p.loss, backend=p.backend, announce=self.announce)
        self.test = Evaluation(self.model, p.test, p.loss, backend=p.backend, announce=self.announce)

    def training(self, contender: Contender, seed: int) -> Training:
        p = self.problem
        self.model.initialize(seed)
        return Training(
            self.model,
            p.train,
            p.loss,
            contender.optimizer,
            batch=contender.batch,
            budget=p.budget,
            schedule=contender.schedule,
            clip=p.clip,
            seed=seed,
            backend=p.backend,
            announce=self.announce,
        )


def compare(
    problem: Problem, contenders: Sequence[Contender], seeds: Sequence[int], announce: Announce = None
) -> Iterator[Outcome]:
    """Run every contender from every seed. Seed k means the same first weights and the same shuffles for all of them.

    Kernels are compiled before the first run; evaluation is off every clock.
    """
    bench = _Bench(problem, announce)
    for contender in contenders:
        bench.training(contender, seeds[0])
    for seed in seeds:
        for contender in contenders:
            yield _run(bench, contender, seed)


def _run(bench: _Bench, contender: Contender, seed: int) -> Outcome:
    training, history = bench.training(contender, seed), History()
    end: dict[str, Any] = {}
    try:
        for _ in history.record(training, bench.validation):
            pass
        training.fetch()
        result = bench.test.run()
        end = {"test_loss": result.loss, "test_accuracy": result.accuracy, "test_r2": result.r2}
    except Diverged as error:
        end = {"diverged": error.kind, "diverged_update": error.update}
    return Outcome(contender, seed, history.epochs, training.updates, training.examples, training.seconds, **end)
