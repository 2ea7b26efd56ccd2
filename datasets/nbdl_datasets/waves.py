"""Two waves on top of each other with noise: a series whose next values can be foretold, but not from one value.

x_t = sin(2 pi t / 25) + 0.6 sin(2 pi t / 40 + phase) + noise
"""

from itertools import pairwise

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset
from nbdl_datasets.series import windows

LENGTH, STEPS, HORIZON, NOISE = 2400, 50, 40, 0.05
SUMMARY = "two waves and noise: how do they go on?"


def load(seed: int, steps: int | None = None) -> Dataset:
    """2400 values, windows of 50 and the 40 that follow; cut in time, 70 % to learn from, 10 % to check on, 20 %."""
    steps = STEPS if steps is None else steps
    if not 1 <= steps <= LENGTH // 4:
        raise NbdlError(f"windows of {steps} values: expected 1 to {LENGTH // 4}.")
    random, t = np.random.default_rng([seed, 29]), np.arange(LENGTH)
    x = np.sin(2 * np.pi * t / 25) + 0.6 * np.sin(2 * np.pi * (t / 40 + random.uniform()))
    x = (x + random.normal(0, NOISE, LENGTH))[:, None]
    bounds = [0, round(0.7 * LENGTH), round(0.8 * LENGTH), LENGTH]
    train, validation, test = (windows(x, steps, HORIZON, first, last) for first, last in pairwise(bounds))
    return Dataset(
        "sine-series", train, validation, test, "regression", kind="series", features=("value",), summary=SUMMARY,
        credit="generated",
    )  # fmt: skip
