"""Data made on the spot, from a seed: logic, shapes in the plane, and curves."""

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Split, cut

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TRUTH = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "xor": [0, 1, 1, 0]}

SUMMARIES = {
    "and": "true when both inputs are",
    "or": "true when at least one input is",
    "xor": "true when exactly one input is",
    "moons": "two half moons that reach into each other",
    "circles": "a ring around a disc",
    "spiral": "three spiral arms",
    "blobs": "three clouds of points",
    "linear": "a straight line with noise",
    "sine": "a sine wave with noise",
}


def logic(name: str) -> Dataset:
    """The four corners of a square: all there is, so the network is tested on what it learnt from."""
    four = Split(CORNERS, np.array(TRUTH[name], np.int64))
    return Dataset(
        name, four, four, four, "classification", ("false", "true"), kind="points", features=("a", "b"),
        summary=SUMMARIES[name], credit="generated",
    )  # fmt: skip


def _moons(random, n, noise):
    label = np.arange(n) % 2
    angle = random.uniform(0, np.pi, n)
    x, y = np.cos(angle), np.sin(angle)
    points = np.stack([np.where(label, 1 - x, x), np.where(label, 0.5 - y, y)], axis=1)
    return points + random.normal(0, noise, (n, 2)), label


def _circles(random, n, noise):
    label = np.arange(n) % 2
    angle, radius = random.uniform(0, 2 * np.pi, n), np.where(label, 1.0, 0.4)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + random.normal(0, noise, (n, 2)), label


def _spiral(random, n, noise):
    label = np.arange(n) % 3
    way = np.sqrt(random.uniform(0.01, 1, n))
    angle = 2 * np.pi * (label / 3 + 0.9 * way)
    points = way[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + random.normal(0, 0.25 * noise, (n, 2)), label


def _blobs(random, n, noise):
    label = np.arange(n) % 3
    angle = 2 * np.pi * label / 3
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + random.normal(0, 2 * noise, (n, 2)), label


def _linear(random, n, noise):
    x = random.uniform(-1, 1, (n, 1))
    return x, 0.7 * x - 0.2 + random.normal(0, noise, (n, 1))


def _sine(random, n, noise):
    x = random.uniform(-1, 1, (n, 1))
    return x, np.sin(np.pi * x) + random.normal(0, noise, (n, 1))


# maker, samples, noise, classes
_MAKERS = {
    "moons": (_moons, 600, 0.1, 2),
    "circles": (_circles, 600, 0.08, 2),
    "spiral": (_spiral, 900, 0.1, 3),
    "blobs": (_blobs, 600, 0.15, 3),
    "linear": (_linear, 400, 0.1, 0),
    "sine": (_sine, 600, 0.1, 0),
}
NAMES = (*TRUTH, *_MAKERS)


def size(name: str) -> tuple[int, int]:
    """Samples and classes (0 for a curve) without making them."""
    return (4, 2) if name in TRUTH else (_MAKERS[name][1], _MAKERS[name][3])


def load(name: str, seed: int, n: int | None = None, noise: float | None = None) -> Dataset:
    """A generated set with `n` samples and normal noise of this deviation, cut into 60 %, 20 % and 20 %."""
    if name in TRUTH:
        return logic(name)
    maker, usual, usual_noise, classes = _MAKERS[name]
    n, noise = usual if n is None else n, usual_noise if noise is None else noise
    if n < 10 or noise < 0:
        raise NbdlError(
            f"{name} with {n} samples and noise {noise}: expected at least 10 samples and no negative noise."
        )
    inputs, targets = maker(np.random.default_rng([seed, 11]), n, noise)
    kind = np.int64 if classes else np.float32
    samples = Split(inputs.astype(np.float32), targets.astype(kind))
    train, validation, test = cut(samples, (0.6, 0.2), seed, stratify=bool(classes))
    return Dataset(
        name,
        train,
        validation,
        test,
        "classification" if classes else "regression",
        tuple("ABC"[:classes]),
        kind="points" if classes else "curve",
        features=("x", "y") if classes else ("x",),
        summary=SUMMARIES[name],
        credit="generated",
    )
