"""Drawn pictures of cars and of other things, for `car-or-not` where there are no photographs.

Every picture has its own sky and ground, colours, place, size and noise, and may be seen in a mirror. Cars and the others
share their parts (boxes, roofs, discs): what makes a car is how they are put together.
"""

import numpy as np

from nbdl_datasets.base import Split

SIZE = 32
TRAIN, TEST = 3000, 600
_Y, _X = np.mgrid[0:SIZE, 0:SIZE] + 0.5


def _paint(picture, mask, colour):
    picture[mask] = colour


def _box(x, y, width, height):
    return (abs(x - _X) < width / 2) & (abs(y - _Y) < height / 2)


def _disc(x, y, radius):
    return (_X - x) ** 2 + (_Y - y) ** 2 < radius**2


def _roof(x, y, bottom, top, height):
    """A trapezium that stands on y."""
    up = (y - _Y) / height
    return (up > 0) & (up < 1) & (abs(_X - x) < (bottom + (top - bottom) * up) / 2)


def _car(picture, random, x, y, s, colour, glass, dark):
    front = random.uniform(-0.08, 0.08) * s
    _paint(picture, _roof(x + front, y - 0.18 * s, 0.62 * s, 0.38 * s, 0.24 * s), colour)
    _paint(picture, _roof(x + front, y - 0.2 * s, 0.52 * s, 0.34 * s, 0.17 * s), glass)
    _paint(picture, _box(x, y - 0.08 * s, s, 0.24 * s), colour)
    for side in (-0.3, 0.3):
        _paint(picture, _disc(x + side * s, y + 0.05 * s, 0.13 * s), dark)


def _house(picture, random, x, y, s, colour, glass, dark):
    _paint(picture, _box(x, y - 0.2 * s, 0.7 * s, 0.5 * s), colour)
    _paint(picture, _roof(x, y - 0.44 * s, 0.9 * s, 0.1 * s, 0.35 * s), dark)
    for side in (-0.18, 0.18):
        _paint(picture, _box(x + side * s, y - 0.22 * s, 0.16 * s, 0.16 * s), glass)


def _tree(picture, random, x, y, s, colour, glass, dark):
    _paint(picture, _box(x, y - 0.15 * s, 0.14 * s, 0.5 * s), dark)
    for _ in range(4):
        _paint(
            picture, _disc(x + random.normal(0, 0.14) * s, y - 0.55 * s + random.normal(0, 0.1) * s, 0.22 * s), colour
        )


def _boat(picture, random, x, y, s, colour, glass, dark):
    _paint(picture, _roof(x, y, 0.6 * s, s, 0.2 * s), colour)
    _paint(picture, _box(x, y - 0.45 * s, 0.06 * s, 0.6 * s), dark)
    _paint(picture, _roof(x + 0.16 * s, y - 0.25 * s, 0.32 * s, 0.02 * s, 0.45 * s), glass)


def _face(picture, random, x, y, s, colour, glass, dark):
    _paint(picture, _disc(x, y - 0.3 * s, 0.42 * s), colour)
    for side in (-0.15, 0.15):
        _paint(picture, _disc(x + side * s, y - 0.4 * s, 0.07 * s), dark)
    _paint(picture, _box(x, y - 0.12 * s, 0.3 * s, 0.07 * s), dark)


def _bicycle(picture, random, x, y, s, colour, glass, dark):
    for side in (-0.3, 0.3):
        wheel = _disc(x + side * s, y - 0.05 * s, 0.24 * s) & ~_disc(x + side * s, y - 0.05 * s, 0.17 * s)
        _paint(picture, wheel, dark)
    _paint(picture, _box(x, y - 0.3 * s, 0.5 * s, 0.07 * s), colour)
    _paint(picture, _box(x - 0.2 * s, y - 0.25 * s, 0.06 * s, 0.4 * s), colour)


OTHERS = (_house, _tree, _boat, _face, _bicycle)


def _picture(random, car: bool) -> np.ndarray:
    sky, ground, colour, glass = random.uniform(40, 255, (4, 3))
    dark = random.uniform(0, 70, 3)
    picture = np.empty((SIZE, SIZE, 3))
    picture[:] = sky
    horizon = random.uniform(0.45, 0.85) * SIZE
    _paint(picture, horizon < _Y, ground)
    s, x, y = random.uniform(15, 27), random.uniform(12, 20), random.uniform(19, 26)
    draw = _car if car else OTHERS[random.integers(len(OTHERS))]
    draw(picture, random, x, y, s, colour, glass, dark)
    picture += random.normal(0, random.uniform(3, 22), picture.shape)
    picture = picture[:, ::-1] if random.integers(2) else picture
    return np.clip(picture, 0, 255).astype(np.uint8).transpose(2, 0, 1)


def pictures(seed: int) -> tuple[Split, Split]:
    """Pictures to learn from and to test on, half of them cars. Shape: inputs (n, 3, 32, 32), targets 1 for a car."""
    random = np.random.default_rng([seed, 13])
    found = []
    for n in (TRAIN, TEST):
        targets = np.arange(n) % 2
        found.append(Split(np.stack([_picture(random, bool(t)) for t in targets]), targets.astype(np.int64)))
    return found[0], found[1]
