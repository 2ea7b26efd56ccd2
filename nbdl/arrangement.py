"""In which order a program lays the numbers of its layers in memory: samples first, or last where that is faster.

Small convolutions and poolings in a row are run with the samples last (see kernels/samples_last.py), between two layers
that turn the order. Such a run must multiply much for every number that is turned.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from nbdl.kernels.samples_last import lanes_of
from nbdl.kernels.tile import SIMD
from nbdl.layers.samples_last import FromSamplesLast, ToSamplesLast
from nbdl.model import Place

BLOCK_BYTES = 1 << 19  # of a layer's input and output for one block: they should stay in the second-level cache
FLOPS_A_CELL = 100  # that a run must have for each cell of a sample that is turned on its way in and out


def arranged(places: Sequence[Place], batch: int, dtype: np.dtype, backend: str) -> list[Place]:
    """The layers of a network as a program of that batch runs them, with those two around every run that gains by it."""
    lanes = lanes_of(dtype)
    if SIMD == "plain" or backend not in ("auto", "serial", "parallel") or 2 * batch <= lanes:
        return list(places)
    found, run = list[Place](), list[Place]()
    for place in places:
        cells = prod(place.in_shape) + prod(place.out_shape)
        if place.layer.takes_samples_last(place.in_shape) and cells * lanes * dtype.itemsize <= BLOCK_BYTES:
            run.append(place)
            continue
        found += [*_turned(run), place]
        run = []
    return found + _turned(run)


def _turned(run: list[Place]) -> list[Place]:
    """A run between the two turning layers, or as it is."""
    if not run:
        return run
    first, last = run[0], run[-1]
    cells = prod(first.in_shape) + prod(last.out_shape)
    if sum(place.layer.products(place.in_shape) for place in run) < FLOPS_A_CELL * cells:
        return run
    before = Place(-1, f"{first.name}.in", ToSamplesLast(), first.in_shape, first.in_shape, True)
    behind = Place(-1, f"{last.name}.out", FromSamplesLast(), last.out_shape, last.out_shape)
    return [before, *(replace(place, samples_last=True) for place in run), behind]
