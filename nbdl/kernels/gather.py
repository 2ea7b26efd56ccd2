"""The next batch: x = (inputs[rows] - offset) * scale and t = targets[rows], with rows = order[position : position + batch].

The data keep the type they came in (MNIST stays one byte a pixel); they become floats only here, a batch at a time.
Shape: x (batch, features), t (batch, outputs), inputs (n, features), targets (n, outputs), order (n), position (1).
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel


def _reference(x, t, inputs, targets, order, position, offset, scale):
    rows = order[position[0] : position[0] + len(x)]
    x[...] = (inputs[rows].astype(x.dtype) - x.dtype.type(offset)) * x.dtype.type(scale)
    t[...] = targets[rows]


def _cpu(x, t, inputs, targets, order, position, offset, scale):
    shift, factor, first = x.dtype.type(offset), x.dtype.type(scale), position[0]
    for i in prange(x.shape[0]):
        row = order[first + i]
        source, target = inputs[row], x[i]
        for j in range(target.size):
            target[j] = (x.dtype.type(source[j]) - shift) * factor
        for j in range(t.shape[1]):
            t[i, j] = targets[row, j]


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


gather = Kernel("gather", _reference, _cpu, flops=lambda x, *_: 2 * x.size, cases=_cases, outputs=2)
