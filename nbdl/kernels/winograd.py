"""Convolution of pictures with filters of 3 x 3 by Winograd's minimal filtering: 36 products where the windows take 144.

    Y = A^T [(G g G^T) * (B^T d B)] A        for each tile: d 6 x 6 cells of the input, Y 4 x 4 of the output, g the filter

A filter and a line of cells are polynomials, and their product is known from its values at 0, p, -p, q, -q and infinity:
G and B^T go to those points, A^T comes back. With p = 1/sqrt(2) and q = sqrt(2),

    B^T = 1   0  -5/2   0    1   0     G =   1       0       0      A^T = 1   1    1    1    1   0
          0  -2p  -2    p    1   0         -2/3   -2/3 p   -1/3           0   p   -p    q   -q   0
          0   2p  -2   -p    1   0         -2/3    2/3 p   -1/3           0  1/2  1/2   2    2   0
          0 -q/2 -1/2   q    1   0          1/6    q/6      1/3           0  p/2 -p/2  2q  -2q   1
          0  q/2 -1/2  -q    1   0          1/6   -q/6      1/3
          0   1    0  -5/2   0   1           0       0       1

The product * is number by number and summed over the channels, so each of the 36 places is a matrix product: weights
(filters, channels) times tiles (channels, tiles). `turned` 1 gives the gradient of the input instead: the same convolution
with the filters turned by half a circle and channels and filters exchanged. Rounding: with 32 to 256 channels the largest
error is 2 to 3 times that of `convolve`; the usual points 1 and 2 would give 6 to 8 times.

Shape: x (N, C, 1, H, W), y (N, F, 1, H', W'), w (F, C, 1, 3, 3), b (F) or none; turned: x (N, F, 1, H', W') and
y (N, C, 1, H, W). `weights` and `room` as `rooms` says; `spec` as in kernels/windows.py, with steps and dilations of 1.
(Lavin and Gray 2016, Fast algorithms for convolutional neural networks; points after Barabasz, Anderson, Soodhalter and
Gregg 2020, Error analysis and improving the accuracy of Winograd convolution.)
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
from nbdl.kernels.pairs import copy_rows, merge, split
from nbdl.kernels.shared import share
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

TILE, SIDE = 4, 6  # cells of a tile's side in the output, and in the input
PLACES = SIDE * SIDE
P, Q = 0.5**0.5, 2**0.5  # P Q = 1 spares a product at each end of a line
FEWEST_LANES, MOST_LANES = (max(16, REGISTER_BYTES) // size for size in (8, 4))
LEAST = 16  # channels and filters from which on the products outweigh the turning
TOGETHER = 4  # channels that are cut into tiles before the first is transformed: what is just written is slow to read
TURNING = 600  # products that it takes as long as to transform one filter of one channel
OWN = 1 << 20  # transformed weights of which every thread makes its own: it takes longer to get them from another core


@register_jitable
def _tiles(height, width):
    """Rows and columns of tiles that cover a map."""
    return (height + TILE - 1) // TILE, (width + TILE - 1) // TILE


def suits(samples: int, y, w, spec) -> bool:
    """Whether a convolution to so many maps like y has 3 x 3 filters and saves more products than the turning costs."""
    filters, channels, *kernel = w.shape
    plain = kernel == [1, 3, 3] and spec[:3] == (1, 1, 1) and spec[6:] == (1, 1, 1, 1) and max(spec[3:6]) <= 2
    if SIMD == "plain" or not plain or min(filters, channels) < LEAST:
        return False
    height, width = y.shape[3:]
    rows, columns = _tiles(height, width)
    return samples * PLACES * rows * columns + TURNING <= samples * 9 * height * width


@register_jitable
def _shares(inputs, outputs, lanes):
    """Numbers that a thread needs for cut tiles, transformed ones, their products and the results of one filter."""
    panel = VECTORS * lanes
    # Here and in the weights: a row more than there are keeps a number's places in different sets of the caches.
    return (
        TOGETHER * PLACES * (panel + lanes),
        PLACES * (inputs + 1) * panel,
        PLACES * (outputs + 1) * panel,
        TILE * TILE * panel,
    )


@register_jitable
def _of_weights(inputs, outputs, lanes):
    """Numbers of the transformed weights."""
    panel = VECTORS * lanes
    return PLACES * (outputs + 1) * ((inputs + panel - 1) // panel * panel)


def rooms(samples: int, y, x, w) -> dict[str, int]:
    """Numbers that forward and backward need: the transformed weights, and a room for every thread."""
    rows, columns = (max(sizes) for sizes in zip(_tiles(*y.shape[3:]), _tiles(*x.shape[3:]), strict=True))
    panels = -(-samples * rows * columns // (VECTORS * FEWEST_LANES))
    most, ways = config.NUMBA_NUM_THREADS, (w.shape[:2], w.shape[1::-1])
    copies = (_of_weights(*way, MOST_LANES) for way in ways)
    return {
        "weights": max(size * (min(panels, most) if size <= OWN else 1) for size in copies),
        "room": most * max(sum(_shares(*way, MOST_LANES)) for way in ways),
    }


def _both_sides(transform, values):
    """M values M^T for rows and columns of vectors, where `transform` multiplies a line by M."""
    columns = [transform(column) for column in zip(*values, strict=True)]
    return [transform(row) for row in zip(*columns, strict=True)]


class _Lines:
    """The three matrices, as instructions that multiply a line of vectors by them."""

    def __init__(self, e: _Emitter):
        self.fma, self.add, self.sub, self.mul = e.fma, e.builder.fadd, e.builder.fsub, e.builder.fmul
        self.number = lambda value: ir.Constant(e.vector, [value] * e.lanes)

    def input(self, x):
        """B^T x."""

        def points(p, q):
            even, odd = (self.fma(self.number(-q * q), x[i], x[i + 2]) for i in (2, 1))
            return [self.fma(self.number(sign * p), odd, even) for sign in (1, -1)]

        both = self.number(-P * P - Q * Q)
        ends = [self.add(self.fma(both, x[i + 2], x[i]), x[i + 4]) for i in (0, 1)]
        return [ends[0], *points(P, Q), *points(Q, P), ends[1]]

    def output(self, m):
        """A^T m."""
        near, far = self.add(m[1], m[2]), self.add(m[3], m[4])
        slope, steep = self.sub(m[1], m[2]), self.sub(m[3], m[4])

        def power(n, near, far):
            return self.fma(self.number(Q**n), far, self.mul(self.number(P**n), near))

        first, last = self.add(m[0], self.add(near, far)), self.add(power(3, slope, steep), m[5])
        return [first, power(1, slope, steep), power(2, near, far), last]

    def weights(self, g):
        """G g."""

        def points(p, q):
            scale = 1 / (2 * p * p * (p * p - q * q))
            even = self.fma(self.number(scale * p * p), g[2], self.mul(self.number(scale), g[0]))
            return [self.fma(self.number(sign * scale * p), g[1], even) for sign in (1, -1)]

        return [g[0], *points(P, Q), *points(Q, P), g[2]]


@intrinsic
def _cut(typingctx, planes, plane, x, height, width, row, column, tiles, channels, like):
    """planes[c, i, j, t] = x[c, row + i, column + 4 t + j] for some tiles of one row, and 0 outside of the map.

    Up to a vector more is written behind the last tile. Shape: x (channels, height, width), planes (channels, 6, 6, plane).
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 9), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        planes, plane, x, height, width, row, column, tiles, channels, _ = arguments
        planes, x = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (planes, x))

        def vector(t, _):
            first = builder.add(column, builder.mul(t, e.index(TILE)))
            left, before = builder.sub(width, first), builder.sub(e.index(0), first)
            masks = [builder.and_(e.mask(left, v), builder.not_(e.mask(before, v))) for v in range(TILE + 1)]
            offsets = []
            for v in range(TILE + 1):
                here = builder.add(first, e.index(v * e.lanes))
                # Where no cell is left, the row's own begin is read, and not an address that need not be mapped.
                offsets.append(builder.select(builder.icmp_signed("<", here, width), here, e.index(0)))

            def line(c, i):
                number = builder.add(row, i)
                ours = e.at(
                    planes,
                    builder.mul(plane, builder.mul(builder.add(builder.mul(c, e.index(SIDE)), i), e.index(SIDE))),
                )
                ours = e.at(ours, t)
                theirs = e.at(x, builder.mul(width, builder.add(builder.mul(c, height), number)))

                def put(j, value):
                    e.store(value, e.at(ours, builder.mul(plane, e.index(j))))

                inside = builder.and_(
                    builder.icmp_signed("<=", e.index(0), number), builder.icmp_signed("<", number, height)
                )
                with builder.if_else(inside) as (there, border):
                    with there:
                        cells = [e.load(e.at(theirs, at), mask) for at, mask in zip(offsets, masks, strict=True)]
                        for j, value in enumerate(_columns(e, cells)):
                            put(j, value)
                    with border:
                        for j in range(SIDE):
                            put(j, e.zero)
                return []

            e.loop(
                e.index(0),
                channels,
                1,
                [],
                lambda c, _: e.loop(e.index(0), e.index(SIDE), 1, [], lambda i, _: line(c, i)),
            )
            return []

        e.loop(e.index(0), tiles, e.lanes, [], vector)
        return context.get_dummy_value()

    return signature, codegen


def _columns(e: _Emitter, cells):
    """The six columns of a vector of tiles, from five vectors of neighbouring cells."""
    evens, odds = zip(*(split(e, *cells[v : v + 2]) for v in (0, 2)), strict=True)
    (first, third), (second, fourth) = split(e, *evens), split(e, *odds)

    def following(column, number):
        """A column of the tiles next to them."""
        lanes = [*range(1, e.lanes), e.lanes + number]
        return e.builder.shuffle_vector(column, cells[4], ir.Constant(ir.VectorType(e.i32, e.lanes), lanes))

    return first, second, third, fourth, following(first, 0), following(second, 1)


@intrinsic
def _transform_input(typingctx, target, place, planes, plane, channels, vectors, like):
    """B^T d B of some vectors of tiles of some channels; the 36 results stand `place` elements apart."""
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, place, planes, plane, channels, vectors, _ = arguments
        target, planes = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, planes))

        def vector(c, v):
            first = builder.mul(v, e.index(e.lanes))
            source = e.at(planes, builder.add(builder.mul(c, builder.mul(plane, e.index(PLACES))), first))
            ours = e.at(target, builder.add(builder.mul(c, e.index(VECTORS * e.lanes)), first))
            cells = [
                [e.load(e.at(source, builder.mul(plane, e.index(SIDE * i + j)))) for j in range(SIDE)]
                for i in range(SIDE)
            ]
            for k, value in enumerate(v for line in _both_sides(_Lines(e).input, cells) for v in line):
                e.store(value, e.at(ours, builder.mul(place, e.index(k))))
            return []

        e.loop(e.index(0), channels, 1, [], lambda c, _: e.loop(e.index(0), vectors, 1, [], lambda v, _: vector(c, v)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _transform_output(typingctx, target, row, products, place, vectors, bias, rectify, like):
    """A^T m A of some vectors of tiles of one filter, with the bias at an address or, at 0, none; rectified where asked.

    The tiles of each of the four rows of cells come to stand side by side; the rows are `row` apart.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 7), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, row, products, place, vectors, bias, rectify, _ = arguments
        target, products, biases = (
            builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, products, bias)
        )
        biases, _ = e.given(biases, builder.icmp_signed("!=", bias, e.index(0)))
        added, floor = e.splat(builder.load(biases)), e.floor(rectify)

        def vector(v, _):
            first = builder.mul(v, e.index(e.lanes))
            source, ours = e.at(products, first), e.at(target, builder.mul(first, e.index(TILE)))
            values = [
                [e.load(e.at(source, builder.mul(place, e.index(SIDE * i + j)))) for j in range(SIDE)]
                for i in range(SIDE)
            ]
            for i, line in enumerate(_both_sides(_Lines(e).output, values)):
                line = [builder.fadd(value, added) for value in line]
                line = [builder.select(builder.fcmp_ordered("<", value, floor), floor, value) for value in line]
                first, last = zip(merge(e, line[0], line[2]), merge(e, line[1], line[3]), strict=True)
                for k, value in enumerate([*merge(e, *first), *merge(e, *last)]):
                    offset = builder.add(builder.mul(row, e.index(i)), e.index(k * e.lanes))
                    e.store(value, e.at(ours, offset))
            return []

        e.loop(e.index(0), vectors, 1, [], vector)
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

        def vector(v, _):
            side = builder.mul(v, e.index(e.lanes))

            def tap(t):
                row = builder.add(first, builder.mul(step, e.index(t)))
                return e.load(e.at(taps, builder.add(builder.mul(row, e.index(VECTORS * e.lanes)), side)))

            lines = _both_sides(_Lines(e).weights, [[tap(3 * i + j) for j in range(3)] for i in range(3)])
            for k, value in enumerate(value for line in lines for value in line):
                e.store(value, e.at(target, builder.add(builder.mul(place, e.index(k)), side)))
            return []

        e.loop(e.index(0), e.index(VECTORS), 1, [], vector)
        return context.get_dummy_value()

    return signature, codegen


def _panel(
    y, filters, y_sample, y_height, y_width, x, inputs, x_height, x_width, front, side, weights, place, row, bias, rectify,
    room, start, count, like,
):  # fmt: skip
    """The convolution of `count` tiles from tile `start` on, of all samples' tiles one after the other, with some filters.

    `y_sample` numbers lie between two samples of y, `place` between two places of the weights, `row` between two filters.
    """
    size, lanes = element_bytes(like), vector_lanes(like)
    panel, plane = VECTORS * lanes, (VECTORS + 1) * lanes
    rows, columns = _tiles(y_height, y_width)
    of_planes, of_cells, of_products, _ = _shares(inputs, filters, lanes)
    cells = room + of_planes * size
    products = cells + of_cells * size
    results = products + of_products * size
    vectors = (count + lanes - 1) // lanes
    for c in range(0, inputs, TOGETHER):
        channels, done = min(TOGETHER, inputs - c), 0
        while done < count:
            n, tile = divmod(start + done, rows * columns)
            q, t = divmod(tile, columns)
            some = min(columns - t, count - done)
            _cut(
                room + done * size, plane, x + (n * inputs + c) * x_height * x_width * size, x_height, x_width,
                TILE * q - front, TILE * t - side, some, channels, like,
            )  # fmt: skip
            done += some
        _transform_input(cells + c * panel * size, (inputs + 1) * panel, room, plane, channels, vectors, like)
    for k in range(PLACES):
        multiply_at(
            products + k * (filters + 1) * panel * size, panel, weights + k * place * size, row, 1,
            cells + k * (inputs + 1) * panel * size, panel, filters, vectors * lanes, inputs, like, like * 0,
        )  # fmt: skip
    for f in range(filters):
        _transform_output(
            results, TILE * panel, products + f * panel * size, (filters + 1) * panel, vectors,
            bias + f * size if bias else 0, rectify, like,
        )  # fmt: skip
        done = 0
        while done < count:
            n, tile = divmod(start + done, rows * columns)
            q, t = divmod(tile, columns)
            some = min(columns - t, count - done)
            target = y + (n * y_sample + (f * y_height + TILE * q) * y_width + TILE * t) * size
            copy_rows(
                target, y_width, results + done * TILE * size, TILE * panel, min(TILE, y_height - TILE * q),
                min(TILE * some, y_width - TILE * t), like,
            )  # fmt: skip
            done += some


panel_at = share("winograd", _panel, 19, 1, everywhere=False)


@register_jitable
def _transform_filter(weights, w, part, row, turned, like):
    """The transformed weights of a panel of inputs to one output; `part` numbers all panels of all outputs."""
    size, panel = element_bytes(like), VECTORS * vector_lanes(like)
    f, c = part // (row // panel), part % (row // panel) * panel
    outputs, inputs = (w.shape[1], w.shape[0]) if turned else w.shape[:2]
    if turned:
        source, apart = w[c, f].ctypes.data, w.shape[1] * 9
    else:
        source, apart = w[f, c].ctypes.data, 9
    taps = stack_panel(like)
    pack_panel_transposed(taps, source, apart, 9, min(panel, inputs - c), like)
    target = weights + (f * row + c) * size
    _transform_weights(target, (outputs + 1) * row, taps, 8 if turned else 0, -1 if turned else 1, like)


def _tiled(y, x, w, b, weights, room, spec, turned, activation):
    samples, outputs, inputs, like = y.shape[0], y.shape[1], x.shape[1], y.dtype.type(1)
    size, lanes, height, width = y.itemsize, vector_lanes(like), y.shape[3], y.shape[4]
    rows, columns = _tiles(height, width)
    panel = VECTORS * lanes
    front, side = (2 - spec[4], 2 - spec[5]) if turned else (spec[4], spec[5])
    row = (inputs + panel - 1) // panel * panel  # numbers from one output's weights to the next one's
    of_weights, each = _of_weights(inputs, outputs, lanes), sum(_shares(inputs, outputs, lanes))
    tiles = samples * rows * columns
    panels = (tiles + panel - 1) // panel
    # Every thread has its tiles; where they are too few, several share them and have their filters.
    shares = min(threads(), panels)
    ways = max(1, min(threads() // shares, outputs // LEAST))
    own = shares == 1 or of_weights <= OWN
    if not own:
        for f in prange(outputs):
            for part in range(f * (row // panel), (f + 1) * (row // panel)):
                _transform_filter(weights.ctypes.data, w, part, row, turned, like)
    for task in prange(shares * ways):
        share, way = divmod(task, ways)
        f0, f1 = outputs * way // ways, outputs * (way + 1) // ways
        ours = weights[share * of_weights if own else 0 :].ctypes.data
        if own:
            for part in range(f0 * (row // panel), f1 * (row // panel)):
                _transform_filter(ours, w, part, row, turned, like)
        bias = b.ctypes.data + f0 * size if b.size > 0 else 0
        mine = room[task * each : (task + 1) * each].ctypes.data
        for p in range(panels * share // shares, panels * (share + 1) // shares):
            panel_at(
                y.ctypes.data + f0 * height * width * size, f1 - f0, outputs * height * width, height, width, x.ctypes.data,
                inputs, x.shape[3], x.shape[4], front, side, ours + f0 * row * size, (outputs + 1) * row, row, bias,
                1 if activation == RELU else 0, mine, p * panel, min(panel, tiles - p * panel), like,
            )  # fmt: skip
    if activation != LINEAR and activation != RELU:
        for n in prange(samples):
            activate(y[n].reshape(y[n].size), activation)


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
    rows, columns = _tiles(height, width)
    tiles = samples * rows * columns
    products = 2 * PLACES * tiles * outputs * x.shape[1]
    turning = tiles * (12 * 22 * x.shape[1] + 10 * 18 * outputs)
    return products + turning + y.size * (b.size > 0) + y.size * _FLOPS[activation]


winograd = Kernel(
    "winograd",
    _by_windows,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=_flops,
    cases=_cases,
    blocks=("winograd",),
)
