"""Softmax over the last axis: y_i = exp(x_i) / sum_j exp(x_j), and dx_i = y_i (dy_i - sum_j dy_j y_j).

The largest x is taken off first, so that exp never overflows. Shape: all (batch, classes).
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_block_each_row, block_max, block_sum
from nbdl.kernels.elementary import exp


def _forward_reference(y, x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y[...] = e / e.sum(axis=1, keepdims=True)


def _forward_cpu(y, x):
    for i in prange(x.shape[0]):
        highest = x[i, 0]
        for j in range(x.shape[1]):
            highest = max(highest, x[i, j])
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            y[i, j] = exp(x[i, j] - highest)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


def _forward_cuda(y, x):
    i, classes, first, step = cuda.blockIdx.x, x.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    highest = x[i, 0]
    for j in range(first, classes, step):
        highest = max(highest, x[i, j])
    highest = block_max(highest, x)
    total = x.dtype.type(0)
    for j in range(first, classes, step):
        y[i, j] = exp(x[i, j] - highest)
        total += y[i, j]
    total = block_sum(total, x)
    for j in range(first, classes, step):
        y[i, j] /= total


def _backward_reference(dx, dy, y):
    dx[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))


def _backward_cpu(dx, dy, y):
    for i in prange(y.shape[0]):
        total = y.dtype.type(0)
        for j in range(y.shape[1]):
            total += dy[i, j] * y[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - total)


def _backward_cuda(dx, dy, y):
    i, classes, first, step = cuda.blockIdx.x, y.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    total = y.dtype.type(0)
    for j in range(first, classes, step):
        total += dy[i, j] * y[i, j]
    total = block_sum(total, y)
    for j in range(first, classes, step):
        dx[i, j] = y[i, j] * (dy[i, j] - total)


def _forward_cases(random, dtype):
    for shape in ((1, 1), (1, 10), (7, 3), (33, 100), (2, 300)):
        yield np.empty(shape, dtype), 5 * random.standard_normal(shape).astype(dtype)


def _backward_cases(random, dtype):
    for y, x in _forward_cases(random, dtype):
        _forward_reference(y, x)
        yield np.empty_like(y), x, y


softmax_forward = Kernel(
    "softmax_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=a_block_each_row,
    flops=lambda y, x: 5 * y.size,
    cases=_forward_cases,
)
softmax_backward = Kernel(
    "softmax_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_block_each_row,
    flops=lambda dx, dy, y: 4 * y.size,
    cases=_backward_cases,
)
