"""A small real problem, and outcomes written down by hand."""

import numpy as np
import pytest

import nbdl
from nbdl.comparison import Contender, Outcome, Problem, Run
from nbdl.history import Epoch


@pytest.fixture
def moons():
    def make(backend="numpy", **options):
        import nbdl_datasets

        d = nbdl_datasets.load("moons", n=200)
        parts = [nbdl.Data(s.inputs, s.targets) for s in (d.train, d.validation, d.test)]
        budget = options.pop("budget", nbdl.Budget(epochs=4))
        layers = (nbdl.Dense(8, "tanh"), nbdl.Dense(2))
        return Problem(layers, (2,), *parts, "softmax_cross_entropy", budget, backend, **options)

    return make


@pytest.fixture
def outcome():
    """outcome(scores by epoch, seed, ...): an epoch takes 10 updates, 100 examples and a second."""

    def make(scores=(0.5,), seed=0, test=None, failure=None, batch=10, optimizer="sgd", rate=0.1, losses=None, **more):
        contender = Contender(batch, nbdl.optimizer(optimizer, learning_rate=rate))
        losses = losses or [1 - s for s in scores]
        epochs = [
            Epoch(n, 10 * n, 100 * n, float(n), rate, loss, loss, s)
            for n, (s, loss) in enumerate(zip(scores, losses, strict=True), 1)
        ]
        last = epochs[-1] if epochs else Epoch(0, 3, 30, 0.3, rate, 9.0)
        return Outcome(
            Run(contender, seed, True), epochs, last.updates, last.examples, 100, last.seconds, failure=failure,
            test_accuracy=test, **more,
        )  # fmt: skip

    return make


@pytest.fixture
def plane():
    """A convex problem: a plane through points, with a known largest curvature of its mean squared error."""
    random = np.random.default_rng(4)
    x = random.standard_normal((96, 5)).astype(np.float32) * np.array([1, 1.2, 0.8, 1.1, 0.9], np.float32)
    t = (x @ random.standard_normal((5, 1)) + 0.3).astype(np.float32)
    ones = np.hstack([x, np.ones((96, 1))]).astype(float)
    largest = float(np.linalg.eigvalsh(2 / 96 * ones.T @ ones).max())
    data = nbdl.Data(x, t)

    def make(budget):
        return Problem(
            (nbdl.Dense(1),), (5,), data, data, data, "mean_squared_error", budget, backend="serial", recut=False
        )

    return make, largest
