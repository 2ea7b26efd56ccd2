"""What recurrent layers share: time first instead of batch first, products with the recurrent weights, and their gradient.

A recurrent layer keeps its steps in the first axis, so that all samples of a step lie together. Its samples are dealt to
threads; each walks through all the steps with its own, so that nobody waits for anybody until the end.
"""

import numpy as np
from numba import prange
from numba.extending import overload, register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_thread_each, threads_for
from nbdl.kernels.matmul import GRAIN, multiply, multiply_at, piece
from nbdl.kernels.shared import external, share
from nbdl.kernels.tile import (
    DEPTH,
    HEIGHT,
    REGISTER_BYTES,
    SIMD,
    VECTORS,
    WIDE_VECTORS,
    blend_rows,
    element_bytes,
    pack_turned_panel,
    panel_tile,
    vector_lanes,
)

_LANES = max(16, REGISTER_BYTES) // 4
FEW = 4  # samples from which on a step is a product of matrices, and not of a vector or two with a matrix
PANEL, WIDE = (
    VECTORS * _LANES,
    WIDE_VECTORS * _LANES,
)  # columns of a panel of packed weights, for many samples and for few


def packed(batch: int, rows: int, columns: int) -> tuple[int, ...]:
    """The shape of room for a matrix of so many rows and columns as products for `batch` samples read it."""
    width = PANEL if batch >= FEW else WIDE
    return -(-columns // width), rows, width


def packed_both(batch: int, inputs: int, units: int, columns: int) -> tuple[int, ...]:
    """The same for W (inputs, columns) above U (units, columns); few samples take only U from there."""
    return packed(batch, units + (inputs if batch >= FEW else 0), columns)


@register_jitable
def pack(panel, u, number):
    """panel = the columns of U that are panel `number`. Shape: panel (k, width), u (k, n)."""
    first = number * panel.shape[1]
    columns = min(panel.shape[1], u.shape[1] - first)
    for k in range(u.shape[0]):
        target, source = panel[k], u[k, first : first + columns]
        for j in range(columns):
            target[j] = source[j]


@register_jitable
def _pack_turned_plain(panel, u, number):
    first = number * panel.shape[1]
    columns = min(panel.shape[1], u.shape[0] - first)
    for j0 in range(0, columns, 32):  # small blocks that stay in the cache
        for k in range(u.shape[1]):
            target, source = panel[k, j0 : min(j0 + 32, columns)], u[first + j0 : first + columns, k]
            for j in range(target.size):
                target[j] = source[j]


def _pack_turned_block(panel, pitch, u, u_row, depth, columns, like):
    size, width = element_bytes(like), VECTORS * vector_lanes(like)
    for j in range(0, columns, width):
        pack_turned_panel(panel + j * size, pitch, u + j * u_row * size, u_row, depth, min(width, columns - j), like)


def _panels_block(c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like):
    size, lanes = element_bytes(like), vector_lanes(like)
    width, tiles, depth = VECTORS * lanes, (m + HEIGHT - 1) // HEIGHT, inputs + units
    chunks = max(1, (depth + DEPTH - 1) // DEPTH)
    for j in range(0, n, width):
        columns, panel = min(width, n - j), panels + j // width * pitch * size
        for chunk in range(chunks):
            k0, k1 = depth * chunk // chunks, depth * (chunk + 1) // chunks
            x0, h0 = min(k0, inputs), max(k0 - inputs, 0)
            of_x = min(k1, inputs) - x0
            if chunk > 0:
                start, start_row = c, c_row
            i = 0
            for t in range(tiles):
                height = (m - i + tiles - t - 1) // (tiles - t)
                panel_tile(
                    height, (columns + lanes - 1) // lanes, x + (i * x_row + x0) * size, x_row, of_x,
                    h + (i * h_row + h0) * size, h_row, k1 - k0 - of_x, panel + k0 * width * size,
                    start + (i * start_row + j) * size, start_row, c + (i * c_row + j) * size, c_row, columns, like,
                )  # fmt: skip
                i += height


share("pack_turned", _pack_turned_block, 6, 1, everywhere=False)
share("panels", _panels_block, 14, 1, everywhere=False)
BLOCKS = ("pack_turned", "panels")


def _pack_turned_at(panel, pitch, u, u_row, depth, columns, like):
    raise NotImplementedError("for compiled kernels only")


@overload(_pack_turned_at)
def _pack_turned_overload(panel, pitch, u, u_row, depth, columns, like):
    block = external("pack_turned", like)

    def call(panel, pitch, u, u_row, depth, columns, like):
        block(panel, pitch, u, u_row, depth, columns, like)

    return call


@register_jitable
def _pack_turned_vectors(panel, u, number):
    size, width, like = u.itemsize, panel.shape[1], u.dtype.type(0)
    if u.shape[1] % 16 != 0 or width % 16 != 0:  # only whole squares are turned in registers
        _pack_turned_plain(panel, u, number)
        return
    first, u_row = number * width, u.strides[0] // size
    columns = min(width, u.shape[0] - first)
    _pack_turned_at(panel.ctypes.data, width, u.ctypes.data + first * u_row * size, u_row, u.shape[1], columns, like)


# panel = the columns of transpose(U) that are panel `number`. Shape: panel (k, width), u (n, k).
pack_turned = _pack_turned_plain if SIMD == "plain" else _pack_turned_vectors


def _multiply_panels(c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like):
    raise NotImplementedError("for compiled kernels only")


@overload(_multiply_panels)
def _multiply_panels_overload(
    c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like
):
    block = external("panels", like)

    def call(c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like):
        block(c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like)

    return call


@register_jitable
def _begin_plain(c, b, x, h, panels):
    for i in range(c.shape[0]):
        c[i] = b
    for number in range(panels.shape[0]):
        j0, j1 = number * panels.shape[2], min((number + 1) * panels.shape[2], c.shape[1])
        multiply(c[:, j0:j1], x, panels[number, : x.shape[1], : j1 - j0], 1, 1)
        multiply(c[:, j0:j1], h, panels[number, x.shape[1] :, : j1 - j0], 1, 1)


@register_jitable
def _begin_vectors(c, b, x, h, panels):
    # By addresses: slices of arrays would take longer to make than a small product takes.
    size, like = c.itemsize, c.dtype.type(0)
    if panels.shape[2] != VECTORS * vector_lanes(like):  # panels are made for float32
        _begin_plain(c, b, x, h, panels)
        return
    _multiply_panels(
        c.ctypes.data, c.strides[0] // size, b.ctypes.data, 0, x.ctypes.data, x.strides[0] // size, x.shape[1],
        h.ctypes.data, h.strides[0] // size, h.shape[1], panels.ctypes.data, panels.strides[0] // size, c.shape[0],
        c.shape[1], like,
    )  # fmt: skip


@register_jitable
def _add_plain(c, a, panels):
    width = panels.shape[2]
    for number in range(panels.shape[0]):
        j0, j1 = number * width, min((number + 1) * width, c.shape[1])
        multiply(c[:, j0:j1], a, panels[number, :, : j1 - j0], 1, 1)


@register_jitable
def _add_vectors(c, a, panels):
    size, width, one = c.itemsize, panels.shape[2], c.dtype.type(1)
    c_row, a_row, b_row = c.strides[0] // size, a.strides[0] // size, panels.strides[1] // size
    if width == VECTORS * vector_lanes(one):
        _multiply_panels(
            c.ctypes.data, c_row, c.ctypes.data, c_row, a.ctypes.data, a_row, 0, a.ctypes.data, a_row, a.shape[1],
            panels.ctypes.data, panels.strides[0] // size, c.shape[0], c.shape[1], one,
        )  # fmt: skip
        return
    for number in range(panels.shape[0]):
        j = number * width
        multiply_at(
            c.ctypes.data + j * size, c_row, a.ctypes.data, a_row, 1, panels.ctypes.data + number * panels.strides[0],
            b_row, c.shape[0], min(width, c.shape[1] - j), a.shape[1], one, one,
        )  # fmt: skip


# C = b + X W + H U for one step, from panels that hold W above U. Shape: c (m, n), b (n), x (m, inputs), h (m, units).
begin_product = _begin_plain if SIMD == "plain" else _begin_vectors
# C += A U from the panels of U, or A transpose(U) from those of transpose(U). Shape: c (m, n), a (m, k).
add_product = _add_plain if SIMD == "plain" else _add_vectors


@register_jitable
def project_all(z, x, w, b):
    """Z = X W + b for all steps of few samples: one product for each of them, in which W is read once.

    Shape: z (steps, batch, n), x (steps, batch, k), w (k, n), b (n).
    """
    for i in range(z.shape[1]):
        for t in range(z.shape[0]):
            row = z[t, i]
            for j in range(b.size):
                row[j] = b[j]
        multiply(z[:, i], x[:, i], w, 1, 1)


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
