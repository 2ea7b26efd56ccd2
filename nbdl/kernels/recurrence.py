"""What recurrent layers share: time first instead of batch first, what a step shows, and the gradient of the weights.

A recurrent layer keeps its steps in the first axis, so that all samples of a step lie together. Its samples are dealt to
threads; each walks through all the steps with its own, so that nobody waits for anybody until the end.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_thread_each, threads_for
from nbdl.kernels.matmul import GRAIN, multiply, piece
from nbdl.kernels.tile import DEPTH, SIMD, blend_rows


@register_jitable
def project_all(z, x, w):
    """Z = X W for all steps of few samples: one product for each of them, in which W is read once.

    Shape: z (steps, batch, n), x (steps, batch, k), w (k, n).
    """
    for i in range(z.shape[1]):
        multiply(z[:, i], x[:, i], w, 1, 0)


@register_jitable
def add_rows(z, t, i0, i1, b):
    """Z += b for one step of samples i0 to i1. Shape: z (steps, batch, n), b (n)."""
    for i in range(i0, i1):
        row = z[t, i]
        for j in range(b.size):
            row[j] += b[j]


@register_jitable
def show(y, i, t, first, row, counts):
    """What the layer shows of one step of sample i: its h from column `first` on, or 0 where the step does not count."""
    shown = y[i, t, first : first + row.size]
    if counts:
        for j in range(row.size):
            shown[j] = row[j]
    else:
        shown[:] = 0


@register_jitable
def begin_errors(dh, dy, i0, i1, first, sequences):
    """dh of samples i0 to i1 behind the last step: 0 where every step is shown, else dy, which is all there is."""
    for i in range(i0, i1):
        error = dh[i]
        if sequences:
            error[:] = 0
        else:
            error[:] = dy[i, 0, first : first + error.size]


@register_jitable
def add_error(error, dy, i, t, first):
    """dh += dy of one step of sample i."""
    here = dy[i, t, first : first + error.size]
    for j in range(error.size):
        error[j] += here[j]


def _swap_reference(y, x, keep):
    y[...] = (keep * y if keep else 0) + x.swapaxes(0, 1)


@register_jitable
def _swap_plain(y, x, i, keep):
    for j in range(y.shape[1]):
        for k in range(y.shape[2]):
            y[i, j, k] = x[j, i, k] + (keep * y[i, j, k] if keep != 0 else 0)


@register_jitable
def _swap_vectors(y, x, i, keep):
    size, columns, one = y.itemsize, y.shape[2], y.dtype.type(1)
    blend_rows(
        y.ctypes.data + i * y.strides[0], columns, x.ctypes.data + i * x.strides[1], x.strides[0] // size, y.shape[1],
        columns, one, one * keep,
    )  # fmt: skip


_swap = _swap_plain if SIMD == "plain" else _swap_vectors  # y[i] = x[:, i] + keep y[i], whole rows


def _swap_cpu(y, x, keep):
    for i in prange(y.shape[0]):
        _swap(y, x, i, y.dtype.type(keep))


def _swap_cuda(y, x, keep):
    e = cuda.grid(1)
    if e < y.size:
        k, j, i = e % y.shape[2], e // y.shape[2] % y.shape[1], e // (y.shape[2] * y.shape[1])
        y[i, j, k] = x[j, i, k] + (y[i, j, k] if keep != 0 else x.dtype.type(0))


def _swap_cases(random, dtype):
    for shape in ((1, 1, 1), (3, 5, 7), (4, 1, 9), (20, 2, 33)):
        x = random.standard_normal(shape).astype(dtype)
        yield np.empty((shape[1], shape[0], shape[2]), dtype), x, 0


def _weights_reference(dw, du, db, x, h, dz, blend):
    scale, keep = blend
    for gradient, value in ((dw, x.T @ dz), (du, h.T @ dz), (db, dz.sum(axis=0))):
        gradient[...] = (keep * gradient if keep else 0) + scale * value


@register_jitable
def add_weights(dw, x, dz, scale, keep):
    """dW = scale X^T dZ + keep dW for a block of rows."""
    multiply(dw, x.T, dz, scale, keep)


@register_jitable
def add_bias(db, total, dz, k0, k1, first, scale, keep):
    """db = scale times the sum of the rows k0 to k1 of dZ, from column `first` on, + keep db; summed up in `total` first.

    Added to db one by one, small errors would be rounded away beside a db of 1. Shape: db and total (n), dz (m, columns).
    """
    total[:] = 0
    for i in range(k0, k1):
        error = dz[i, first : first + total.size]
        for j in range(total.size):
            total[j] += error[j]
    for j in range(total.size):
        db[j] = scale * total[j] + (keep * db[j] if keep != 0 else keep)


def _weights_cpu(dw, du, db, x, h, dz, blend):
    scale, keep, rows, columns = blend[0], blend[1], dz.shape[0], dz.shape[1]
    parts = max(1, min(threads(), columns // GRAIN))
    for part in prange(parts):
        j0, j1 = piece(part, parts, columns, GRAIN)
        total = np.empty(j1 - j0, db.dtype)
        for k0 in range(0, rows, DEPTH):  # a block of dz is read from afar once, and then from the cache
            k1, held = min(rows, k0 + DEPTH), keep if k0 == 0 else keep * 0 + 1
            error = dz[k0:k1, j0:j1]
            add_bias(db[j0:j1], total, dz, k0, k1, j0, scale, held)
            add_weights(du[:, j0:j1], h[k0:k1], error, scale, held)
            add_weights(dw[:, j0:j1], x[k0:k1], error, scale, held)


def _weights_cuda(dw, du, db, x, h, dz, blend):
    scale, keep, zero = blend[0], blend[1], du.dtype.type(0)
    number, inputs, units = cuda.grid(1), dw.shape[0], du.shape[0]
    i, j = number // db.size, number % db.size  # rows of dW, then of dU, then db
    if i <= inputs + units:
        total = zero
        for row in range(dz.shape[0]):
            if i < inputs:
                total += x[row, i] * dz[row, j]
            elif i < inputs + units:
                total += h[row, i - inputs] * dz[row, j]
            else:
                total += dz[row, j]
        total *= scale
        if i < inputs:
            dw[i, j] = total + (keep * dw[i, j] if keep != zero else zero)
        elif i < inputs + units:
            du[i - inputs, j] = total + (keep * du[i - inputs, j] if keep != zero else zero)
        else:
            db[j] = total + (keep * db[j] if keep != zero else zero)


def _weights_grid(dw, du, db, *_):
    count = (len(dw) + len(du) + 1) * db.size
    return -(-count // threads_for(count)), threads_for(count)


def _weights_cases(random, dtype):
    for rows, inputs, units, columns in ((1, 1, 1, 1), (3, 2, 5, 7), (40, 4, 3, 12), (600, 20, 30, 70)):
        x, h, dz = (random.standard_normal((rows, n)).astype(dtype) for n in (inputs, units, columns))
        dw, du, db = (np.empty(shape, dtype) for shape in ((inputs, columns), (units, columns), columns))
        yield dw, du, db, x, h, dz, np.array([1, 0], dtype)


swap_axes = Kernel(
    "swap_axes",
    _swap_reference,
    _swap_cpu,
    _swap_cuda,
    grid=a_thread_each,
    flops=lambda y, x, keep: 0,
    cases=_swap_cases,
)
recurrent_backward_weights = Kernel(
    "recurrent_backward_weights",
    _weights_reference,
    _weights_cpu,
    _weights_cuda,
    grid=_weights_grid,
    flops=lambda dw, du, db, x, h, dz, blend: dz.size * (2 * len(dw) + 2 * len(du) + 1),
    cases=_weights_cases,
    outputs=3,
)
