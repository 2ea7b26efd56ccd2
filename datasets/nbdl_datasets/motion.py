"""Short films of a bright spot on the move: which way does it go? No single frame can tell.

Shape: (1, 8, 16, 16), that is one channel, eight frames of 16 x 16 pixels.
"""

import numpy as np

from nbdl_datasets.base import Dataset, Split, cut

FRAMES, SIZE, SAMPLES = 8, 16, 2400
DIRECTIONS = {"right": (1, 0), "down": (0, 1), "left": (-1, 0), "up": (0, -1)}
DIAGONALS = {"down right": (1, 1), "down left": (-1, 1), "up left": (-1, -1), "up right": (1, -1)}
WAYS = DIRECTIONS | DIAGONALS
SUMMARY = "films of eight frames, 16 x 16 pixels: which way does the spot move?"


def _film(random, way: tuple[int, int]) -> np.ndarray:
    direction = np.array(way) / np.hypot(*way)
    speed, width, start = random.uniform(0.5, 1.4), random.uniform(1.2, 2.4), random.uniform(0, SIZE, 2)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    film = random.normal(0, 0.15, (FRAMES, SIZE, SIZE))
    for number, frame in enumerate(film):
        at = start + direction * speed * number
        # The picture is a ring: what leaves on one side comes in on the other, so that no border tells the way.
        dx, dy = (np.abs((axis - centre + SIZE / 2) % SIZE - SIZE / 2) for axis, centre in ((x, at[0]), (y, at[1])))
        frame += np.exp(-(dx**2 + dy**2) / (2 * width**2))
    return np.clip(film, 0, 1)


def load(seed: int) -> Dataset:
    """2400 films, as many of each way, cut 70/10/20; bytes, as films are."""
    random, ways = np.random.default_rng([seed, 19]), list(WAYS)
    targets = np.arange(SAMPLES) % len(ways)
    films = np.stack([_film(random, WAYS[ways[t]]) for t in targets])
    films = (255 * films).astype(np.uint8)[:, None]
    train, validation, test = cut(Split(films, targets.astype(np.int64)), (0.7, 0.1), seed, stratify=True)
    return Dataset(
        "motion", train, validation, test, "classification", tuple(ways), scale=1 / 255, kind="video", summary=SUMMARY,
        credit="generated",
    )  # fmt: skip
