"""Cost functions: how wrong the outputs z are, as the mean over the batch, and the gradient dz of that mean.

    mean_squared_error      mean over outputs of (z - t)^2                       2 (z - t) / outputs
    mean_absolute_error     mean over outputs of |z - t|                         sign(z - t) / outputs
    binary_cross_entropy    max(z, 0) - z t + log(1 + exp(-|z|)), t in 0..1      sigmoid(z) - t     (mean over outputs)
    softmax_cross_entropy   log(sum_j exp(z_j)) - z_t, t a class number          softmax(z) - onehot(t)

Every dz is divided by the size of the batch. A class number below 0 says that this row is not counted: neither in the
mean nor in the size of the batch. The two cross entropies take logits, the outputs before sigmoid or softmax:
so no logarithm of a rounded zero is ever taken.
Shape: loss (1), each (batch) the samples' own losses, dz and z (batch, outputs), t like z or (batch) class numbers.
"""

import math

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_block_each_row, block_max, block_sum, threads_for
from nbdl.kernels.elementary import exp, sigmoid

ROWS = 16  # samples that a thread takes at a time


@register_jitable
def _mean(loss, each, counted):
    # One thread adds in order, so that the sum has the same bits for any number of threads.
    total = 0.0
    for i in range(each.size):
        total += each[i]
    loss[0] = total / counted


def _mean_cuda(loss, each, dz, z, t):
    total = each.dtype.type(0)
    for i in range(cuda.threadIdx.x, each.size, cuda.blockDim.x):
        total += each[i]
    total = block_sum(total, each)
    if cuda.threadIdx.x == 0:
        loss[0] = total / each.dtype.type(each.size)


def _mse_reference(loss, each, dz, z, t):
    each[...] = ((z - t) ** 2).mean(axis=1)
    dz[...] = 2 * (z - t) / z.size
    loss[0] = each.mean()


def _mse_cpu(loss, each, dz, z, t):
    batch, outputs = z.shape
    factor = z.dtype.type(2.0 / z.size)
    for i in prange(batch):
        total = z.dtype.type(0)
        for j in range(outputs):
            error = z[i, j] - t[i, j]
            total += error * error
            dz[i, j] = factor * error
        each[i] = total / outputs
    _mean(loss, each, batch)


def _mse_cuda(loss, each, dz, z, t):
    i, outputs, first = cuda.blockIdx.x, z.shape[1], cuda.threadIdx.x
    factor, total = z.dtype.type(2) / z.dtype.type(z.size), z.dtype.type(0)
    for j in range(first, outputs, cuda.blockDim.x):
        error = z[i, j] - t[i, j]
        total += error * error
        dz[i, j] = factor * error
    total = block_sum(total, z)
    if first == 0:
        each[i] = total / z.dtype.type(outputs)


def _mae_reference(loss, each, dz, z, t):
    each[...] = np.abs(z - t).mean(axis=1)
    dz[...] = np.sign(z - t) / z.size
    loss[0] = each.mean()


def _mae_cpu(loss, each, dz, z, t):
    batch, outputs = z.shape
    factor = z.dtype.type(1.0 / z.size)
    for i in prange(batch):
        total = z.dtype.type(0)
        for j in range(outputs):
            error = z[i, j] - t[i, j]
            total += abs(error)
            dz[i, j] = factor * np.sign(error)
        each[i] = total / outputs
    _mean(loss, each, batch)


def _mae_cuda(loss, each, dz, z, t):
    i, outputs, first, zero = cuda.blockIdx.x, z.shape[1], cuda.threadIdx.x, z.dtype.type(0)
    factor, total = z.dtype.type(1) / z.dtype.type(z.size), zero
    for j in range(first, outputs, cuda.blockDim.x):
        error = z[i, j] - t[i, j]
        total += abs(error)
        dz[i, j] = math.copysign(factor, error) if error != zero else zero
    total = block_sum(total, z)
    if first == 0:
        each[i] = total / z.dtype.type(outputs)


def _bce_reference(loss, each, dz, z, t):
    each[...] = (np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))).mean(axis=1)
    dz[...] = (sigmoid(z) - t) / z.size
    loss[0] = each.mean()


def _bce_cpu(loss, each, dz, z, t):
    batch, outputs = z.shape
    factor, zero = z.dtype.type(1.0 / z.size), z.dtype.type(0)
    for i in prange(batch):
        total = zero
        for j in range(outputs):
            x = z[i, j]
            total += (zero if x < zero else x) - x * t[i, j] + np.log1p(exp(-abs(x)))
            dz[i, j] = factor * (sigmoid(x) - t[i, j])
        each[i] = total / outputs
    _mean(loss, each, batch)


def _bce_cuda(loss, each, dz, z, t):
    i, outputs, first, zero = cuda.blockIdx.x, z.shape[1], cuda.threadIdx.x, z.dtype.type(0)
    factor, total = z.dtype.type(1) / z.dtype.type(z.size), zero
    for j in range(first, outputs, cuda.blockDim.x):
        x = z[i, j]
        total += (zero if x < zero else x) - x * t[i, j] + math.log1p(exp(-abs(x)))
        dz[i, j] = factor * (sigmoid(x) - t[i, j])
    total = block_sum(total, z)
    if first == 0:
        each[i] = total / z.dtype.type(outputs)


def _xent_reference(loss, each, dz, z, t):
    rows, counted = np.arange(len(z)), t >= 0
    share = 1 / max(1, counted.sum())
    shifted = z - z.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    each[...] = np.where(counted, np.log(total[:, 0]) - shifted[rows, t], 0)
    dz[...] = np.exp(shifted) / total
    dz[rows, t] -= 1
    dz *= share * counted[:, None]
    loss[0] = each.sum() * share


def _xent_cpu(loss, each, dz, z, t):
    batch, classes = z.shape
    counted = 0
    for i in range(batch):
        counted += t[i] >= 0
    share = z.dtype.type(1.0 / max(1, counted))
    for group in prange((batch + ROWS - 1) // ROWS):
        i0, i1 = group * ROWS, min(batch, (group + 1) * ROWS)
        for i in range(i0, i1):
            highest = z[i, 0]
            for j in range(1, classes):
                highest = z[i, j] if z[i, j] > highest else highest  # max() would branch, and guess wrong half the time
            for j in range(classes):
                dz[i, j] = z[i, j] - highest
            each[i] = -dz[i, t[i]] if t[i] >= 0 else 0
        rows = dz[i0:i1].reshape((i1 - i0) * classes)
        for k in range(rows.size):  # all rows at once: ten classes alone would not fill a vector
            rows[k] = exp(rows[k])
        for i in range(i0, i1):
            if t[i] < 0:
                dz[i] = 0
                continue
            total = z.dtype.type(0)
            for j in range(classes):
                total += dz[i, j]
            each[i] += np.log(total)
            factor = share / total
            for j in range(classes):
                dz[i, j] *= factor
            dz[i, t[i]] -= share
    _mean(loss, each, max(1, counted))


def _count_cuda(loss, each, dz, z, t):
    counted = each.dtype.type(0)
    for i in range(cuda.threadIdx.x, each.size, cuda.blockDim.x):
        counted += each.dtype.type(t[i] >= 0)
    counted = block_sum(counted, each)
    if cuda.threadIdx.x == 0:
        loss[0] = max(counted, each.dtype.type(1))


def _mean_counted_cuda(loss, each, dz, z, t):
    total = each.dtype.type(0)
    for i in range(cuda.threadIdx.x, each.size, cuda.blockDim.x):
        total += each[i]
    total = block_sum(total, each)
    if cuda.threadIdx.x == 0:
        loss[0] = total / loss[0]


def _xent_cuda(loss, each, dz, z, t):
    i, classes, first, step = cuda.blockIdx.x, z.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    zero, share = z.dtype.type(0), z.dtype.type(1) / loss[0]
    if t[i] < 0:
        for j in range(first, classes, step):
            dz[i, j] = zero
        if first == 0:
            each[i] = zero
        return
    highest = z[i, 0]
    for j in range(first, classes, step):
        highest = max(highest, z[i, j])
    highest = block_max(highest, z)
    total = zero
    for j in range(first, classes, step):
        dz[i, j] = exp(z[i, j] - highest)
        total += dz[i, j]
    total = block_sum(total, z)
    for j in range(first, classes, step):
        dz[i, j] = dz[i, j] * (share / total) - (share if j == t[i] else zero)
    if first == 0:
        each[i] = math.log(total) - (z[i, t[i]] - highest)


def _values(random, dtype, low=None):
    for shape in ((1, 1), (1, 5), (7, 3), (33, 20)):
        z = 3 * random.standard_normal(shape).astype(dtype)
        t = random.standard_normal(shape) if low is None else random.uniform(low, 1, shape)
        yield np.empty(1, dtype), np.empty(len(z), dtype), np.empty_like(z), z, t.astype(dtype)


def _classes(random, dtype):
    for shape in ((1, 2), (7, 3), (33, 100), (2, 300)):
        z = 5 * random.standard_normal(shape).astype(dtype)
        t = random.integers(0, shape[1], shape[0])
        t[1::4] = -1
        yield np.empty(1, dtype), np.empty(len(z), dtype), np.empty_like(z), z, t


def _one_block(loss, each, *_):
    return 1, threads_for(each.size)


def _a_block_each_sample(loss, each, dz, z, t):
    return a_block_each_row(z)


def _kernel(name, reference, cpu, each_cuda, flops, cases):
    return Kernel(
        name,
        reference,
        cpu,
        (each_cuda, _mean_cuda),
        grid=(_a_block_each_sample, _one_block),
        flops=lambda loss, each, dz, z, t: flops * z.size,
        cases=cases,
        outputs=3,
    )


mean_squared_error = _kernel("mean_squared_error", _mse_reference, _mse_cpu, _mse_cuda, 4, _values)
mean_absolute_error = _kernel("mean_absolute_error", _mae_reference, _mae_cpu, _mae_cuda, 4, _values)
binary_cross_entropy = _kernel(
    "binary_cross_entropy", _bce_reference, _bce_cpu, _bce_cuda, 9, lambda random, dtype: _values(random, dtype, low=0)
)
softmax_cross_entropy = Kernel(
    "softmax_cross_entropy",
    _xent_reference,
    _xent_cpu,
    (_count_cuda, _xent_cuda, _mean_counted_cuda),
    grid=(_one_block, _a_block_each_sample, _one_block),
    flops=lambda loss, each, dz, z, t: 6 * z.size,
    cases=_classes,
    outputs=3,
)
