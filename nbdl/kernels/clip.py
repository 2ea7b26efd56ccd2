"""Clipping by the global norm: g = g * min(1, limit / ||g||), the length of the whole gradient vector held below a limit.

The squares are summed in chunks of fixed size and the chunks in order: the same bits for any number of threads.
Shape: g (n), norm (1) and partial (chunks) are written. Source: Pascanu, Mikolov and Bengio 2013.
"""

import math

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import block_sum, threads_for

CHUNK = 8192


def chunks(n: int) -> int:
    """Length that `partial` must have for a gradient of n elements."""
    return max(1, -(-n // CHUNK))


def _reference(g, norm, partial, limit):
    for chunk in range(partial.size):
        partial[chunk] = (g[chunk * CHUNK : (chunk + 1) * CHUNK] ** 2).sum()
    norm[0] = np.sqrt(partial.sum())
    if norm[0] > limit:
        g *= g.dtype.type(limit) / norm[0]


def _cpu(g, norm, partial, limit):
    for chunk in prange(partial.size):
        first, last = chunk * CHUNK, min(g.size, (chunk + 1) * CHUNK)
        whole = last - (last - first) % 4
        a, b, c, d = g.dtype.type(0), g.dtype.type(0), g.dtype.type(0), g.dtype.type(0)
        for i in range(first, whole, 4):  # four sums side by side: one alone would wait for itself
            a += g[i] * g[i]
            b += g[i + 1] * g[i + 1]
            c += g[i + 2] * g[i + 2]
            d += g[i + 3] * g[i + 3]
        for i in range(whole, last):
            a += g[i] * g[i]
        partial[chunk] = (a + b) + (c + d)
    total = 0.0
    for chunk in range(partial.size):
        total += partial[chunk]
    norm[0] = np.sqrt(total)
    if norm[0] > limit:
        factor = g.dtype.type(limit) / norm[0]
        for i in prange(g.size):
            g[i] *= factor


def _partial_cuda(g, norm, partial, limit):
    chunk, thread = cuda.blockIdx.x, cuda.threadIdx.x
    total = g.dtype.type(0)
    for i in range(chunk * CHUNK + thread, min(g.size, (chunk + 1) * CHUNK), cuda.blockDim.x):
        total += g[i] * g[i]
    total = block_sum(total, g)
    if thread == 0:
        partial[chunk] = total


def _scale_cuda(g, norm, partial, limit):
    chunk, thread = cuda.blockIdx.x, cuda.threadIdx.x
    total = g.dtype.type(0)
    for i in range(thread, partial.size, cuda.blockDim.x):
        total += partial[i]
    length, most = math.sqrt(block_sum(total, g)), g.dtype.type(limit)
    if chunk == 0 and thread == 0:
        norm[0] = length
    if length > most:
        for i in range(chunk * CHUNK + thread, min(g.size, (chunk + 1) * CHUNK), cuda.blockDim.x):
            g[i] *= most / length


def _grid(g, norm, partial, limit):
    return partial.size, threads_for(min(g.size, CHUNK))


def _cases(random, dtype):
    for n in (1, 7, CHUNK, 3 * CHUNK + 5):
        for limit in (0.5, 1e6):
            g = random.standard_normal(n).astype(dtype)
            yield g, np.zeros(1, dtype), np.zeros(chunks(n), dtype), limit


clip_by_global_norm = Kernel(
    "clip_by_global_norm",
    _reference,
    _cpu,
    (_partial_cuda, _scale_cuda),
    grid=(_grid, _grid),
    flops=lambda g, *_: 3 * g.size,
    cases=_cases,
    outputs=3,
    in_place=True,
)
