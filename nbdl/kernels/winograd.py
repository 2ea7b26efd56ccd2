"""Convolution of pictures with filters of 3 x 3 by Winograd's minimal filtering: 16 products where the windows take 36.

    Y = A^T [(G g G^T) * (B^T d B)] A        for each tile: d 4 x 4 cells of the input, Y 2 x 2 of the output, g the filter

    B^T = 1  0 -1  0      G =  1    0    0      A^T = 1  1  1  0
          0  1  1  0          1/2  1/2  1/2           0  1 -1 -1
          0 -1  1  0          1/2 -1/2  1/2
          0  1  0 -1           0    0    1

The product * is number by number and summed over the channels, so each of the 16 places is a matrix product: weights
(filters, channels) times tiles (channels, tiles). `turned` 1 gives the gradient of the input instead: the same convolution
with the filters turned by half a circle and channels and filters exchanged. The sums differ from those of `convolve` in
their last digits.

Shape: x (N, C, 1, H, W), y (N, F, 1, H', W'), w (F, C, 1, 3, 3), b (F) or none; turned: x (N, F, 1, H', W') and
y (N, C, 1, H, W). `weights` and `room` as `rooms` says; `spec` as in kernels/windows.py, with steps and dilations of 1.
(Lavin and Gray 2016, Fast algorithms for convolutional neural networks.)
"""

import numpy as np
from llvmlite import ir
from numba import config, prange, types
from numba.extending import intrinsic, register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, RELU, activate
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.convolution import convolve, window_sum
from nbdl.kernels.convolution_transposed import cell_sum, convolve_transposed
from nbdl.kernels.matmul import multiply_at
from nbdl.kernels.pairs import merge_rows, split_rows
from nbdl.kernels.tile import (
    REGISTER_BYTES,
    SIMD,
    VECTORS,
    _element,
    _Emitter,
    element_bytes,
    pack_panel_transposed,
    stack_panel,
    vector_lanes,
)

PLACES = 16  # of a tile
PLANES = 8  # that a staged channel is cut into: by the row's number modulo 2, and by the column of the tile
MOST_LANES = max(16, REGISTER_BYTES) // 4
LEAST = 16  # channels and filters from which on the products outweigh the turning
MANY = 8  # samples from which on every thread has its own


def suits(samples: int, w, spec) -> bool:
    """Whether a convolution of that many samples with weights of that shape has 3 x 3 filters and enough to multiply."""
    filters, channels, *kernel = w.shape
    plain = kernel == [1, 3, 3] and spec[:3] == (1, 1, 1) and spec[6:] == (1, 1, 1, 1) and max(spec[3:6]) <= 2
    return SIMD != "plain" and plain and min(filters, channels) >= LEAST and samples >= MANY


@register_jitable
def _sizes(height, width, lanes):
    """Rows and columns of tiles of a map, vectors that they fill, and numbers of a plane of the rows under one panel."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    plane = (VECTORS * lanes // columns + 3) * columns + 2 * lanes
    return rows, columns, (rows * columns + lanes - 1) // lanes, plane // lanes * lanes


@register_jitable
def _several(vectors):
    """Samples that are done together, so that no half of a panel stays empty."""
    return 1 + vectors % 2


@register_jitable
def _shares(inputs, outputs, height, width, lanes):
    """Numbers that a thread needs for its planes, its transformed input, its products and its results."""
    _, _, vectors, plane = _sizes(height, width, lanes)
    panel = PLACES * VECTORS * lanes
    # A row more than there are keeps the 16 places of a number in different sets of the first-level cache.
    return (
        PLANES * plane,
        (inputs + 1) * panel,
        (outputs + 1) * panel,
        _several(vectors) * outputs * 4 * vectors * lanes,
    )


def rooms(samples: int, y, x, w) -> dict[str, int]:
    """Numbers that forward and backward need: the transformed weights, and a room for every thread."""
    there = _shares(x.shape[1], y.shape[1], *y.shape[3:], MOST_LANES)
    back = _shares(y.shape[1], x.shape[1], *x.shape[3:], MOST_LANES)
    each = (max(sum(there), sum(back)) + 15) // 16 * 16
    across = -(-max(w.shape[:2]) // (VECTORS * MOST_LANES)) * VECTORS * MOST_LANES
    return {"weights": PLACES * max(w.shape[:2]) * across, "room": min(samples, config.NUMBA_NUM_THREADS) * each}


def _sums(e: _Emitter, values, signs):
    """The sum of values with signs 1, -1 or 0."""
    total = None
    for value, sign in zip(values, signs, strict=True):
        if sign and total is None:
            total = value if sign > 0 else e.builder.fsub(e.zero, value)
        elif sign:
            total = (e.builder.fadd if sign > 0 else e.builder.fsub)(total, value)
    return total


def _both_sides(e: _Emitter, matrix, values):
    """matrix values matrix^T for rows and columns of vectors."""
    columns = list(zip(*values, strict=True))
    half = [[_sums(e, column, row) for column in columns] for row in matrix]  # matrix values
    return [[_sums(e, line, row) for row in matrix] for line in half]


INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))


@intrinsic
def _transform_input(typingctx, target, place, planes, plane, columns, vectors, like):
    """B^T d B of some vectors of tiles of one channel; the 16 results stand `place` elements apart.

    `planes` is the tiles' place in the first plane.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, place, planes, plane, columns, vectors, _ = arguments
        target, planes = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, planes))

        def vector(v, _):
            first = builder.mul(v, e.index(e.lanes))
            source, ours = e.at(planes, first), e.at(target, first)

            def cell(i, j):
                offset = builder.mul(plane, e.index(i % 2 * 4 + j))
                return e.load(e.at(source, builder.add(offset, columns) if i > 1 else offset))

            cells = [[cell(i, j) for j in range(4)] for i in range(4)]
            for k, value in enumerate(v for line in _both_sides(e, INPUT, cells) for v in line):
                e.store(value, e.at(ours, builder.mul(place, e.index(k))))
            return []

        e.loop(e.index(0), vectors, 1, [], vector)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _transform_output(typingctx, target, plane, products, place, filters, bias, rectify, like):
    """A^T m A of a vector of tiles for every filter, with its bias unless `bias` is 0, and rectified where `rectify` is 1.

    The four cells of a tile go to planes of their own.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 7), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, plane, products, place, filters, bias, rectify, _ = arguments
        target, products, biases = (
            builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, products, bias)
        )
        biases, next_bias = e.given(biases, builder.icmp_signed("!=", bias, e.index(0)))
        floor = e.floor(rectify)

        def one(f, _):
            source = e.at(products, builder.mul(f, e.index(VECTORS * e.lanes)))
            ours = e.at(target, builder.mul(f, builder.mul(plane, e.index(4))))
            added = e.splat(builder.load(e.at(biases, builder.mul(next_bias, f))))
            cells = [[e.load(e.at(source, builder.mul(place, e.index(4 * i + j)))) for j in range(4)] for i in range(4)]
            for k, value in enumerate(v for line in _both_sides(e, OUTPUT, cells) for v in line):
                value = builder.fadd(value, added)
                value = builder.select(builder.fcmp_ordered("<", value, floor), floor, value)
                e.store(value, e.at(ours, builder.mul(plane, e.index(k))))
            return []

        e.loop(e.index(0), filters, 1, [], one)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _transform_weights(typingctx, target, place, taps, first, step, like):
    """G g G^T of a panel of filters, whose tap t stands in row `first + step t`; the results stand `place` apart."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, place, taps, first, step, _ = arguments
        target, taps = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, taps))
        half = ir.Constant(e.vector, [0.5] * e.lanes)

        def spread(a, b, c):
            """G times one column of taps."""
            ends, middle = builder.fadd(a, c), b
            return [
                a,
                builder.fmul(half, builder.fadd(ends, middle)),
                builder.fmul(half, builder.fsub(ends, middle)),
                c,
            ]

        for v in range(VECTORS):

            def tap(t, v=v):
                row = builder.add(first, builder.mul(step, e.index(t)))
                row = builder.add(builder.mul(row, e.index(VECTORS * e.lanes)), e.index(v * e.lanes))
                return e.load(e.at(taps, row))

            columns = [spread(*(tap(3 * i + j) for i in range(3))) for j in range(3)]
            lines = [spread(*(columns[j][i] for j in range(3))) for i in range(4)]
            for k, value in enumerate(value for line in lines for value in line):
                offset = builder.add(builder.mul(place, e.index(k)), e.index(v * e.lanes))
                e.store(value, e.at(target, offset))
        return context.get_dummy_value()

    return signature, codegen


@register_jitable
def _stage(planes, plane, columns, x, q0, q1, fronts, like):
    """Cut the rows under the tile rows q0 to q1 of one channel into its planes, whose side borders are 0 already.

    planes[4 r + j, q - q0, t] = bordered x[2 q + r, 2 t + j]. Shape: x (height, width).
    """
    size, (height, width), (front, side) = element_bytes(like), x.shape, fronts
    for r in range(2):
        q = max(q0, (front - r + 1) // 2)
        first = 2 * q + r - front
        count = min(q1 - q, (height - first + 1) // 2)
        if count <= 0:
            continue
        here, source = planes + (4 * r * plane + (q - q0) * columns) * size, x.ctypes.data + first * width * size
        # The evens of x are the evens of the bordered row, or its odds; the border may take the first column.
        evens, odds = here + side // 2 * size, here + (plane + side // 2) * size
        if side == 1:
            evens, odds = here + plane * size, here + size
        across = min(width, 2 * columns - side)
        split_rows(evens, odds, columns, source, 2 * width, count, across, like)
        skipped = 2 - side
        across = min(width - skipped, 2 * columns)
        if across > 0:
            at = here + 2 * plane * size
            split_rows(at, at + plane * size, columns, source + skipped * size, 2 * width, count, across, like)


@register_jitable
def _transform_channels(cells, planes, columns, rows, x, s, vectors, fronts, like):
    """B^T d B of the tiles from s on, some vectors of them, for every channel of one sample.

    Shape: planes (PLANES planes), x (channels, 1, height, width).
    """
    size, lanes, plane = element_bytes(like), vector_lanes(like), planes.size // PLANES
    q0, q1 = s // columns, min(rows, (s + vectors * lanes - 1) // columns + 1) + 1
    # Rows above and below the input are 0, where other tiles left something.
    border = 2 * q0 < fronts[0] or 2 * q1 > x.shape[2] + fronts[0]
    for c in range(x.shape[0]):
        if border:
            planes[:] = 0
        _stage(planes.ctypes.data, plane, columns, x[c, 0], q0, q1, fronts, like)
        _transform_input(
            cells + c * VECTORS * lanes * size, (x.shape[0] + 1) * VECTORS * lanes,
            planes.ctypes.data + (s - q0 * columns) * size, plane, columns, vectors, like,
        )  # fmt: skip


def _tiled(y, x, w, b, weights, room, spec, turned, activation):
    samples, outputs, inputs, like = y.shape[0], y.shape[1], x.shape[1], y.dtype.type(1)
    height, width, size, lanes = y.shape[3], y.shape[4], y.itemsize, vector_lanes(like)
    rows, columns, vectors, _ = _sizes(height, width, lanes)
    panel, several = VECTORS * lanes, _several(vectors)
    fronts = (2 - spec[4], 2 - spec[5]) if turned else (spec[4], spec[5])
    across = (inputs + panel - 1) // panel
    row = across * panel  # numbers from one output's weights to the next one's
    for part in prange(outputs * across):
        f, c = part // across, part % across * panel
        taps = stack_panel(like)
        if turned:
            source, apart = w[c, f].ctypes.data, w.shape[1] * 9
        else:
            source, apart = w[f, c].ctypes.data, 9
        pack_panel_transposed(taps, source, apart, 9, min(panel, inputs - c), like)
        target = weights.ctypes.data + (f * row + c) * size
        _transform_weights(target, outputs * row, taps, 8 if turned else 0, -1 if turned else 1, like)
    of_planes, of_cells, of_products, of_results = _shares(inputs, outputs, height, width, lanes)
    jobs = (samples + several - 1) // several
    tasks = min(threads(), jobs)
    each = (of_planes + of_cells + of_products + of_results + 15) // 16 * 16
    bias = b.ctypes.data if b.size > 0 else 0
    for task in prange(tasks):
        mine = room[task * each : (task + 1) * each]
        planes = mine[:of_planes]
        planes[:] = 0
        cells = mine.ctypes.data + of_planes * size
        products = cells + of_cells * size
        results = products + of_products * size
        for job in range(jobs * task // tasks, jobs * (task + 1) // tasks):
            n0, here = job * several, min(several, samples - job * several)
            for v in range(0, here * vectors, VECTORS):
                filled, h = min(VECTORS, here * vectors - v), 0
                while h < filled:
                    i, s = divmod(v + h, vectors)
                    count = min(filled - h, vectors - s)
                    _transform_channels(
                        cells + h * lanes * size, planes, columns, rows, x[n0 + i], s * lanes, count, fronts, like
                    )
                    h += count
                for k in range(PLACES):
                    multiply_at(
                        products + k * (outputs + 1) * panel * size, panel, weights.ctypes.data + k * outputs * row * size,
                        row, 1, cells + k * (inputs + 1) * panel * size, panel, outputs, filled * lanes, inputs, like,
                        like * 0,
                    )  # fmt: skip
                for h in range(filled):
                    i, s = (v + h) // vectors, (v + h) % vectors * lanes
                    target = results + (i * outputs * 4 * vectors * lanes + s) * size
                    _transform_output(
                        target, vectors * lanes, products + h * lanes * size, (outputs + 1) * panel, outputs, bias,
                        1 if activation == RELU else 0, like,
                    )  # fmt: skip
            for i in range(here * outputs):
                target = y[n0 + i // outputs, i % outputs, 0]
                for a in range(min(2, height)):
                    source = results + (4 * i + 2 * a) * vectors * lanes * size
                    merge_rows(
                        target.ctypes.data + a * width * size, 2 * width, source, columns,
                        source + vectors * lanes * size, columns, (height - a + 1) // 2, width, like,
                    )  # fmt: skip
                if activation != LINEAR and activation != RELU:
                    activate(target.reshape(target.size), activation)


def _by_windows(y, x, w, b, weights, room, spec, turned, activation):
    if turned:
        convolve_transposed.reference(y, x, w, b, None, None, None, spec, activation)
    else:
        convolve.reference(y, x, w, b, None, None, spec, activation)


def _plain(y, x, w, b, weights, room, spec, turned, activation):
    for part in prange(y.shape[0] * y.shape[1]):
        n, f = part // y.shape[1], part % y.shape[1]
        for line in range(y.shape[3]):
            for column in range(y.shape[4]):
                if turned:
                    value = cell_sum(x[n], w, f, 0, line, column, spec)
                else:
                    value = window_sum(x[n], w[f], 0, 0, line, column, spec)
                y[n, f, 0, line, column] = value + b[f] if b.size > 0 else value
        activate(y[n, f].reshape(y[n, f].size), activation)


def _cuda(y, x, w, b, weights, room, spec, turned, activation):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        f, n = e // (y.shape[4] * y.shape[3]) % y.shape[1], e // (y.shape[4] * y.shape[3] * y.shape[1])
        value = cuda.local.array(1, y.dtype)
        if turned:
            value[0] = cell_sum(x[n], w, f, 0, line, column, spec)
        else:
            value[0] = window_sum(x[n], w[f], 0, 0, line, column, spec)
        if b.size > 0:
            value[0] += b[f]
        activate(value, activation)
        y[n, f, 0, line, column] = value[0]


def _cases(random, dtype):
    for samples, channels, filters, height, width, padding, kind in [
        (1, 1, 1, 2, 3, (1, 1), RELU),
        (2, 3, 2, 4, 3, (0, 2), KINDS["tanh"]),
        (8, 16, 16, 1, 1, (1, 1), LINEAR),
        (9, 17, 35, 5, 7, (1, 1), RELU),
        (8, 33, 16, 8, 8, (0, 2), LINEAR),
        (9, 16, 20, 14, 9, (2, 0), KINDS["tanh"]),
        (8, 16, 16, 3, 40, (0, 0), RELU),
    ]:
        spec = (1, 1, 1, 0, *padding, 1, 1, 1, 1)
        out = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
        x = random.standard_normal((samples, channels, 1, height, width)).astype(dtype)
        y = random.standard_normal((samples, filters, 1, *out)).astype(dtype)
        w = random.standard_normal((filters, channels, 1, 3, 3)).astype(dtype)
        b = random.standard_normal(filters).astype(dtype)
        rooms_ = [np.full(size, np.nan, dtype) for size in rooms(samples, y, x, w).values()]
        yield np.empty_like(y), x, w, b if kind else b[:0], *rooms_, spec, 0, kind
        yield np.empty_like(x), y, w, b[:0], *rooms_, spec, 1, LINEAR


def _flops(y, x, w, b, weights, room, spec, turned, activation):
    """Those of the products and the transformations, not of the sums that they stand for."""
    samples, outputs, _, height, width = y.shape
    tiles = samples * ((height + 1) // 2) * ((width + 1) // 2)
    products = 2 * PLACES * tiles * outputs * x.shape[1]
    return (
        products + 32 * tiles * x.shape[1] + 24 * tiles * outputs + y.size * (b.size > 0) + y.size * _FLOPS[activation]
    )


winograd = Kernel(
    "winograd",
    _by_windows,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=_flops,
    cases=_cases,
)
