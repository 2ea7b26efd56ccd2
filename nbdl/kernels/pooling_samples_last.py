"""Max pooling of squares of two by two cells with the samples last: every lane is another sample.

    y[c, p] = the largest of the four x[c, i] of p        dx[c, i] = dy[c, p] where i is the first largest of p, else 0

With `rectified` 1 x came out of a ReLU, whose derivative backward takes along: where y is 0, no gradient flows. An odd last
line or column belongs to no square.

Shape: x and dx (blocks, C, 1, H, W, L), y and dy (blocks, C, 1, H // 2, W // 2, L), as in kernels/samples_last.py.
"""

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic, register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.pooling import MAX, MAX_RECTIFIED, pool_backward, pool_forward
from nbdl.kernels.samples_last import PARALLEL_BYTES, place_of, plain_order, samples_last
from nbdl.kernels.tile import SIMD, _element, _Emitter

SQUARES = (1, 2, 2, 1, 2, 2, 0, 0, 0)  # their spec in kernels/pooling.py


def _fours(e: _Emitter, source, width, line, column):
    """Pointers to the four cells of a square, line by line."""
    builder, lanes = e.builder, e.index(e.lanes)
    first = builder.add(builder.mul(width, builder.mul(line, e.index(2))), builder.mul(column, e.index(2)))
    top = e.at(source, builder.mul(first, lanes))
    below = e.at(top, builder.mul(width, lanes))
    return top, e.at(top, lanes), below, e.at(below, lanes)


@intrinsic
def largest_of_fours(typingctx, target, source, width, lines, columns, like):
    """The largest of each square of one map of so many lines and columns of squares; NaN wins, as it must be seen."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, source, width, lines, columns, _ = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))

        def line(y, _):
            def square(x, _):
                first, *others = (e.load(pointer) for pointer in _fours(e, source, width, y, x))
                for other in others:
                    first = builder.select(builder.fcmp_unordered("<=", other, first), first, other)
                    first = builder.select(builder.fcmp_unordered("uno", other, other), other, first)
                place = builder.add(builder.mul(y, columns), x)
                e.store(first, e.at(target, builder.mul(place, e.index(e.lanes))))
                return []

            e.loop(e.index(0), columns, 1, [], square)
            return []

        e.loop(e.index(0), lines, 1, [], line)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def give_to_first(typingctx, dx, x, dy, y, width, lines, columns, rectified, like):
    """Give the error of each square of one map to its first largest cell, and 0 to the others."""
    element = _element(like)
    signature = types.void(*([types.intp] * 8), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        dx, x, dy, y, width, lines, columns, rectified, _ = arguments
        dx, x, dy, y = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (dx, x, dy, y))
        every = e.splat(builder.icmp_signed("==", rectified, e.index(0)), ir.VectorType(ir.IntType(1), e.lanes))

        def line(i, _):
            def square(j, _):
                place = builder.mul(builder.add(builder.mul(i, columns), j), e.index(e.lanes))
                most = e.load(e.at(y, place))
                open_ = builder.or_(every, builder.fcmp_ordered(">", most, e.zero))
                error = builder.select(open_, e.load(e.at(dy, place)), e.zero)
                for source, target in zip(_fours(e, x, width, i, j), _fours(e, dx, width, i, j), strict=True):
                    first = builder.fcmp_ordered("==", e.load(source), most)
                    e.store(builder.select(first, error, e.zero), target)
                    error = builder.select(first, e.zero, error)
                return []

            e.loop(e.index(0), columns, 1, [], square)
            return []

        e.loop(e.index(0), lines, 1, [], line)
        return context.get_dummy_value()

    return signature, codegen


def _tiled(y, x):
    for part in prange(y.shape[0] * y.shape[1]):
        block, c = part // y.shape[1], part % y.shape[1]
        target, source = y[block, c].ctypes.data, x[block, c].ctypes.data
        largest_of_fours(target, source, x.shape[4], y.shape[3], y.shape[4], y.dtype.type(1))


def _backward_tiled(dx, dy, x, y, rectified):
    zero, odd = dx.dtype.type(0), y.shape[3] * 2 < x.shape[3] or y.shape[4] * 2 < x.shape[4]
    for part in prange(y.shape[0] * y.shape[1]):
        block, c = part // y.shape[1], part % y.shape[1]
        if odd:
            dx[block, c] = zero
        give_to_first(
            dx[block, c].ctypes.data, x[block, c].ctypes.data, dy[block, c].ctypes.data, y[block, c].ctypes.data,
            x.shape[4], y.shape[3], y.shape[4], rectified, dx.dtype.type(1),
        )  # fmt: skip


@register_jitable
def _largest(x, block, c, line, column, lane):
    """The element of y at a place."""
    most = x[block, c, 0, 2 * line, 2 * column, lane]
    for k in range(1, 4):
        other = x[block, c, 0, 2 * line + k // 2, 2 * column + k % 2, lane]
        if other > most or other != other:
            most = other
    return most


@register_jitable
def _error(dy, x, y, rectified, block, c, line, column, lane):
    """The element of dx at a place."""
    zero = x.dtype.type(0)
    if line // 2 >= y.shape[3] or column // 2 >= y.shape[4]:
        return zero
    most = y[block, c, 0, line // 2, column // 2, lane]
    if x[block, c, 0, line, column, lane] != most or (rectified and not most > zero):
        return zero
    for k in range(line % 2 * 2 + column % 2):
        if x[block, c, 0, line // 2 * 2 + k // 2, column // 2 * 2 + k % 2, lane] == most:
            return zero
    return dy[block, c, 0, line // 2, column // 2, lane]


def _plain(y, x):
    for e in prange(y.size):
        block, c, line, column, lane = place_of(y, e)
        y[block, c, 0, line, column, lane] = _largest(x, block, c, line, column, lane)


def _backward_plain(dx, dy, x, y, rectified):
    for e in prange(dx.size):
        block, c, line, column, lane = place_of(dx, e)
        dx[block, c, 0, line, column, lane] = _error(dy, x, y, rectified, block, c, line, column, lane)


def _cuda(y, x):
    e = cuda.grid(1)
    if e < y.size:
        block, c, line, column, lane = place_of(y, e)
        y[block, c, 0, line, column, lane] = _largest(x, block, c, line, column, lane)


def _backward_cuda(dx, dy, x, y, rectified):
    e = cuda.grid(1)
    if e < dx.size:
        block, c, line, column, lane = place_of(dx, e)
        dx[block, c, 0, line, column, lane] = _error(dy, x, y, rectified, block, c, line, column, lane)


def _reference(y, x):
    small = np.empty((len(x) * x.shape[-1], *y.shape[1:-1]), y.dtype)
    pool_forward.reference(small, plain_order(x), SQUARES, MAX)
    y[...] = samples_last(small)


def _backward_reference(dx, dy, x, y, rectified):
    large = np.empty((len(x) * x.shape[-1], *x.shape[1:-1]), x.dtype)
    kind = MAX_RECTIFIED if rectified else MAX
    pool_backward.reference(large, plain_order(dy), plain_order(x), plain_order(y), SQUARES, kind)
    dx[...] = samples_last(large)


def _arrays(random, dtype):
    for samples, channels, height, width in ((1, 1, 2, 2), (3, 2, 5, 4), (17, 2, 4, 7), (9, 6, 6, 6)):
        x = random.integers(-3, 4, (samples, channels, 1, height, width)).astype(dtype)  # with many ties
        y = np.empty((samples, channels, 1, height // 2, width // 2), dtype)
        yield samples_last(x), samples_last(y)


def _cases(random, dtype):
    for x, y in _arrays(random, dtype):
        yield y, x


def _backward_cases(random, dtype):
    for x, y in _arrays(random, dtype):
        for rectified in (0, 1):
            x = np.maximum(x, 0) if rectified else x
            _reference(y, x)
            yield np.empty_like(x), random.standard_normal(y.shape).astype(dtype), x, y.copy(), rectified


pool_samples_last = Kernel(
    "pool_samples_last",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=lambda y, x: 4 * y.size,
    cases=_cases,
    parallel_bytes=PARALLEL_BYTES,
)
pool_backward_samples_last = Kernel(
    "pool_backward_samples_last",
    _backward_reference,
    _backward_plain if SIMD == "plain" else _backward_tiled,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dx, dy, x, y, rectified: 4 * y.size,
    cases=_backward_cases,
    parallel_bytes=PARALLEL_BYTES,
)
