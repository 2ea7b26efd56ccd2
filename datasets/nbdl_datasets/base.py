"""What a data set is, and how it is cut into a part to learn from, one to check on and one kept for the end."""

from dataclasses import dataclass

import numpy as np

from nbdl.errors import NbdlError


@dataclass(frozen=True)
class Split:
    """Samples: inputs (n, ...) of any number type; targets (n) class numbers, or (n, k) float32 values.

    Texts have a class number for each step, targets (n, steps). `lengths` (n) says how many steps of each sequence count,
    where they differ: what lies behind is padding.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: np.ndarray) -> "Split":
        lengths = None if self.lengths is None else self.lengths[rows]
        return Split(self.inputs[rows], self.targets[rows], lengths)


@dataclass(frozen=True)
class Dataset:
    """Three splits and what they mean. A network sees (inputs - offset) * scale, applied while a batch is gathered.

    `task` is classification or regression; `kind` says how to draw a sample: image (height, width) or (3, height,
    width), video (1, frames, height, width), spectrogram (bands, frames), sound (1, samples), points (two numbers), curve
    (one number in, one out), text (steps: numbers of characters, which are the `classes`), sequence (steps, features),
    series (steps, features: what was measured, to foretell what follows) or table. `continuous` where each sample goes on
    where the one before it ended.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    task: str
    classes: tuple[str, ...] = ()
    offset: float = 0.0
    scale: float = 1.0
    kind: str = "table"
    features: tuple[str, ...] = ()
    summary: str = ""
    credit: str = ""
    continuous: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.inputs.shape[1:]

    @property
    def outputs(self) -> int:
        """Classes, or values to predict."""
        return len(self.classes) if self.task == "classification" else self.train.targets.shape[1]


@dataclass(frozen=True)
class Info:
    """What is known of a data set without loading it."""

    name: str
    summary: str
    task: str
    samples: int | None
    input_shape: tuple[int, ...]
    classes: int
    source: str
    credit: str
    path: str | None  # where its files are, or would be
    present: bool


def cut(samples: Split, shares: tuple[float, ...], seed: int, stratify: bool) -> list[Split]:
    """Shuffle with the seed and cut into parts of these shares; the last part takes what is left.

    Stratified: every class is cut by itself, so that each part holds the classes in the same proportions. Raises
    NbdlError where a part would be empty.
    """
    random, n = np.random.default_rng([seed, 7]), len(samples)
    groups = [np.flatnonzero(samples.targets == c) for c in np.unique(samples.targets)] if stratify else [np.arange(n)]
    parts: list[list[np.ndarray]] = [[] for _ in (*shares, None)]
    for group in groups:
        group = random.permutation(group)
        bounds = np.round(np.cumsum(shares) * len(group)).astype(int)
        for part, rows in zip(parts, np.split(group, bounds), strict=True):
            part.append(rows)
    found = [np.sort(np.concatenate([np.arange(0), *part])) for part in parts]
    if any(not len(rows) for rows in found):
        raise NbdlError(
            f"{n} samples are too few to cut into {len(found)} parts; give at least 10{' of each class' * stratify}."
        )
    return [samples.take(rows) for rows in found]
