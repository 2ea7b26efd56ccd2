"""Winograd's minimal filtering of pictures with filters of 3 x 3: cutting tiles, and turning them to where they are multiplied.

    Y = A^T [(G g G^T) * (B^T d B)] A        for each tile: d 6 x 6 cells of the input, Y 4 x 4 of the output, g the filter

A filter and a line of cells are polynomials, and their product is known from its values at 0, p, -p, q, -q and infinity:
G and B^T go to those points, A^T comes back. With p = 1/sqrt(2) and q = sqrt(2),

    B^T = 1   0  -5/2   0    1   0     G =   1       0       0      A^T = 1   1    1    1    1   0
          0  -2p  -2    p    1   0         -2/3   -2/3 p   -1/3           0   p   -p    q   -q   0
          0   2p  -2   -p    1   0         -2/3    2/3 p   -1/3           0  1/2  1/2   2    2   0
          0 -q/2 -1/2   q    1   0          1/6    q/6      1/3           0  p/2 -p/2  2q  -2q   1
          0  q/2 -1/2  -q    1   0          1/6   -q/6      1/3
          0   1    0  -5/2   0   1           0       0       1

The product * is number by number: 36 where the windows of a tile take 144. The gradient of the filter is the same read
backwards, with E the errors of the tile's output: dg = G^T [(A E A^T) * (B^T d B)] G.

Rounding: with 32 to 256 channels the largest error is 2 to 3 times that of the windows' sums; the usual points 1 and 2
would give 6 to 8 times. (Lavin and Gray 2016, Fast algorithms for convolutional neural networks; points after Barabasz,
Anderson, Soodhalter and Gregg 2020, Error analysis and improving the accuracy of Winograd convolution.)
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from nbdl.kernels.pairs import merge, split
from nbdl.kernels.tile import REGISTER_BYTES, SIMD, VECTORS, _element, _Emitter, element_bytes

TILE, SIDE = 4, 6  # cells of a tile's side in the output, and in the input
PLACES = SIDE * SIDE
P, Q = 0.5**0.5, 2**0.5  # P Q = 1 spares a product at each end of a line
FEWEST_LANES, MOST_LANES = (max(16, REGISTER_BYTES) // size for size in (8, 4))
LEAST = 16  # filters that a thread has at least
# Products that take as long as to turn a tile of a channel, one of a filter, and a filter of a channel.
TURNING = 800, 300, 600
TOGETHER = 4  # channels that are cut into tiles before the first is turned: what is just written is slow to read


def suits(samples: int, y, w, spec, turning=TURNING, share: float = 0.9) -> bool:
    """Whether a convolution to so many maps like y has 3 x 3 filters and takes less than a share of the windows' products.

    What turning costs is measured in products. It must hold for the gradient of the input too, with channels and filters
    exchanged.
    """
    filters, channels, *kernel = w.shape
    plain = kernel == [1, 3, 3] and spec[:3] == (1, 1, 1) and spec[6:] == (1, 1, 1, 1) and max(spec[3:6]) <= 2
    depth, height, width = y.shape[2:]
    if SIMD == "plain" or not plain or depth > 1:
        return False
    rows, columns = tiles_of(height, width)
    products, (of_channel, of_filter, of_weight) = filters * channels, turning
    a_tile = PLACES * products + of_channel * max(filters, channels) + of_filter * min(filters, channels)
    windows = samples * 9 * height * width * products
    return samples * rows * columns * a_tile + of_weight * products <= share * windows


@register_jitable
def tiles_of(height, width):
    """Rows and columns of tiles that cover a map of an output."""
    return (height + TILE - 1) // TILE, (width + TILE - 1) // TILE


@register_jitable
def whole_panels(numbers, lanes):
    """So many numbers, or more up to whole panels of vectors."""
    return (numbers + VECTORS * lanes - 1) // (VECTORS * lanes) * VECTORS * lanes


class _Lines:
    """The matrices, as instructions that multiply a line of vectors by them."""

    def __init__(self, e: _Emitter):
        self.fma, self.add, self.sub, self.mul = e.fma, e.builder.fadd, e.builder.fsub, e.builder.fmul
        self.number = lambda value: ir.Constant(e.vector, [value] * e.lanes)

    def cells(self, d):
        """B^T d."""

        def points(p, q):
            even, odd = (self.fma(self.number(-q * q), d[i], d[i + 2]) for i in (2, 1))
            return self._both_signs(p, odd, even)

        both = self.number(-P * P - Q * Q)
        ends = [self.add(self.fma(both, d[i + 2], d[i]), d[i + 4]) for i in (0, 1)]
        return [ends[0], *points(P, Q), *points(Q, P), ends[1]]

    def filters(self, g):
        """G g."""

        def points(p, q):
            scale = _scale(p, q)
            even = self.fma(self.number(scale * p * p), g[2], self.mul(self.number(scale), g[0]))
            return self._both_signs(scale * p, g[1], even)

        return [g[0], *points(P, Q), *points(Q, P), g[2]]

    def sums(self, m):
        """G^T m."""
        near, far, slope, steep = self._pairs(m)

        def power(n, near, far):
            factors = [self.number(p**n * _scale(p, q)) for p, q in ((P, Q), (Q, P))]
            return self.fma(factors[1], far, self.mul(factors[0], near))

        ends = [self.add(power(n, near, far), m[place]) for n, place in ((0, 0), (2, 5))]
        return [ends[0], power(1, slope, steep), ends[1]]

    def outputs(self, m):
        """A^T m."""
        near, far, slope, steep = self._pairs(m)

        def power(n, near, far):
            return self.fma(self.number(Q**n), far, self.mul(self.number(P**n), near))

        first, last = self.add(m[0], self.add(near, far)), self.add(power(3, slope, steep), m[5])
        return [first, power(1, slope, steep), power(2, near, far), last]

    def errors(self, y):
        """A y."""

        def points(p):
            even, odd = (self.fma(self.number(p * p), y[i + 2], y[i]) for i in (0, 1))
            return self._both_signs(p, odd, even)

        return [y[0], *points(P), *points(Q), y[3]]

    def _both_signs(self, p, odd, even):
        return [self.fma(self.number(sign * p), odd, even) for sign in (1, -1)]

    def _pairs(self, m):
        """Sums of the values at p and -p, and at q and -q, and their differences."""
        return self.add(m[1], m[2]), self.add(m[3], m[4]), self.sub(m[1], m[2]), self.sub(m[3], m[4])


def _scale(p, q):
    """Of the filter's value at p or -p: 1 over the product of the distances to the other points."""
    return 1 / (2 * p * p * (p * p - q * q))


def _both_sides(transform, values):
    """M values M^T for rows and columns of vectors, where `transform` multiplies a line by M."""
    columns = [transform(column) for column in zip(*values, strict=True)]
    return [transform(row) for row in zip(*columns, strict=True)]


def _squares(e: _Emitter, source, place, side: int):
    """Rows and columns of vectors: the numbers, `place` apart, of neighbouring squares of `side` x `side`."""
    numbers = [e.load(e.at(source, e.builder.mul(place, e.index(k)))) for k in range(side * side)]
    return [numbers[side * i : side * (i + 1)] for i in range(side)]


def _turning(side: int, matrix: str):
    """A function that multiplies squares of `side` x `side` numbers by a matrix from both sides, vectors of squares at a time.

    The numbers of a square stand `source_place` apart, those of its result `target_place`; there are `vectors` vectors of
    neighbouring squares in each of some rows.
    """

    @intrinsic
    def turn(typingctx, target, target_row, target_place, source, source_row, source_place, rows, vectors, like):
        element = _element(like)
        signature = types.void(*([types.intp] * 8), element)

        def codegen(context, builder, signature, arguments):
            e = _Emitter(builder, element)
            target, target_row, target_place, source, source_row, source_place, rows, vectors, _ = arguments
            target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))

            def squares(row, v):
                first = builder.mul(v, e.index(e.lanes))
                theirs = e.at(source, builder.add(builder.mul(row, source_row), first))
                ours = e.at(target, builder.add(builder.mul(row, target_row), first))
                values = _squares(e, theirs, source_place, side)
                results = _both_sides(getattr(_Lines(e), matrix), values)
                for k, value in enumerate(value for line in results for value in line):
                    e.store(value, e.at(ours, builder.mul(target_place, e.index(k))))
                return []

            def row(r, _):
                return e.loop(e.index(0), vectors, 1, [], lambda v, _: squares(r, v))

            e.loop(e.index(0), rows, 1, [], row)
            return context.get_dummy_value()

        return signature, codegen

    return turn


turn_cells = _turning(SIDE, "cells")  # B^T d B
turn_filters = _turning(3, "filters")  # G g G^T
turn_errors = _turning(TILE, "errors")  # A E A^T
turn_sums = _turning(SIDE, "sums")  # G^T m G


@intrinsic
def turn_outputs(typingctx, target, row, products, place, vectors, bias, rectify, like):
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
            values = _both_sides(_Lines(e).outputs, _squares(e, source, place, SIDE))
            for i, line in enumerate(values):
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


def _cutting(side: int):
    """A function that cuts one row of tiles, each of `side` x `side` cells and four from the next, out of some maps.

    planes[c, i, j, t] = x[c, row + i, column + 4 t + j], and 0 outside of the map; up to a vector more is written behind
    the last tile. What lies `ahead` is asked for on the way.
    Shape: x (channels, height, width), planes (channels, side, side, plane).
    """

    @intrinsic
    def cut(typingctx, planes, plane, x, height, width, row, column, tiles, channels, ahead, like):
        element = _element(like)
        signature = types.void(*([types.intp] * 10), element)

        def codegen(context, builder, signature, arguments):
            e = _Emitter(builder, element)
            planes, plane, x, height, width, row, column, tiles, channels, ahead, _ = arguments
            planes, x = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (planes, x))
            zero, reads = e.index(0), TILE + (side > TILE)  # vectors of cells that a vector of tiles lies on

            def vector(t, _):
                first = builder.add(column, builder.mul(t, e.index(TILE)))
                left, before = builder.sub(width, first), builder.sub(zero, first)
                masks = [builder.and_(e.mask(left, v), builder.not_(e.mask(before, v))) for v in range(reads)]
                offsets = []
                for v in range(reads):
                    here = builder.add(first, e.index(v * e.lanes))
                    # Where no cell is left, the row's own begin is read, and not an address that need not be mapped.
                    offsets.append(builder.select(builder.icmp_signed("<", here, width), here, zero))

                def line(c, i):
                    number = builder.add(row, i)
                    ours = builder.mul(builder.add(builder.mul(c, e.index(side)), i), e.index(side))
                    ours = e.at(planes, builder.add(builder.mul(plane, ours), t))
                    theirs = e.at(x, builder.mul(width, builder.add(builder.mul(c, height), number)))
                    inside = builder.and_(
                        builder.icmp_signed("<=", zero, number), builder.icmp_signed("<", number, height)
                    )

                    def put(columns):
                        for j, value in enumerate(columns):
                            e.store(value, e.at(ours, builder.mul(plane, e.index(j))))

                    with builder.if_else(inside) as (there, border):
                        with there:
                            for offset in offsets[:TILE]:
                                e.prefetch(e.at(e.at(theirs, offset), ahead))
                            put(_columns(e, [e.load(e.at(theirs, o), m) for o, m in zip(offsets, masks, strict=True)]))
                        with border:
                            put([e.zero] * side)
                    return []

                def channel(c, _):
                    return e.loop(zero, e.index(side), 1, [], lambda i, _: line(c, i))

                e.loop(zero, channels, 1, [], channel)
                return []

            e.loop(zero, tiles, e.lanes, [], vector)
            return context.get_dummy_value()

        return signature, codegen

    @register_jitable
    def cut_panel(planes, plane, x, channels, height, width, rows, columns, front, side, start, count, together, like):
        """Cut `count` tiles from tile `start` on, of all samples' tiles one after the other, out of some channels of x."""
        size, done = element_bytes(like), 0
        tiles = rows * columns
        # About how far behind the same channels' next tiles lie, which are wanted soon.
        ahead = count * TILE * TILE if tiles > count else count // tiles * channels * height * width
        while done < count:
            n, tile = divmod(start + done, tiles)
            q, t = divmod(tile, columns)
            some = min(columns - t, count - done)
            cut(
                planes + done * size, plane, x + n * channels * height * width * size, height, width, TILE * q - front,
                TILE * t - side, some, together, ahead, like,
            )  # fmt: skip
            done += some

    return cut_panel


def _columns(e: _Emitter, cells):
    """The four columns of a vector of tiles, from vectors of neighbouring cells; with one more of those, six."""
    evens, odds = zip(*(split(e, *cells[v : v + 2]) for v in (0, 2)), strict=True)
    (first, third), (second, fourth) = split(e, *evens), split(e, *odds)

    def following(column, number):
        """A column of the tiles next to them."""
        lanes = [*range(1, e.lanes), e.lanes + number]
        return e.builder.shuffle_vector(column, cells[TILE], ir.Constant(ir.VectorType(e.i32, e.lanes), lanes))

    more = [following(first, 0), following(second, 1)] if len(cells) > TILE else []
    return [first, second, third, fourth, *more]


cut_cells, cut_errors = _cutting(SIDE), _cutting(TILE)
