"""An embedding: every number of a vocabulary has a vector of its own, which is learned.

    y[n] = w[x[n]]        dw[v] = sum over the n with x[n] = v of dy[n]

The same as a one-hot input times W, without the zeros. Inputs arrive as floats, as all inputs do, and are rounded; a number
outside of the vocabulary takes the nearest one inside.
Shape: x (n), w (vocabulary, units), y and dy (n, units).
"""

import math

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.matmul import GRAIN, piece


@register_jitable
def _row(value, w):
    """The row of W that a number means; not-a-number means the first."""
    nearest = np.int64(math.floor(value + w.dtype.type(0.5))) if value == value else 0
    return min(max(nearest, 0), w.shape[0] - 1)


def _rows_of(x, rows):
    return np.clip(np.nan_to_num(np.floor(x + 0.5)), 0, rows - 1).astype(np.int64)


def _reference(y, x, w):
    y[...] = w[_rows_of(x, len(w))]


def _cpu(y, x, w):
    for n in prange(x.size):
        target, source = y[n], w[_row(x[n], w)]
        for j in range(target.size):
            target[j] = source[j]


def _cuda(y, x, w):
    e = cuda.grid(1)
    if e < y.size:
        n, j = e // y.shape[1], e % y.shape[1]
        y[n, j] = w[_row(x[n], w), j]


def _backward_reference(dw, x, dy, blend):
    scale, keep = blend
    dw[...] = keep * dw if keep else 0
    np.add.at(dw, _rows_of(x, len(dw)), scale * dy)


def _backward_cpu(dw, x, dy, blend):
    scale, keep, units = blend[0], blend[1], dw.shape[1]
    parts = max(1, min(threads(), units // GRAIN))  # by columns: rows meet in any order, and a sum must not
    for part in prange(parts):
        j0, j1 = piece(part, parts, units, GRAIN)
        for v in range(dw.shape[0]):
            row = dw[v, j0:j1]
            for j in range(row.size):
                row[j] = keep * row[j] if keep != 0 else keep
        for n in range(x.size):
            row, error = dw[_row(x[n], dw), j0:j1], dy[n, j0:j1]
            for j in range(row.size):
                row[j] += scale * error[j]


def _backward_cuda(dw, x, dy, blend):
    e = cuda.grid(1)
    if e < dw.size:
        v, j, total, keep = e // dw.shape[1], e % dw.shape[1], dw.dtype.type(0), blend[1]
        for n in range(x.size):
            if _row(x[n], dw) == v:
                total += blend[0] * dy[n, j]
        dw[v, j] = total + (keep * dw[v, j] if keep != 0 else dw.dtype.type(0))


def _cases(random, dtype):
    for count, vocabulary, units in ((1, 1, 1), (5, 3, 4), (40, 7, 9), (300, 65, 70)):
        x = random.integers(-1, vocabulary + 1, count).astype(dtype)
        yield np.empty((count, units), dtype), x, random.standard_normal((vocabulary, units)).astype(dtype)


def _backward_cases(random, dtype):
    for y, x, w in _cases(random, dtype):
        yield np.empty_like(w), x, random.standard_normal(y.shape).astype(dtype), np.array([1, 0], dtype)


embedding_forward = Kernel(
    "embedding_forward",
    _reference,
    _cpu,
    _cuda,
    grid=a_thread_each,
    flops=lambda y, x, w: 0,
    bytes=lambda y, x, w: 2 * y.nbytes + x.nbytes,
    cases=_cases,
)
embedding_backward = Kernel(
    "embedding_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dw, x, dy, blend: 2 * dy.size,
    bytes=lambda dw, x, dy, blend: 3 * dy.nbytes + dw.nbytes + x.nbytes,
    cases=_backward_cases,
)
