"""The last step of each sequence: y[n] = x[n, lengths[n] - 1], and 0 for a sequence without a step.

    dx[n, t] = dy[n] at that step, 0 at all others

Shape: x and dx (batch, steps, features), y and dy (batch, features), lengths (batch).
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each


def _reference(y, x, lengths):
    y[...] = x[np.arange(len(x)), lengths - 1] * (lengths > 0)[:, None]


def _cpu(y, x, lengths):
    for n in prange(x.shape[0]):
        if lengths[n] > 0:
            y[n] = x[n, lengths[n] - 1]
        else:
            y[n] = 0


def _cuda(y, x, lengths):
    e = cuda.grid(1)
    if e < y.size:
        n, j = e // y.shape[1], e % y.shape[1]
        y[n, j] = x[n, lengths[n] - 1, j] if lengths[n] > 0 else y.dtype.type(0)


def _backward_reference(dx, dy, lengths):
    dx[...] = 0
    dx[np.arange(len(dx)), lengths - 1] = dy * (lengths > 0)[:, None]


def _backward_cpu(dx, dy, lengths):
    for n in prange(dx.shape[0]):
        dx[n] = 0
        if lengths[n] > 0:
            dx[n, lengths[n] - 1] = dy[n]


def _backward_cuda(dx, dy, lengths):
    e = cuda.grid(1)
    if e < dx.size:
        j, t, n = e % dx.shape[2], e // dx.shape[2] % dx.shape[1], e // (dx.shape[2] * dx.shape[1])
        dx[n, t, j] = dy[n, j] if t == lengths[n] - 1 else dx.dtype.type(0)


def _cases(random, dtype):
    for batch, steps, features in ((1, 1, 1), (3, 4, 5), (2, 7, 3), (33, 6, 20)):
        lengths = random.integers(0, steps + 1, batch)
        yield (
            np.empty((batch, features), dtype),
            random.standard_normal((batch, steps, features)).astype(dtype),
            lengths,
        )


def _backward_cases(random, dtype):
    for y, x, lengths in _cases(random, dtype):
        yield np.empty_like(x), random.standard_normal(y.shape).astype(dtype), lengths


last_step_forward = Kernel(
    "last_step_forward", _reference, _cpu, _cuda, grid=a_thread_each, flops=lambda y, *_: 0,
    bytes=lambda y, *_: 2 * y.nbytes, cases=_cases,
)  # fmt: skip
last_step_backward = Kernel(
    "last_step_backward", _backward_reference, _backward_cpu, _backward_cuda, grid=a_thread_each,
    flops=lambda dx, *_: 0, cases=_backward_cases,
)  # fmt: skip
