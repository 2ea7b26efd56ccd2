"""The next batch: x = (inputs[rows] - offset) * scale and t = targets[rows], with rows = order[position : position + batch].

The data keep the type they came in (MNIST stays one byte a pixel); they become floats only here, a batch at a time.
Sequences of unequal length bring theirs along: chosen = lengths[rows].
Shape: x (batch, features), t (batch, outputs), inputs (n, features), targets (n, outputs), order (n), position (1),
chosen (batch), lengths (n).
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_block_each_row, a_thread_each
from nbdl.kernels.tile import LINE_BYTES, prefetch

AHEAD = 8  # rows between asking for one and reading it


def _reference(x, t, inputs, targets, order, position, offset, scale):
    rows = order[position[0] : position[0] + len(x)]
    x[...] = (inputs[rows].astype(x.dtype) - x.dtype.type(offset)) * x.dtype.type(scale)
    t[...] = targets[rows]


def _cpu(x, t, inputs, targets, order, position, offset, scale):
    shift, factor, first = x.dtype.type(offset), x.dtype.type(scale), position[0]
    (batch, features), size = x.shape, inputs.itemsize
    parts = max(1, min(threads(), batch))
    for part in prange(parts):
        stop = batch * (part + 1) // parts
        for i in range(batch * part // parts, stop):
            row = order[first + i]
            if i + AHEAD < stop:  # shuffled rows come from far: ask for one early
                address = inputs.ctypes.data + order[first + i + AHEAD] * features * size
                for line in range(0, features * size, LINE_BYTES):
                    prefetch(address + line)
            source, target = inputs[row], x[i]
            for j in range(features):
                target[j] = (x.dtype.type(source[j]) - shift) * factor
            for j in range(t.shape[1]):
                t[i, j] = targets[row, j]


def _cuda(x, t, inputs, targets, order, position, offset, scale):
    shift, factor = x.dtype.type(offset), x.dtype.type(scale)
    i, first, step = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    row = order[position[0] + i]
    for j in range(first, x.shape[1], step):
        x[i, j] = (x.dtype.type(inputs[row, j]) - shift) * factor
    for j in range(first, t.shape[1], step):
        t[i, j] = targets[row, j]


def _lengths_reference(chosen, lengths, order, position):
    chosen[...] = lengths[order[position[0] : position[0] + len(chosen)]]


def _lengths_cpu(chosen, lengths, order, position):
    for i in prange(chosen.size):
        chosen[i] = lengths[order[position[0] + i]]


def _lengths_cuda(chosen, lengths, order, position):
    i = cuda.grid(1)
    if i < chosen.size:
        chosen[i] = lengths[order[position[0] + i]]


def _lengths_cases(random, dtype):
    for batch in (1, 7, 33):
        lengths, order = random.integers(0, 50, 40), random.permutation(40).astype(np.int64)
        yield np.empty(batch, np.int64), lengths, order, np.array([3])


def _cases(random, dtype):
    order = random.permutation(40).astype(np.int64)
    for source in (np.uint8, np.int32, np.float32, np.float64):
        for batch, features in ((1, 1), (7, 13), (32, 64)):
            inputs = random.uniform(0, 200, (40, features)).astype(source)
            position = np.array([3])
            labels, values = random.integers(0, 10, (40, 1)), random.standard_normal((40, 3)).astype(dtype)
            for targets in (labels, values):
                t = np.empty((batch, targets.shape[1]), targets.dtype)
                yield np.empty((batch, features), dtype), t, inputs, targets, order, position, 2.0, 0.5


def _bytes(x, t, inputs, targets, *_):
    row = inputs.shape[1] * inputs.dtype.itemsize + targets.shape[1] * targets.dtype.itemsize
    return x.nbytes + t.nbytes + len(x) * row


gather = Kernel(
    "gather",
    _reference,
    _cpu,
    _cuda,
    grid=a_block_each_row,
    flops=lambda x, *_: 2 * x.size,
    bytes=_bytes,
    parallel_bytes=60_000,  # scattered reads: two cores fetch twice as fast
    cases=_cases,
    outputs=2,
)
gather_lengths = Kernel(
    "gather_lengths",
    _lengths_reference,
    _lengths_cpu,
    _lengths_cuda,
    grid=a_thread_each,
    flops=lambda chosen, *_: 0,
    bytes=lambda chosen, *_: 3 * chosen.nbytes,
    cases=_lengths_cases,
)
