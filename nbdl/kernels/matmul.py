"""Matrix product: C = scale A B + keep C, cut into blocks that fit the caches and tiles that fit the registers.

Other kernels call `multiply` and `multiply_transposed` on pieces of their arrays from inside a `prange`; the kernels
`matmul` and `matmul_transposed` are the whole product.
"""

import numpy as np
from numba import prange
from numba.extending import overload, register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import EACH, a_block_each_tile, multiply_tile, tile_column, tile_row
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    DOT_COLUMNS,
    DOT_ROWS,
    HEIGHT,
    SIMD,
    VECTORS,
    WIDE_HEIGHT,
    WIDE_VECTORS,
    dot_tile,
    element_bytes,
    outer_tile,
    pack_panel,
    pack_panel_transposed,
    rank_one_tile,
    stack_panel,
    vector_lanes,
)

ROWS = 24 * HEIGHT  # rows of A between two packings of B: with DEPTH columns they stay in the second-level cache
PACK_TILES = 5  # with fewer tiles above each other, copying B costs more than its scattered rows
GRAIN = 32  # columns are dealt to threads in whole tiles
TRANSPOSE_ROWS = 12  # from this many rows on, copying a transposed B into panels beats products along k


def _multiply_block(c, c_row, a, a_row, a_col, b, b_row, m, n, k, scale, keep):
    size, lanes = element_bytes(scale), vector_lanes(scale)
    panel, width = stack_panel(scale), VECTORS * lanes
    if k == 1:
        for j in range(0, n, WIDE_VECTORS * lanes):
            vectors = min(WIDE_VECTORS, (n - j + lanes - 1) // lanes)
            rank_one_tile(m, vectors, a, a_row, b + j * size, c + j * size, c_row, n - j, scale, keep)
        return
    panels = (k + DEPTH - 1) // DEPTH
    for p in range(panels):
        k0, held = k * p // panels, keep if p == 0 else keep * 0 + 1
        depth = k * (p + 1) // panels - k0
        if m <= WIDE_HEIGHT and n > width:
            for j in range(0, n, WIDE_VECTORS * lanes):
                outer_tile(
                    m, WIDE_VECTORS, a + k0 * a_col * size, a_row, a_col, b + (k0 * b_row + j) * size, b_row, depth,
                    c + j * size, c_row, n - j, scale, held,
                )  # fmt: skip
            continue
        for i0 in range(0, m, ROWS):
            rows = min(ROWS, m - i0)
            tiles = (rows + HEIGHT - 1) // HEIGHT
            for j in range(0, n, width):
                columns = min(width, n - j)
                source, source_row = b + (k0 * b_row + j) * size, b_row
                if tiles >= PACK_TILES and b_row != width:  # rows of that width lie in a panel already
                    pack_panel(panel, source, source_row, depth, columns, scale)
                    source, source_row = panel, width
                i = i0
                for t in range(tiles):
                    height = (i0 + rows - i + tiles - t - 1) // (tiles - t)
                    outer_tile(
                        height, (columns + lanes - 1) // lanes, a + (i * a_row + k0 * a_col) * size, a_row, a_col,
                        source, source_row, depth, c + (i * c_row + j) * size, c_row, columns, scale, held,
                    )  # fmt: skip
                    i += height


def _multiply_transposed_block(c, c_row, a, a_row, a_col, b, b_row, m, n, k, scale, keep):
    size, lanes = element_bytes(scale), vector_lanes(scale)
    panel, width = stack_panel(scale), VECTORS * lanes
    tiles = (m + HEIGHT - 1) // HEIGHT
    panels = (k + DEPTH - 1) // DEPTH
    for p in range(panels):
        k0, held = k * p // panels, keep if p == 0 else keep * 0 + 1
        depth = k * (p + 1) // panels - k0
        for j in range(0, n, width):
            columns = min(width, n - j)
            pack_panel_transposed(panel, b + (j * b_row + k0) * size, b_row, depth, columns, scale)
            i = 0
            for t in range(tiles):
                height = (m - i + tiles - t - 1) // (tiles - t)
                outer_tile(
                    height, (columns + lanes - 1) // lanes, a + (i * a_row + k0 * a_col) * size, a_row, a_col,
                    panel, width, depth, c + (i * c_row + j) * size, c_row, columns, scale, held,
                )  # fmt: skip
                i += height


def _dot_block(c, c_row, a, a_row, a_col, b, b_row, m, n, k, scale, keep):
    size = element_bytes(scale)
    whole = n - n % DOT_COLUMNS
    for i in range(0, m, DOT_ROWS):
        rows = min(DOT_ROWS, m - i)
        ours, result = a + i * a_row * size, c + i * c_row * size
        for j in range(0, whole, DOT_COLUMNS):
            dot_tile(
                rows, DOT_COLUMNS, ours, a_row, b + j * b_row * size, b_row, k, result + j * size, c_row, scale, keep
            )
        for j in range(whole, n):
            dot_tile(rows, 1, ours, a_row, b + j * b_row * size, b_row, k, result + j * size, c_row, scale, keep)


# C = scale A B + keep C, or C = scale A transpose(B) + keep C, from addresses and strides in elements.
multiply_at = share("multiply", _multiply_block, 10, 2)
multiply_transposed_at = share("multiply_transposed", _multiply_transposed_block, 10, 2)
dot_at = share("dot", _dot_block, 10, 2)  # as sums along the rows of A and B


@register_jitable
def _plain(c, a, b, scale, keep):
    """The fallback for processors without known vectors."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = keep * c[i, j] if keep != 0 else keep
        for k in range(a.shape[1]):
            factor = scale * a[i, k]
            for j in range(c.shape[1]):
                c[i, j] += factor * b[k, j]


def multiply(c, a, b, scale, keep):
    """C = scale A B + keep C, to be called from compiled code on pieces of arrays; C and B with unit column stride.

    Shape: c (m, n), a (m, k) with any strides (a transposed view costs nothing), b (k, n).
    """
    raise NotImplementedError("multiply is for compiled kernels; call the kernel matmul from Python")


def multiply_transposed(c, a, b, scale, keep, rows):
    """C = scale A transpose(B) + keep C, like `multiply`; `rows` counts the rows of the whole product, not of this piece.

    Shape: c (m, n), a (m, k), b (n, k), all with unit column stride.
    """
    raise NotImplementedError(
        "multiply_transposed is for compiled kernels; call the kernel matmul_transposed from Python"
    )


def _of_pieces(call):
    """A function of array pieces that passes their addresses and strides on."""

    @register_jitable
    def of_pieces(c, a, b, n, k, scale, keep):
        size, kind = a.itemsize, c.dtype.type
        call(
            c.ctypes.data, c.strides[0] // size, a.ctypes.data, a.strides[0] // size, a.strides[1] // size,
            b.ctypes.data, b.strides[0] // size, c.shape[0], n, k, kind(scale), kind(keep),
        )  # fmt: skip

    return of_pieces


_multiply_pieces, _transposed_pieces, _dot_pieces = map(_of_pieces, (multiply_at, multiply_transposed_at, dot_at))


@overload(multiply)
def _multiply(c, a, b, scale, keep):
    if SIMD == "plain":
        return lambda c, a, b, scale, keep: _plain(c, a, b, scale, keep)
    return lambda c, a, b, scale, keep: _multiply_pieces(c, a, b, c.shape[1], a.shape[1], scale, keep)


@overload(multiply_transposed)
def _multiply_transposed(c, a, b, scale, keep, rows):
    if SIMD == "plain":
        return lambda c, a, b, scale, keep, rows: _plain(c, a, b.T, scale, keep)

    def choose(c, a, b, scale, keep, rows):
        # The choice looks at the whole product: it must not depend on how threads cut it.
        if rows >= TRANSPOSE_ROWS:
            _transposed_pieces(c, a, b, c.shape[1], a.shape[1], scale, keep)
        else:
            _dot_pieces(c, a, b, c.shape[1], a.shape[1], scale, keep)

    return choose


@register_jitable
def cut(m, n, parts):
    """How many pieces (rows, columns) a product of m x n should be cut into for `parts` threads.

    Columns first: the forward and the backward pass of a layer then give each core the same columns of its weights, and
    no weight travels between the cores' caches.
    """
    if n >= parts * GRAIN or n >= m:
        return 1, max(1, min(parts, n // GRAIN))
    return max(1, min(parts, (m + 3) // 4)), 1


@register_jitable
def piece(number, pieces, size, grain):
    """First and last position of a piece of `size` elements, cut at multiples of `grain`."""
    grains = (size + grain - 1) // grain
    return number * grains // pieces * grain, min(size, (number + 1) * grains // pieces * grain)


def _reference(c, a, b):
    np.matmul(a, b, out=c)


def _cpu(c, a, b):
    m, n = c.shape
    rows, columns = cut(m, n, threads())
    for part in prange(rows * columns):
        i0, i1 = piece(part // columns, rows, m, 1)
        j0, j1 = piece(part % columns, columns, n, GRAIN)
        multiply(c[i0:i1, j0:j1], a[i0:i1], b[:, j0:j1], 1, 0)


def _cuda(c, a, b):
    sums = cuda.local.array((EACH, EACH), c.dtype)
    multiply_tile(sums, a, b)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < c.shape[0] and j < c.shape[1]:
                c[i, j] = sums[r, s]


def _cases(random, dtype):
    for m, k, n in [(1, 1, 1), (3, 5, 7), (17, 300, 33), (64, 64, 64), (1, 70, 300), (2, 513, 16), (40, 1, 50)]:
        a, b = (random.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n)))
        yield np.empty((m, n), dtype), a, b


def _flops(c, a, b):
    return 2 * c.shape[0] * c.shape[1] * a.shape[1]


matmul = Kernel("matmul", _reference, _cpu, _cuda, grid=a_block_each_tile, flops=_flops, cases=_cases)


def _reference_transposed(c, a, b):
    np.matmul(a, b.T, out=c)


def _cpu_transposed(c, a, b):
    m, n = c.shape
    rows, columns = cut(m, n, threads())
    for part in prange(rows * columns):
        i0, i1 = piece(part // columns, rows, m, 1)
        j0, j1 = piece(part % columns, columns, n, GRAIN)
        multiply_transposed(c[i0:i1, j0:j1], a[i0:i1], b[j0:j1], 1, 0, m)


def _cuda_transposed(c, a, b):
    sums = cuda.local.array((EACH, EACH), c.dtype)
    multiply_tile(sums, a, b.T)
    for r in range(EACH):
        for s in range(EACH):
            i, j = tile_row(r), tile_column(s)
            if i < c.shape[0] and j < c.shape[1]:
                c[i, j] = sums[r, s]


def _cases_transposed(random, dtype):
    for c, a, b in _cases(random, dtype):
        yield c, a, np.ascontiguousarray(b.T)


matmul_transposed = Kernel(
    "matmul_transposed",
    _reference_transposed,
    _cpu_transposed,
    _cuda_transposed,
    grid=a_block_each_tile,
    flops=_flops,
    cases=_cases_transposed,
)
