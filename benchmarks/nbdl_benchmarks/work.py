"""The work that every contender does: a network, its first weights, its data, and the order of its batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl.training import shuffles

RATE = 0.01
SIZES = {"mlp": (784, 128, 10), "xor": (2, 8, 1)}


@dataclass(frozen=True)
class Work:
    """MLP 784-128-10 with ReLU and softmax cross-entropy, or 2-8-1 with tanh and binary cross-entropy; plain SGD."""

    net: str
    batch: int
    inputs: np.ndarray  # (n, features): bytes for the MLP, float32 for XOR
    targets: np.ndarray  # (n) int64, or (n, 1) float32 for XOR
    scale: float

    @property
    def weights(self) -> list[np.ndarray]:
        """First weights w1 (in, hidden), b1, w2 (hidden, out), b2: the same for every contender."""
        inputs, hidden, outputs = SIZES[self.net]
        random = np.random.default_rng(5)
        w1 = random.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs)
        w2 = random.standard_normal((hidden, outputs)) * np.sqrt(1 / hidden)
        return [a.astype(np.float32) for a in (w1, np.zeros(hidden), w2, np.zeros(outputs))]

    def orders(self) -> Iterator[np.ndarray]:
        """The shuffle of every epoch, as nbdl draws it with seed 0."""
        return shuffles(len(self.inputs), 0)


def make(net: str, batch: int, data: str) -> Work:
    """The work on `mnist` (real pixels, four in five are 0) or on `random` bytes (none is special)."""
    if net == "xor":
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return Work(net, batch, corners, np.array([[0], [1], [1], [0]], np.float32), 1.0)
    if data == "mnist":
        from nbdl_datasets import load

        found = load("mnist", download=False)
        inputs, targets = found.train.inputs.reshape(-1, 784), found.train.targets
    else:
        random = np.random.default_rng(0)
        inputs, targets = random.integers(0, 256, (54_000, 784)).astype(np.uint8), random.integers(0, 10, 54_000)
    whole = len(inputs) - len(inputs) % batch  # nobody has to deal with a short last batch
    return Work(net, batch, inputs[:whole], targets[:whole], 1 / 255)


class Batches:
    """Start and end of the next batch in the shuffle it belongs to."""

    def __init__(self, work: Work, place: Callable[[np.ndarray], Any]):
        self.work, self.place, self.orders, self.position = work, place, work.orders(), 0
        self.order = place(next(self.orders))

    def __next__(self) -> tuple[Any, int, int]:
        start = self.position
        if start + self.work.batch > len(self.work.inputs):
            start, self.order = 0, self.place(next(self.orders))
        self.position = start + self.work.batch
        return self.order, start, self.position
