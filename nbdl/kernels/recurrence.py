"""What recurrent layers share: time first instead of batch first, products with the recurrent weights, and their gradient.

A recurrent layer keeps its steps in the first axis, so that all samples of a step lie together. Its samples are dealt to
threads; each walks through all the steps with its own, so that nobody waits for anybody until the end.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import EACH, a_block_each_tile, a_thread_each, multiply_tile, tile_column, tile_row
from nbdl.kernels.matmul import GRAIN, cut, multiply, multiply_transposed, piece
from nbdl.kernels.tile import REGISTER_BYTES, VECTORS

PANEL = VECTORS * max(16, REGISTER_BYTES) // 4  # columns of a packed panel of weights: a tile's width in float32
FEW = 4  # with fewer samples a step is a vector times a matrix, and packing the matrix does not pay


def panels_of(columns: int) -> int:
    """Panels that so many columns fill."""
    return -(-columns // PANEL)


@register_jitable
def pack(panel, u, number):
    """panel = columns number PANEL, number PANEL + 1, ... of U. Shape: panel (k, PANEL), u (k, n)."""
    first = number * PANEL
    columns = min(PANEL, u.shape[1] - first)
    for k in range(u.shape[0]):
        target, source = panel[k], u[k, first : first + columns]
        for j in range(columns):
            target[j] = source[j]


@register_jitable
def pack_turned(panel, u, number):
    """The same columns of transpose(U). Shape: panel (k, PANEL), u (n, k)."""
    first = number * PANEL
    columns = min(PANEL, u.shape[0] - first)
    for k0 in range(0, u.shape[1], 16):
        for j in range(columns):
            source = u[first + j]
            for k in range(k0, min(k0 + 16, u.shape[1])):
                panel[k, j] = source[k]


@register_jitable
def add_product(c, a, u, panels, packed):
    """C += A U, from the panels of U where they are `packed`. Shape: c (m, n), a (m, k), u (k, n)."""
    if packed:
        for number in range(panels.shape[0]):
            j0, j1 = number * PANEL, min((number + 1) * PANEL, u.shape[1])
            multiply(c[:, j0:j1], a, panels[number, :, : j1 - j0], 1, 1)
    else:
        multiply(c, a, u, 1, 1)


@register_jitable
def add_product_turned(c, a, u, panels, packed):
    """C += A transpose(U), from the panels of transpose(U). Shape: c (m, n), a (m, k), u (n, k)."""
    if packed:
        for number in range(panels.shape[0]):
            j0, j1 = number * PANEL, min((number + 1) * PANEL, u.shape[0])
            multiply(c[:, j0:j1], a, panels[number, :, : j1 - j0], 1, 1)
    else:
        multiply_transposed(c, a, u, 1, 1, 1)


def _swap_reference(y, x, keep):
    y[...] = (keep * y if keep else 0) + x.swapaxes(0, 1)


def _swap_cpu(y, x, keep):
    for i in prange(y.shape[0]):
        for j in range(y.shape[1]):
            target, source = y[i, j], x[j, i]
            if keep == 0:
                for k in range(target.size):
                    target[k] = source[k]
            else:
                for k in range(target.size):
                    target[k] += source[k]


def _swap_cuda(y, x, keep):
    e = cuda.grid(1)
    if e < y.size:
        k, j, i = e % y.shape[2], e // y.shape[2] % y.shape[1], e // (y.shape[2] * y.shape[1])
        y[i, j, k] = x[j, i, k] + (y[i, j, k] if keep != 0 else x.dtype.type(0))


def _swap_cases(random, dtype):
    for shape in ((1, 1, 1), (3, 5, 7), (20, 2, 33)):
        x = random.standard_normal(shape).astype(dtype)
        yield np.empty((shape[1], shape[0], shape[2]), dtype), x, 0


def _weights_reference(du, h, dz, blend):
    scale, keep = blend
    du[...] = (keep * du if keep else 0) + scale * (h.T @ dz)


def _weights_cpu(du, h, dz, blend):
    inputs, columns = du.shape
    rows, parts = cut(inputs, columns, threads())
    for part in prange(rows * parts):
        i0, i1 = piece(part // parts, rows, inputs, 16)
        j0, j1 = piece(part % parts, parts, columns, GRAIN)
        multiply(du[i0:i1, j0:j1], h.T[i0:i1], dz[:, j0:j1], blend[0], blend[1])


def _weights_cuda(du, h, dz, blend):
    scale, keep, zero = blend[0], blend[1], du.dtype.type(0)
    sums = cuda.local.array((EACH, EACH), du.dtype)
    multiply_tile(sums, h.T, dz)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < du.shape[0] and j < du.shape[1]:
                du[i, j] = scale * sums[r, s] + (keep * du[i, j] if keep != zero else zero)


def _weights_cases(random, dtype):
    for rows, inputs, columns in ((1, 1, 1), (3, 5, 7), (40, 8, 12), (600, 20, 70)):
        h, dz = (random.standard_normal((rows, n)).astype(dtype) for n in (inputs, columns))
        yield np.empty((inputs, columns), dtype), h, dz, np.array([1, 0], dtype)


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
    grid=a_block_each_tile,
    flops=lambda du, h, dz, blend: 2 * du.size * len(h),
    cases=_weights_cases,
)
