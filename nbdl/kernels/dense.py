"""A dense layer: y = f(x W + b), and backwards from dz, the gradient at x W + b:

    dx = dz W^T        dW = x^T dz        db = sum over the batch of dz

Shape: x (batch, inputs), W (inputs, units), b (units), y and dz (batch, units).
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, _forward_reference, activate
from nbdl.kernels.active import add_active, multiply_active
from nbdl.kernels.blocks import EACH, LINE, TILE, a_block_each_tile, multiply_tile, tile_column, tile_row
from nbdl.kernels.matmul import GRAIN, cut, multiply, multiply_transposed, piece

# A layer with so many inputs and at most so many units is summed in two halves. As a rule it is the first, whose inputs are
# the data: those that are 0 in the whole batch are left out.
LONG, SLIM = 512, 256


@register_jitable
def half_of(inputs, units):
    """Where the inputs of a long, slim layer are halved, at a whole cache line; 0 for other layers.

    The halves are summed apart and then added, by whatever number of threads, so the bits do not depend on it. An even
    number of threads deals the halves: half of x and of W then stay in the caches of the cores that use and update them,
    and only the sums of one half and dz travel.
    """
    return inputs // 32 * 16 if inputs >= LONG and units <= SLIM else 0


@register_jitable
def halves_dealt(inputs, units, workers):
    """Into how many groups of threads the inputs are dealt: 2 or 1."""
    return 2 if half_of(inputs, units) > 0 and workers % 2 == 0 else 1


def partial_sums(inputs, units):
    """Numbers of one sample that dense_forward needs room for beside y: the sums of the second half."""
    return units if half_of(inputs, units) else 1


def _reference(y, x, w, b, partial, activation):
    _forward_reference(y, x @ w + b, activation)


def _cpu(y, x, w, b, partial, activation):
    (batch, units), inputs, workers = y.shape, x.shape[1], threads()
    half, groups = half_of(inputs, units), halves_dealt(inputs, units, workers)
    if groups == 2:
        columns = max(1, min(workers // 2, units // GRAIN))
        for part in prange(2 * columns):
            j0, j1 = piece(part % columns, columns, units, GRAIN)
            if part < columns:
                multiply_active(y[:, j0:j1], x[:, :half], w[:half, j0:j1])
            else:
                multiply_active(partial[:, j0:j1], x[:, half:], w[half:, j0:j1])
        for worker in prange(workers):
            i0, i1 = piece(worker, workers, batch, 1)
            _finish(y, partial, b, half, activation, i0, i1, 0, units)
        return
    rows, columns = cut(batch, units, workers)
    for part in prange(rows * columns):
        i0, i1 = piece(part // columns, rows, batch, 1)
        j0, j1 = piece(part % columns, columns, units, GRAIN)
        if half > 0:
            multiply_active(y[i0:i1, j0:j1], x[i0:i1, :half], w[:half, j0:j1])
            multiply_active(partial[i0:i1, j0:j1], x[i0:i1, half:], w[half:, j0:j1])
        else:
            multiply(y[i0:i1, j0:j1], x[i0:i1], w[:, j0:j1], 1, 0)
        _finish(y, partial, b, half, activation, i0, i1, j0, j1)


@register_jitable
def _finish(y, partial, b, half, activation, i0, i1, j0, j1):
    """Add the second half and the bias, and apply the activation, row by row while they are still in the cache."""
    bias = b[j0:j1]
    for i in range(i0, i1):
        row = y[i, j0:j1]  # cut from the whole array: a piece of a piece is not known to lie without gaps
        if half > 0:
            rest = partial[i, j0:j1]
            for j in range(row.size):
                row[j] += rest[j]
        for j in range(row.size):
            row[j] += bias[j]
        if activation != LINEAR:
            activate(row, activation)


def _cuda(y, x, w, b, partial, activation):
    z = cuda.local.array((EACH, EACH), y.dtype)
    multiply_tile(z, x, w)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < y.shape[0] and j < y.shape[1]:
                value = cuda.local.array(1, y.dtype)
                value[0] = z[r, s] + b[j]
                activate(value, activation)
                y[i, j] = value[0]


def _input_reference(dx, dz, w):
    np.matmul(dz, w.T, out=dx)


def _input_cpu(dx, dz, w):
    batch, inputs = dx.shape
    rows, columns = cut(batch, inputs, threads())
    for part in prange(rows * columns):
        i0, i1 = piece(part // columns, rows, batch, 1)
        j0, j1 = piece(part % columns, columns, inputs, GRAIN)
        multiply_transposed(dx[i0:i1, j0:j1], dz[i0:i1], w[j0:j1], 1, 0, batch)


def _input_cuda(dx, dz, w):
    sums = cuda.local.array((EACH, EACH), dx.dtype)
    multiply_tile(sums, dz, w.T)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < dx.shape[0] and j < dx.shape[1]:
                dx[i, j] = sums[r, s]


# blend = (scale, keep): the gradient is written as scale * gradient + keep * what stands there. (1, 0) gives the plain
# gradient. With dw and db the parameters themselves, (-learning rate, 1) is a whole step of gradient descent: the
# gradient never travels through memory.
def _weights_reference(dw, db, x, dz, blend):
    scale, keep = blend
    if keep == 0:
        dw[...], db[...] = 0, 0
    dw[...] = keep * dw + scale * (x.T @ dz)
    db[...] = keep * db + scale * dz.sum(axis=0)


def _weights_cpu(dw, db, x, dz, blend):
    scale, keep = blend[0], blend[1]
    inputs, units = dw.shape
    batch = x.shape[0]
    workers = threads()
    rows, columns = cut(inputs, units, workers)
    if halves_dealt(inputs, units, workers) == 2:
        rows, columns = 2, max(1, min(workers // 2, units // GRAIN))
    for part in prange(rows * columns):
        i0, i1 = piece(part // columns, rows, inputs, 16)
        j0, j1 = piece(part % columns, columns, units, GRAIN)
        if half_of(inputs, units) > 0:
            add_active(dw[i0:i1, j0:j1], x[:, i0:i1], dz[:, j0:j1], scale, keep)
        else:
            multiply(dw[i0:i1, j0:j1], x.T[i0:i1], dz[:, j0:j1], scale, keep)
        if i0 == 0 < i1:  # not an empty piece, of which there are some when threads outnumber the cuts
            bias, total = db[j0:j1], dz[0, j0:j1]
            if batch > 1:
                # Summed up before it meets the bias: beside a large bias, small errors one by one are rounded away.
                total = np.zeros(j1 - j0, db.dtype)
                for i in range(batch):
                    error = dz[i, j0:j1]
                    for j in range(total.size):
                        total[j] += error[j]
            for j in range(total.size):
                bias[j] = scale * total[j] + (keep * bias[j] if keep != 0 else keep)


def _weights_cuda(dw, db, x, dz, blend):
    scale, keep, zero = blend[0], blend[1], dw.dtype.type(0)
    sums = cuda.local.array((EACH, EACH), dw.dtype)
    multiply_tile(sums, x.T, dz)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < dw.shape[0] and j < dw.shape[1]:
                dw[i, j] = scale * sums[r, s] + (keep * dw[i, j] if keep != zero else zero)
    if cuda.blockIdx.y == 0:
        column = cuda.shared.array((LINE, TILE), dw.dtype)
        y, x0 = cuda.threadIdx.y, cuda.threadIdx.x
        for s in range(EACH):
            j, total = tile_column(s), zero
            if j < db.size:
                for i in range(y, dz.shape[0], LINE):
                    total += dz[i, j]
            column[y, x0 + s * LINE] = total
        cuda.syncthreads()
        for s in range(y, EACH, LINE):
            j, total = tile_column(s), zero
            if j < db.size:
                for part in range(LINE):
                    total += column[part, x0 + s * LINE]
                db[j] = scale * total + (keep * db[j] if keep != zero else zero)


def _arrays(random, dtype):
    for batch, inputs, units in [
        (1, 1, 1),
        (1, 40, 30),
        (3, 5, 7),
        (32, 20, 10),
        (17, 300, 33),
        (70, 64, 130),
        (9, 784, 20),
        (33, 600, 48),
    ]:
        shapes = (batch, inputs), (inputs, units), (units,), (batch, units)
        x, *others = (random.standard_normal(shape).astype(dtype) for shape in shapes)
        for _ in range(inputs // 20):  # inputs that are 0 in all samples, some beside each other
            first = random.integers(inputs)
            x[:, first : first + random.integers(1, 12)] = 0
        yield [x, *others]


def _cases(random, dtype):
    for kind in KINDS.values():
        for x, w, b, z in _arrays(random, dtype):
            partial = np.empty((len(x), partial_sums(x.shape[1], len(b))), dtype)
            yield np.empty_like(z), x, w, b, partial, kind


def _input_cases(random, dtype):
    for x, w, _, z in _arrays(random, dtype):
        yield np.empty_like(x), z, w


def _weights_cases(random, dtype):
    for x, w, b, z in _arrays(random, dtype):
        yield np.empty_like(w), np.empty_like(b), x, z, np.array([1, 0], dtype)


dense_forward = Kernel(
    "dense_forward",
    _reference,
    _cpu,
    _cuda,
    grid=a_block_each_tile,
    flops=lambda y, x, w, b, partial, activation: y.size * (2 * x.shape[1] + 1 + _FLOPS[activation]),
    cases=_cases,
    blocks=("active",),
)
dense_backward_input = Kernel(
    "dense_backward_input",
    _input_reference,
    _input_cpu,
    _input_cuda,
    grid=a_block_each_tile,
    flops=lambda dx, dz, w: 2 * dx.size * dz.shape[1],
    cases=_input_cases,
)
dense_backward_weights = Kernel(
    "dense_backward_weights",
    _weights_reference,
    _weights_cpu,
    _weights_cuda,
    grid=a_block_each_tile,
    flops=lambda dw, db, x, dz, blend: 2 * dw.size * x.shape[0] + dz.size,
    cases=_weights_cases,
    outputs=2,
)
