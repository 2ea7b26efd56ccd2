"""What all contenders have to solve: the network, the data and how they are cut by a seed, the cost, the budget."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nbdl.layers import Layer, describe
from nbdl.losses import loss as find_loss
from nbdl.program import Data
from nbdl.training import Budget


@dataclass(frozen=True)
class Problem:
    """The same for every contender.

    Seed k cuts `train` and `validation` anew, together and in the same proportions (of every class); the test samples are
    never touched by it, so that nothing that a rate was tuned on is ever tested on. `recut=False` leaves the cut as it is,
    as do samples that go on where the one before ended.
    `timeout` is in seconds of a run, evaluation included.
    """

    layers: Sequence[Layer]
    input_shape: tuple[int, ...]
    train: Data
    validation: Data
    test: Data
    loss: str
    budget: Budget
    backend: str = "auto"
    clip: float | None = None
    timeout: float | None = None
    recut: bool = True

    @property
    def classifies(self) -> bool:
        return find_loss(self.loss).classifies

    @property
    def score_name(self) -> str:
        """What larger is better of."""
        return "accuracy" if self.classifies else "R²"

    @cached_property
    def _pool(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        a, b = self.train, self.validation
        lengths = None if a.lengths is None else np.concatenate([a.lengths, b.lengths])
        return np.concatenate([a.inputs, b.inputs]), np.concatenate([a.targets, b.targets]), lengths

    def split(self, seed: int) -> tuple[Data, Data]:
        """The samples to learn from and those to check on, as seed `seed` cuts them."""
        if not self.recut or not len(self.validation) or self.train.continuous:
            return self.train, self.validation
        inputs, targets, lengths = self._pool
        random = np.random.default_rng([seed, 2])
        share = len(self.train) / len(targets)
        labels = targets.reshape(len(targets), -1)[:, 0] if self.classifies else np.zeros(len(targets), int)
        learnt = np.zeros(len(targets), bool)
        classes, counts = np.unique(labels, return_counts=True)
        parts = np.floor(share * counts + 1e-9).astype(int)
        missing = len(self.train) - int(parts.sum())  # to the classes that were rounded down most
        parts[np.argsort(parts - share * counts, kind="stable")[:missing]] += 1
        for label, part in zip(classes, parts, strict=True):
            rows = random.permutation(np.flatnonzero(labels == label))
            learnt[rows[:part]] = True

        def part_of(rows: np.ndarray) -> Data:
            kept = lengths if lengths is None else lengths[rows]
            return Data(inputs[rows], targets[rows], self.train.offset, self.train.scale, kept)

        return part_of(learnt), part_of(~learnt)

    @cached_property
    def blind_loss(self) -> float:
        """What the best answer that ignores the inputs would cost: entropy of the classes, or spread of the values."""
        targets = np.asarray(self.train.targets, float).reshape(len(self.train), -1)
        if self.classifies:
            _, counts = np.unique(targets, return_counts=True)
            shares = counts / counts.sum()
            return float(-(shares * np.log(shares)).sum())
        if self.loss == "mean_absolute_error":
            return float(np.abs(targets - np.median(targets, axis=0)).mean())
        return float(((targets - targets.mean(axis=0)) ** 2).mean())

    @cached_property
    def digest(self) -> str:
        """Changes with anything that a result may depend on, down to the last byte of the data."""
        found = hashlib.sha256()
        for data in (self.train, self.validation, self.test):
            for array in (data.inputs, data.targets, *([] if data.lengths is None else [data.lengths])):
                array = np.ascontiguousarray(array)
                found.update(f"{array.dtype} {array.shape} {data.offset!r} {data.scale!r}".encode())
                found.update(array.view(np.uint8).reshape(-1).data)
        about = {
            "layers": [describe(layer) for layer in self.layers],
            "input_shape": self.input_shape,
            "loss": self.loss,
            "budget": vars(self.budget),
            "backend": self.backend,
            "clip": self.clip,
            "timeout": self.timeout,
            "recut": self.recut,
        }
        found.update(json.dumps(about, sort_keys=True).encode())
        return found.hexdigest()[:16]
