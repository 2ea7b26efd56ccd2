"""Evaluation: a network used, not trained, over a whole set of samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl import metrics
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.program import Announce, Data, Program, fit_data, states_of, steps_of, streams

BATCH = 256
STREAMS = 32  # of samples that go on where the one before ends; those left over, fewer than this, are not looked at


@dataclass(frozen=True)
class Result:
    """Mean loss, the outputs of all samples, and accuracy (classes) or mean absolute error and R² (values).

    A network that names a class at every step has one row of outputs for each step that counts.
    """

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
        self.model, self.loss, self.data = model, loss, fit_data(data, loss, model)
        self._steps = steps_of(model.output_shape, loss)
        self._batch, self._order, self._states = BATCH, np.arange(len(data), dtype=np.int64), None
        if data.continuous and len(data):
            self._batch = min(STREAMS, len(data))
            self._order = streams(len(data), self._batch)
            self._states = states_of(model, self._batch)
        self._n, self._position = len(self._order), np.zeros(1, np.int64)
        self._backend = "auto" if backend == "cuda" else backend  # the parameters come home first
        self._announce = announce
        self._programs: dict[int, Program] = {}
        for size in sorted(set(self._sizes())):
            self._program(size)

    def _sizes(self) -> list[int]:
        """Samples of each batch, in order."""
        return [min(self._batch, self._n - start) for start in range(0, self._n, self._batch)]

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
                states=self._states,
                carry=self._states is not None,
                announce=self._announce,
            )
        return self._programs[batch]

    @property
    def flops(self) -> int:
        """Floating-point operations of one run, as far as the layers count them."""
        return sum(self._program(size).flops for size in self._sizes())

    def run(self) -> Result:
        """Loss, outputs and metrics with the parameters as they are now."""
        n, total, parts = self._n, 0.0, []
        if self._states is not None:
            self._states.flat[:] = 0
        self._position[0] = 0
        for size in self._sizes():
            program = self._program(size)
            for call in program.calls:
                call.run(*call.arguments)
            total += float(program.memory["losses"].sum(dtype=np.float64))
            parts.append(np.array(program.outputs.reshape(size * self._steps, -1)))
            self._position[0] += size
        width = int(np.prod(self.model.output_shape)) // self._steps
        outputs: Any = np.concatenate(parts) if parts else np.empty((0, width))
        targets = self.data.targets[self._order].reshape(n * self._steps, -1)
        if self.loss.takes_classes:
            counted = targets[:, 0] >= 0
            outputs, targets = outputs[counted], targets[counted]
        n = len(targets)
        mean = total / n if n else float("nan")
        if self.loss.classifies:
            return Result(mean, outputs, metrics.accuracy(self.loss.predictions(outputs), targets[:, 0]) if n else None)
        return Result(mean, outputs, None, metrics.mean_absolute_error(outputs, targets), metrics.r2(outputs, targets))


def predict(
    model: Sequential,
    inputs: np.ndarray,
    loss: Loss,
    *,
    offset: float = 0.0,
    scale: float = 1.0,
    lengths: np.ndarray | None = None,
) -> np.ndarray:
    """The network's outputs for samples without targets. Shape: (n, outputs), or (n steps, classes) for a class a step."""
    count = steps_of(model.output_shape, loss) if loss.takes_classes else int(np.prod(model.output_shape))
    targets = np.zeros((len(inputs), count), np.int64 if loss.takes_classes else np.float64)
    return Evaluation(model, Data(inputs, targets, offset, scale, lengths), loss).run().outputs
