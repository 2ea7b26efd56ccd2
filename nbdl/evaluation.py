"""Evaluation: a network used, not trained, over a whole set of samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl import metrics
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.program import Announce, Data, Program, fit_targets

BATCH = 256


@dataclass(frozen=True)
class Result:
    """Mean loss, the outputs of all samples, and accuracy (classes) or mean absolute error and R² (values)."""

    loss: float
    outputs: np.ndarray
    accuracy: float | None = None
    mean_absolute_error: float | None = None
    r2: float | None = None

    @property
    def score(self) -> float:
        """The number that larger means better: accuracy, or R²."""
        return self.accuracy if self.accuracy is not None else self.r2 if self.r2 is not None else -self.loss


class Evaluation:
    """A network bound to one set of samples, to be run as often as its parameters change."""

    def __init__(self, model: Sequential, data: Data, loss: Loss, *, backend: str = "auto", announce: Announce = None):
        outputs = int(np.prod(model.output_shape))
        self.model, self.loss, self.data = model, loss, fit_targets(data, loss, outputs, model.dtype)
        self._order, self._position = np.arange(len(data), dtype=np.int64), np.zeros(1, np.int64)
        self._backend = "auto" if backend == "cuda" else backend  # the parameters come home first
        self._announce = announce
        self._programs: dict[int, Program] = {}
        if len(data):
            self._program(min(BATCH, len(data)))
            if len(data) > BATCH and len(data) % BATCH:
                self._program(len(data) % BATCH)

    def _program(self, batch: int) -> Program:
        if batch not in self._programs:
            self._programs[batch] = Program(
                self.model,
                batch,
                self.loss,
                self.data,
                order=self._order,
                position=self._position,
                backend=self._backend,
                announce=self._announce,
            )
        return self._programs[batch]

    @property
    def flops(self) -> int:
        """Floating-point operations of one run, as far as the layers count them."""
        n = len(self.data)
        sizes = (min(BATCH, n - start) for start in range(0, n, BATCH))
        return sum(self._program(size).flops for size in sizes)

    def run(self) -> Result:
        """Loss, outputs and metrics with the parameters as they are now."""
        n, total, parts = len(self.data), 0.0, []
        for start in range(0, n, BATCH):
            program = self._program(min(BATCH, n - start))
            self._position[0] = start
            for call in program.calls:
                call.run(*call.arguments)
            total += float(program.memory["losses"].sum(dtype=np.float64))
            parts.append(np.array(program.outputs.reshape(program.batch, -1)))
        outputs: Any = np.concatenate(parts) if parts else np.empty((0, int(np.prod(self.model.output_shape))))
        mean = total / n if n else float("nan")
        targets = self.data.targets
        if self.loss.classifies:
            return Result(mean, outputs, metrics.accuracy(self.loss.predictions(outputs), targets[:, 0]) if n else None)
        return Result(mean, outputs, None, metrics.mean_absolute_error(outputs, targets), metrics.r2(outputs, targets))


def predict(
    model: Sequential, inputs: np.ndarray, loss: Loss, *, offset: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    """The network's outputs for samples without targets. Shape: (n, outputs)."""
    outputs = int(np.prod(model.output_shape))
    targets = np.zeros(len(inputs), np.int64) if loss.takes_classes else np.zeros((len(inputs), outputs))
    return Evaluation(model, Data(inputs, targets, offset, scale), loss).run().outputs
