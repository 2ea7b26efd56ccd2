"""The adding problem: of a long row of numbers two are marked, and the answer is their sum.

    x_t = (value, mark)      value uniform in 0..1; mark 1 for one step of each half of the row, else 0
    y   = the sum of the two values that are marked

Who always answers 1, the mean, has a mean squared error of 1/6 = 0.167. To do better one number must be remembered over
half the row or more: that is what plain recurrent networks forget.

Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; with the values and marks of Le, Jaitly and Hinton, 2015.
"""

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Split

STEPS = 100
SIZES = (20_000, 1_000, 2_000)
SUMMARY = "two numbers of a long row are marked: what is their sum?"


def rows(random: np.random.Generator, n: int, steps: int) -> Split:
    """So many rows. Shape: inputs (n, steps, 2), targets (n, 1)"""
    inputs = np.zeros((n, steps, 2), np.float32)
    inputs[:, :, 0] = random.random((n, steps), np.float32)
    half, every = steps // 2, np.arange(n)
    first, second = random.integers(0, half, n), random.integers(half, steps, n)
    inputs[every, first, 1] = inputs[every, second, 1] = 1
    return Split(inputs, (inputs[every, first, 0] + inputs[every, second, 0])[:, None])


def load(seed: int, steps: int | None = None) -> Dataset:
    """20 000 rows to learn from, 1000 to check on and 2000 to test on, all drawn from the seed."""
    steps = STEPS if steps is None else steps
    if steps < 2:
        raise NbdlError(f"the adding problem with rows of {steps} numbers: expected 2 or more.")
    random = np.random.default_rng([seed, 23])
    train, validation, test = (rows(random, n, steps) for n in SIZES)
    return Dataset(
        "adding-problem", train, validation, test, "regression", kind="sequence", features=("value", "mark"),
        summary=SUMMARY, credit="generated",
    )  # fmt: skip
