"""Nearest-neighbour up-sampling: every cell becomes a block of equal cells; backwards, each block is added up.

    y[n, c, i] = x[n, c, i // factor]        dx[n, c, i] = sum of dy over the block of i

Shape: x (N, C, D, H, W), y (N, C, D factor, H factor, W factor); `factors` three numbers.
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each


def _reference(y, x, factors):
    y[...] = x.repeat(factors[0], 2).repeat(factors[1], 3).repeat(factors[2], 4)


def _cpu(y, x, factors):
    for part in prange(y.shape[0] * y.shape[1]):
        n, c = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            for line in range(y.shape[3]):
                target, source = y[n, c, z, line], x[n, c, z // factors[0], line // factors[1]]
                for i in range(source.size):
                    for k in range(factors[2]):
                        target[i * factors[2] + k] = source[i]


def _cuda(y, x, factors):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        z, part = e // (y.shape[4] * y.shape[3]) % y.shape[2], e // (y.shape[4] * y.shape[3] * y.shape[2])
        n, c = part // y.shape[1], part % y.shape[1]
        y[n, c, z, line, column] = x[n, c, z // factors[0], line // factors[1], column // factors[2]]


def _backward_reference(dx, dy, factors):
    n, c, d, h, w = dx.shape
    dx[...] = dy.reshape(n, c, d, factors[0], h, factors[1], w, factors[2]).sum(axis=(3, 5, 7))


def _backward_cpu(dx, dy, factors):
    for part in prange(dx.shape[0] * dx.shape[1]):
        n, c = part // dx.shape[1], part % dx.shape[1]
        dx[n, c] = 0
        for z in range(dy.shape[2]):
            for line in range(dy.shape[3]):
                target, source = dx[n, c, z // factors[0], line // factors[1]], dy[n, c, z, line]
                for i in range(target.size):
                    for k in range(factors[2]):
                        target[i] += source[i * factors[2] + k]


def _backward_cuda(dx, dy, factors):
    e = cuda.grid(1)
    if e < dx.size:
        column, line = e % dx.shape[4], e // dx.shape[4] % dx.shape[3]
        z, part = e // (dx.shape[4] * dx.shape[3]) % dx.shape[2], e // (dx.shape[4] * dx.shape[3] * dx.shape[2])
        n, c = part // dx.shape[1], part % dx.shape[1]
        total = dx.dtype.type(0)
        for i in range(z * factors[0], (z + 1) * factors[0]):
            for j in range(line * factors[1], (line + 1) * factors[1]):
                for k in range(column * factors[2], (column + 1) * factors[2]):
                    total += dy[n, c, i, j, k]
        dx[n, c, z, line, column] = total


def _arrays(random, dtype):
    for size, factors in (((1, 1, 5), (1, 1, 3)), ((1, 4, 3), (1, 2, 2)), ((2, 3, 2), (3, 1, 2))):
        x = random.standard_normal((2, 3, *size)).astype(dtype)
        y = random.standard_normal((2, 3, *(s * f for s, f in zip(size, factors, strict=True)))).astype(dtype)
        yield x, y, factors


def _cases(random, dtype):
    for x, y, factors in _arrays(random, dtype):
        yield np.empty_like(y), x, factors


def _backward_cases(random, dtype):
    for x, y, factors in _arrays(random, dtype):
        yield np.empty_like(x), y, factors


upsample_forward = Kernel(
    "upsample_forward", _reference, _cpu, _cuda, grid=a_thread_each, flops=lambda y, x, factors: 0, cases=_cases
)
upsample_backward = Kernel(
    "upsample_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dx, dy, factors: dy.size,
    cases=_backward_cases,
)
