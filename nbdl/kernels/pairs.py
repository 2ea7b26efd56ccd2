"""Rows copied, and taken two numbers at a time: split into evens and odds, merged again, and pooled two by two.

LLVM's own vectoriser starts at a whole vector of results, and the maps of small pictures have rows of seven or fourteen.
Here the last vector of a row is masked instead. Rows are addresses, and so far apart as the argument before says.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nbdl.kernels.tile import _element, _Emitter


def _orders(e: _Emitter):
    """Shuffles of two vectors: the evens and the odds of their numbers; the first and the last half of them merged."""
    kind, half = ir.VectorType(e.i32, e.lanes), e.lanes // 2
    split = [ir.Constant(kind, [2 * lane + first for lane in range(e.lanes)]) for first in (0, 1)]
    merged = [
        ir.Constant(kind, [first + lane // 2 + lane % 2 * e.lanes for lane in range(e.lanes)]) for first in (0, half)
    ]
    return split, merged


def split(e: _Emitter, near, far):
    """The evens and the odds of the numbers of two vectors."""
    return [e.builder.shuffle_vector(near, far, order) for order in _orders(e)[0]]


def merge(e: _Emitter, evens, odds):
    """Two vectors whose evens and odds those are."""
    return [e.builder.shuffle_vector(evens, odds, order) for order in _orders(e)[1]]


@intrinsic
def copy_rows(typingctx, target, target_row, source, source_row, rows, columns, like):
    """target[i, j] = source[i, j]."""
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, target_row, source, source_row, rows, columns, _ = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))
        whole = builder.sub(columns, builder.srem(columns, e.index(e.lanes)))
        mask = e.mask(builder.sub(columns, whole), 0)

        def row(i, _):
            ours, theirs = e.at(target, builder.mul(target_row, i)), e.at(source, builder.mul(source_row, i))

            def vector(j, _):
                pointer = builder.bitcast(e.at(ours, j), e.vector.as_pointer())
                builder.store(e.load(e.at(theirs, j)), pointer).align = e.bits // 8
                return []

            e.loop(e.index(0), whole, e.lanes, [], vector)
            with builder.if_then(builder.icmp_signed("<", whole, columns)):
                e.store(e.load(e.at(theirs, whole), mask), e.at(ours, whole), mask)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def spread_rows(typingctx, target, target_row, source, source_row, rows, columns, like):
    """target[i, j] = source[i, j], and 0 from there to the next row; behind the last row up to a vector is written."""
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, target_row, source, source_row, rows, columns, _ = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))

        def row(i, _):
            ours, theirs = e.at(target, builder.mul(target_row, i)), e.at(source, builder.mul(source_row, i))

            def vector(j, _):
                e.store(e.load(e.at(theirs, j), e.mask(builder.sub(columns, j), 0)), e.at(ours, j))
                return []

            e.loop(e.index(0), target_row, e.lanes, [], vector)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def split_rows(typingctx, evens, odds, target_row, source, source_row, rows, columns, like):
    """evens[i, j] = source[i, 2 j] and odds[i, j] = source[i, 2 j + 1], for `columns` numbers in each row of source."""
    element = _element(like)
    signature = types.void(*([types.intp] * 7), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        evens, odds, target_row, source, source_row, rows, columns, _ = arguments
        evens, odds, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (evens, odds, source))
        (even, odd), _ = _orders(e)

        def row(i, _):
            theirs, ours = e.at(source, builder.mul(source_row, i)), builder.mul(target_row, i)

            def vectors(j, _):
                left = builder.sub(columns, j)
                near = e.load(e.at(theirs, j), e.mask(left, 0))
                far = e.load(e.at(theirs, builder.add(j, e.index(e.lanes))), e.mask(left, 1))
                at = builder.add(ours, builder.ashr(j, e.index(1)))
                for target, order, more in ((evens, even, 1), (odds, odd, 0)):
                    mask = e.mask(builder.ashr(builder.add(left, e.index(more)), e.index(1)), 0)
                    e.store(builder.shuffle_vector(near, far, order), e.at(target, at), mask)
                return []

            e.loop(e.index(0), columns, 2 * e.lanes, [], vectors)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def merge_rows(typingctx, target, target_row, evens, even_row, odds, odd_row, rows, columns, like):
    """target[i, 2 j] = evens[i, j] and target[i, 2 j + 1] = odds[i, j], for `columns` numbers in each row of target."""
    element = _element(like)
    signature = types.void(*([types.intp] * 8), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, target_row, evens, even_row, odds, odd_row, rows, columns, _ = arguments
        target, evens, odds = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, evens, odds))
        _, (low, high) = _orders(e)

        def row(i, _):
            ours = e.at(target, builder.mul(target_row, i))
            left_row, right_row = (e.at(a, builder.mul(b, i)) for a, b in ((evens, even_row), (odds, odd_row)))

            def vectors(j, _):
                left, q = builder.sub(columns, j), builder.ashr(j, e.index(1))
                even_mask = e.mask(builder.ashr(builder.add(left, e.index(1)), e.index(1)), 0)
                near, far = (
                    e.load(e.at(left_row, q), even_mask),
                    e.load(e.at(right_row, q), e.mask(builder.ashr(left, e.index(1)), 0)),
                )
                e.store(builder.shuffle_vector(near, far, low), e.at(ours, j), e.mask(left, 0))
                e.store(
                    builder.shuffle_vector(near, far, high),
                    e.at(ours, builder.add(j, e.index(e.lanes))),
                    e.mask(left, 1),
                )
                return []

            e.loop(e.index(0), columns, 2 * e.lanes, [], vectors)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


def _largest(e: _Emitter, a, b):
    """The larger of two vectors' numbers, the first of equal ones; not-a-number wins."""
    builder = e.builder
    wins = builder.or_(builder.fcmp_ordered(">", b, a), builder.fcmp_unordered("uno", b, b))
    return builder.select(wins, b, a)


def _squares(e: _Emitter, top, below, left):
    """Corners of the squares two by two that start at `top` and `below`, `left` of them: two above, two below."""
    builder, (split, _) = e.builder, _orders(e)
    cells = builder.shl(left, e.index(1))
    corners = []
    for row in (top, below):
        near, far = (e.load(e.at(row, e.index(v * e.lanes)), e.mask(cells, v)) for v in (0, 1))
        corners += [builder.shuffle_vector(near, far, order) for order in split]
    return corners


@intrinsic
def largest_of_squares(typingctx, y, y_row, x, x_row, rows, columns, like):
    """y[i, j] = the largest of x[2 i, 2 j], x[2 i, 2 j + 1], x[2 i + 1, 2 j], x[2 i + 1, 2 j + 1]."""
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        y, y_row, x, x_row, rows, columns, _ = arguments
        y, x = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (y, x))

        def row(i, _):
            ours, top = e.at(y, builder.mul(y_row, i)), e.at(x, builder.mul(x_row, builder.shl(i, e.index(1))))

            def vector(j, _):
                left, here = builder.sub(columns, j), e.at(top, builder.shl(j, e.index(1)))
                a, b, c, d = _squares(e, here, e.at(here, x_row), left)
                e.store(_largest(e, _largest(e, a, b), _largest(e, c, d)), e.at(ours, j), e.mask(left, 0))
                return []

            e.loop(e.index(0), columns, e.lanes, [], vector)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def give_to_largest(typingctx, dx, x, x_row, dy, y, y_row, rows, columns, rectified, like):
    """dx of the first cell of each square two by two that equals its y takes dy, the three others 0.

    With `rectified` 1 none takes any where y is not above 0.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 9), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        dx, x, x_row, dy, y, y_row, rows, columns, rectified, _ = arguments
        dx, x, dy, y = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (dx, x, dy, y))
        _, merged = _orders(e)
        always = e.splat(builder.icmp_signed("==", rectified, e.index(0)), ir.VectorType(ir.IntType(1), e.lanes))

        def row(i, _):
            below, above = builder.mul(y_row, i), builder.mul(x_row, builder.shl(i, e.index(1)))

            def vector(j, _):
                left, at = builder.sub(columns, j), builder.add(above, builder.shl(j, e.index(1)))
                mask, cells = e.mask(left, 0), builder.shl(left, e.index(1))
                error, winner = (e.load(e.at(base, builder.add(below, j)), mask) for base in (dy, y))
                flows = builder.or_(always, builder.fcmp_ordered(">", winner, e.zero))
                error = builder.select(flows, error, e.zero)
                corners = _squares(e, e.at(x, at), e.at(e.at(x, at), x_row), left)
                shares, free = [], None
                for corner in corners:
                    equal = builder.fcmp_ordered("==", corner, winner)
                    mine = equal if free is None else builder.and_(equal, free)
                    shares.append(builder.select(mine, error, e.zero))
                    other = builder.not_(equal)
                    free = other if free is None else builder.and_(free, other)
                for side, row_at in enumerate((at, builder.add(at, x_row))):
                    for v, order in enumerate(merged):
                        pair = builder.shuffle_vector(shares[2 * side], shares[2 * side + 1], order)
                        e.store(pair, e.at(dx, builder.add(row_at, e.index(v * e.lanes))), e.mask(cells, v))
                return []

            e.loop(e.index(0), columns, e.lanes, [], vector)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen
