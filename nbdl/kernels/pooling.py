"""Pooling: each window of a map becomes one number, its largest or its mean.

    y[n, c, p]  = max or mean over the window of p of x[n, c]
    max         dx[n, c, i] = sum of dy[n, c, p] over the windows p whose first largest cell is i
    mean        dx[n, c, i] = sum of dy[n, c, p] / cells(p) over the windows p that hold i

MAX_RECTIFIED is max where x came out of a ReLU, whose derivative its backward takes along: where y is 0, no gradient flows.

A window may reach into the padding, whose cells never win and count for a mean only with AVERAGE_PADDED, and beyond the
end (ceil_mode), where there is nothing to count.

Shape: x and dx (N, C, D, H, W), y and dy (N, C, D', H', W'); `spec` is (sizes, strides, paddings), three numbers each.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.pairs import give_to_largest, largest_of_squares
from nbdl.kernels.tile import SIMD

MAX, AVERAGE, AVERAGE_PADDED, MAX_RECTIFIED = range(4)
VECTORS_THERE = SIMD != "plain"
PARALLEL_BYTES = 200_000  # few sums a byte: threads pay earlier than elsewhere


def _windows(x, y, spec):
    """Every output place with the cells of its window and how many count for a mean that includes the padding."""
    for place in np.ndindex(*y.shape[2:]):
        cells, padded = [slice(None), slice(None)], 1
        for axis, p in enumerate(place):
            size, stride, padding, cells_there = spec[axis], spec[3 + axis], spec[6 + axis], x.shape[2 + axis]
            start = p * stride - padding
            padded *= min(start + size, cells_there + padding) - start
            cells.append(slice(max(0, start), min(start + size, cells_there)))
        yield (slice(None), slice(None), *place), tuple(cells), padded


def _reference(y, x, spec, kind):
    for place, cells, padded in _windows(x, y, spec):
        window = x[cells].reshape(*x.shape[:2], -1)
        if _largest(kind):
            y[place] = window.max(axis=2)
        else:
            y[place] = window.sum(axis=2) / (padded if kind == AVERAGE_PADDED else window.shape[2])


def _backward_reference(dx, dy, x, y, spec, kind):
    dx[...] = 0
    for place, cells, padded in _windows(x, y, spec):
        window = x[cells].reshape(*x.shape[:2], -1)
        if _largest(kind):
            share = np.arange(window.shape[2]) == np.argmax(window, axis=2)[..., None]
        else:
            share = np.full(window.shape, 1 / (padded if kind == AVERAGE_PADDED else window.shape[2]))
        error = dy[place] * (y[place] > 0) if kind == MAX_RECTIFIED else dy[place]
        dx[cells] += (share * error[..., None]).reshape(dx[cells].shape)


@register_jitable
def _largest(kind):
    return kind in (MAX, MAX_RECTIFIED)


@register_jitable
def _reach(place, size, stride, padding, cells):
    """First cell of a window along an axis, the one behind its last, and its length with the padding."""
    start = place * stride - padding
    return max(0, start), min(start + size, cells), min(start + size, cells + padding) - start


@register_jitable
def _pool(x, z, line, column, spec, kind):
    """One window of a map. Shape: x (depth, height, width)."""
    z0, z1, zn = _reach(z, spec[0], spec[3], spec[6], x.shape[0])
    y0, y1, yn = _reach(line, spec[1], spec[4], spec[7], x.shape[1])
    x0, x1, xn = _reach(column, spec[2], spec[5], spec[8], x.shape[2])
    total = x[z0, y0, x0] if _largest(kind) else x.dtype.type(0)
    for i in range(z0, z1):
        for j in range(y0, y1):
            for k in range(x0, x1):
                value = x[i, j, k]
                if not _largest(kind):
                    total += value
                elif value > total or value != value:  # NaN wins: a network that has diverged must look so
                    total = value
    if _largest(kind):
        return total
    return total / x.dtype.type(zn * yn * xn if kind == AVERAGE_PADDED else (z1 - z0) * (y1 - y0) * (x1 - x0))


@register_jitable
def _in_pairs(spec, x, y):
    """Whether the windows are whole squares of two by two cells side by side, the most common case, and there are vectors."""
    ones = spec[0] * spec[3] == 1 and spec[6] + spec[7] + spec[8] == 0
    pairs = spec[1] == 2 and spec[2] == 2 and spec[4] == 2 and spec[5] == 2
    return VECTORS_THERE and ones and pairs and 2 * y.shape[3] <= x.shape[3] and 2 * y.shape[4] <= x.shape[4]


def _cpu(y, x, spec, kind):
    pairs = _largest(kind) and _in_pairs(spec, x, y)
    for part in prange(y.shape[0] * y.shape[1]):
        n, c = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            if pairs:
                largest_of_squares(
                    y[n, c, z].ctypes.data, y.shape[4], x[n, c, z].ctypes.data, x.shape[4], y.shape[3], y.shape[4],
                    y.dtype.type(1),
                )  # fmt: skip
                continue
            for line in range(y.shape[3]):
                row = y[n, c, z, line]
                for i in range(row.size):
                    row[i] = _pool(x[n, c], z, line, i, spec, kind)


def _backward_cpu(dx, dy, x, y, spec, kind):
    pairs, zero = _largest(kind) and _in_pairs(spec, x, y), dx.dtype.type(0)
    for part in prange(y.shape[0] * y.shape[1]):
        n, c = part // y.shape[1], part % y.shape[1]
        if pairs:
            if 2 * y.shape[3] < x.shape[3] or 2 * y.shape[4] < x.shape[4]:
                dx[n, c] = zero
            for z in range(y.shape[2]):
                give_to_largest(
                    dx[n, c, z].ctypes.data, x[n, c, z].ctypes.data, x.shape[4], dy[n, c, z].ctypes.data,
                    y[n, c, z].ctypes.data, y.shape[4], y.shape[3], y.shape[4], 1 if kind == MAX_RECTIFIED else 0,
                    dx.dtype.type(1),
                )  # fmt: skip
            continue
        dx[n, c] = zero
        for z in range(y.shape[2]):
            z0, z1, zn = _reach(z, spec[0], spec[3], spec[6], x.shape[2])
            for line in range(y.shape[3]):
                y0, y1, yn = _reach(line, spec[1], spec[4], spec[7], x.shape[3])
                for column in range(y.shape[4]):
                    x0, x1, xn = _reach(column, spec[2], spec[5], spec[8], x.shape[4])
                    error, winner = dy[n, c, z, line, column], y[n, c, z, line, column]
                    if kind == MAX_RECTIFIED and not winner > 0:
                        continue
                    if kind == AVERAGE_PADDED:
                        error = error / dx.dtype.type(zn * yn * xn)
                    elif kind == AVERAGE:
                        error = error / dx.dtype.type((z1 - z0) * (y1 - y0) * (x1 - x0))
                    open_ = True
                    for i in range(z0, z1):
                        for j in range(y0, y1):
                            for k in range(x0, x1):
                                if not _largest(kind):
                                    dx[n, c, i, j, k] += error
                                elif open_ and x[n, c, i, j, k] == winner:
                                    dx[n, c, i, j, k] += error
                                    open_ = False


def _cuda(y, x, spec, kind):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        z = e // (y.shape[4] * y.shape[3]) % y.shape[2]
        c = e // (y.shape[4] * y.shape[3] * y.shape[2]) % y.shape[1]
        n = e // (y.shape[4] * y.shape[3] * y.shape[2] * y.shape[1])
        y[n, c, z, line, column] = _pool(x[n, c], z, line, column, spec, kind)


@register_jitable
def _first_window(cell, size, stride, padding):
    """The first window along an axis that holds the cell."""
    return max(0, (cell + padding - size + stride) // stride)


def _backward_cuda(dx, dy, x, y, spec, kind):
    e = cuda.grid(1)
    if e < dx.size:
        ix, iy = e % x.shape[4], e // x.shape[4] % x.shape[3]
        iz = e // (x.shape[4] * x.shape[3]) % x.shape[2]
        c = e // (x.shape[4] * x.shape[3] * x.shape[2]) % x.shape[1]
        n = e // (x.shape[4] * x.shape[3] * x.shape[2] * x.shape[1])
        total = dx.dtype.type(0)
        for z in range(_first_window(iz, spec[0], spec[3], spec[6]), min(y.shape[2], (iz + spec[6]) // spec[3] + 1)):
            z0, z1, zn = _reach(z, spec[0], spec[3], spec[6], x.shape[2])
            for line in range(
                _first_window(iy, spec[1], spec[4], spec[7]), min(y.shape[3], (iy + spec[7]) // spec[4] + 1)
            ):
                y0, y1, yn = _reach(line, spec[1], spec[4], spec[7], x.shape[3])
                for column in range(
                    _first_window(ix, spec[2], spec[5], spec[8]), min(y.shape[4], (ix + spec[8]) // spec[5] + 1)
                ):
                    x0, x1, xn = _reach(column, spec[2], spec[5], spec[8], x.shape[4])
                    error, winner = dy[n, c, z, line, column], y[n, c, z, line, column]
                    if kind == AVERAGE_PADDED:
                        total += error / dx.dtype.type(zn * yn * xn)
                    elif kind == AVERAGE:
                        total += error / dx.dtype.type((z1 - z0) * (y1 - y0) * (x1 - x0))
                    elif x[n, c, iz, iy, ix] == winner and (kind == MAX or winner > 0):
                        first = True  # no cell of the window before this one is as large
                        for i in range(z0, z1):
                            for j in range(y0, y1):
                                for k in range(x0, x1):
                                    before = (i, j, k) < (iz, iy, ix)
                                    if before and x[n, c, i, j, k] == winner:
                                        first = False
                        if first:
                            total += error
        dx[n, c, iz, iy, ix] = total


def _arrays(random, dtype):
    for size, spec, out in [
        ((1, 1, 1), (1, 1, 1, 1, 1, 1, 0, 0, 0), (1, 1, 1)),
        ((1, 8, 20), (1, 2, 2, 1, 2, 2, 0, 0, 0), (1, 4, 10)),
        ((1, 5, 7), (1, 2, 2, 1, 2, 2, 0, 0, 0), (1, 2, 3)),
        ((1, 5, 7), (1, 2, 2, 1, 2, 2, 0, 0, 0), (1, 3, 4)),  # partial windows kept
        ((1, 6, 7), (1, 3, 3, 1, 2, 1, 0, 1, 1), (1, 3, 7)),
        ((1, 4, 4), (1, 1, 1, 1, 3, 2, 0, 0, 0), (1, 2, 2)),
        ((4, 5, 6), (2, 3, 2, 2, 1, 2, 1, 1, 0), (3, 5, 3)),
        ((1, 1, 9), (1, 1, 4, 1, 1, 3, 0, 0, 2), (1, 1, 4)),
    ]:
        for kind in (MAX, AVERAGE, AVERAGE_PADDED, MAX_RECTIFIED):
            x = random.integers(-3, 4, (2, 3, *size)).astype(dtype)  # with many ties: the first largest wins
            x = np.maximum(x, 0) if kind == MAX_RECTIFIED else x
            y = np.empty((2, 3, *out), dtype)
            yield x, y, spec, kind


def _cases(random, dtype):
    for x, y, spec, kind in _arrays(random, dtype):
        yield y, x, spec, kind


def _backward_cases(random, dtype):
    for x, y, spec, kind in _arrays(random, dtype):
        _reference(y, x, spec, kind)
        yield np.empty_like(x), random.standard_normal(y.shape).astype(dtype), x, y, spec, kind


def _flops(y, x, spec, kind):
    return y.size * spec[0] * spec[1] * spec[2]


pool_forward = Kernel(
    "pool_forward",
    _reference,
    _cpu,
    _cuda,
    grid=a_thread_each,
    flops=_flops,
    cases=_cases,
    parallel_bytes=PARALLEL_BYTES,
)
pool_backward = Kernel(
    "pool_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dx, dy, x, y, spec, kind: _flops(dy, x, spec, kind),
    cases=_backward_cases,
    parallel_bytes=PARALLEL_BYTES,
)
