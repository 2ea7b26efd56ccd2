"""Small maps with the samples last: a vector holds the same cell of as many samples as it has lanes.

    y[b, ..., l] = x[b L + l, ...]        and the way back

Lines of a few cells fill no vector, and a filter that reaches over their ends wastes more of it. Where the lanes are samples,
each of them works whatever a map's size, every cell begins a vector, and what filters, windows and borders do is the same for
all lanes. The layers between the two ways (see nbdl/layers/samples_last.py) keep this order in memory. The last block is
filled with samples of zeros, whose gradients are zeros too.

Shape: x (N, cells), y (ceil(N / L), cells, L), L the lanes of a vector of that element type.
(The order C H W N of A. Krizhevsky's cuda-convnet, 2012, in blocks of L.)
"""

import numpy as np
from llvmlite import ir
from numba import from_dtype, prange, types
from numba.extending import intrinsic, register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.tile import SIMD, _element, _emit_transpose, _Emitter, lanes

PIECE = 256  # cells that a thread turns at a time
PARALLEL_BYTES = 200_000  # nothing but memory: threads pay earlier than elsewhere


def lanes_of(dtype) -> int:
    """Samples of a block: the lanes of a vector."""
    return lanes(from_dtype(np.dtype(dtype)))


def blocks_for(samples: int, dtype) -> int:
    """Blocks that so many samples fill."""
    return -(-samples // lanes_of(dtype))


def plain_order(array: np.ndarray, samples: int | None = None) -> np.ndarray:
    """A copy with the samples first. Shape: (blocks, ..., L) -> (samples, ...)"""
    blocks, *shape, each = array.shape
    return np.moveaxis(array, -1, 1).reshape(blocks * each, *shape)[:samples]


def samples_last(array: np.ndarray) -> np.ndarray:
    """A copy in blocks with the samples last. Shape: (N, ...) -> (ceil(N / L), ..., L)"""
    blocks, each = blocks_for(len(array), array.dtype), lanes_of(array.dtype)
    filled = np.zeros((blocks * each, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return np.ascontiguousarray(np.moveaxis(filled.reshape(blocks, each, *array.shape[1:]), 1, -1))


@register_jitable
def place_of(array, e):
    """Block, channel, line, column and lane of element e of (blocks, channels, 1, lines, columns, L)."""
    lanes, columns, lines = array.shape[5], array.shape[4], array.shape[3]
    rest = e // (lanes * columns * lines)
    return (
        rest // array.shape[1],
        rest % array.shape[1],
        e // (lanes * columns) % lines,
        e // lanes % columns,
        e % lanes,
    )


def _square(e: _Emitter, rows):
    """Rows, from pointers and masks, turned into columns."""
    return _emit_transpose(e, [e.load(pointer, mask) for pointer, mask in rows])


@intrinsic
def turn_in(typingctx, target, source, source_row, samples, cells, like):
    """target[s, l] = source[l, s] for `cells` cells s of `samples` samples l; lanes without a sample are 0."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, source, source_row, samples, cells, _ = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))
        last, rows = builder.sub(samples, e.index(1)), []
        for lane in range(e.lanes):
            there = builder.icmp_signed("<=", e.index(lane), last)
            number = builder.select(there, e.index(lane), last)
            all_lanes = e.splat(there, ir.VectorType(ir.IntType(1), e.lanes))
            rows.append((e.at(source, builder.mul(source_row, number)), all_lanes))

        def turn(s, _):
            left = builder.sub(cells, s)
            mask = e.mask(left, 0)
            square = _square(e, [(e.at(row, s), builder.and_(mask, there)) for row, there in rows])
            for i, vector in enumerate(square):
                with builder.if_then(builder.icmp_signed("<", e.index(i), left), likely=True):
                    e.store(vector, e.at(target, builder.mul(builder.add(s, e.index(i)), e.index(e.lanes))))
            return []

        e.loop(e.index(0), cells, e.lanes, [], turn)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def turn_out(typingctx, target, target_row, source, samples, cells, like):
    """target[l, s] = source[s, l] for `cells` cells s of `samples` samples l."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, target_row, source, samples, cells, _ = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))
        last = builder.sub(cells, e.index(1))

        def turn(s, _):
            rows, mask = [], e.mask(builder.sub(cells, s), 0)
            for i in range(e.lanes):
                number = builder.add(s, e.index(i))
                number = builder.select(builder.icmp_signed("<", number, last), number, last)
                rows.append((e.at(source, builder.mul(number, e.index(e.lanes))), None))
            for lane, vector in enumerate(_square(e, rows)):
                with builder.if_then(builder.icmp_signed("<", e.index(lane), samples), likely=True):
                    e.store(vector, e.at(target, builder.add(builder.mul(target_row, e.index(lane)), s)), mask)
            return []

        e.loop(e.index(0), cells, e.lanes, [], turn)
        return context.get_dummy_value()

    return signature, codegen


def _to_reference(y, x):
    y[...] = samples_last(x)


def _to_cpu(y, x):
    pieces, size = (x.shape[1] + PIECE - 1) // PIECE, x.itemsize
    for part in prange(y.shape[0] * pieces):
        block, s = part // pieces, part % pieces * PIECE
        n = block * y.shape[2]
        turn_in(
            y[block, s].ctypes.data, x.ctypes.data + (n * x.shape[1] + s) * size, x.shape[1],
            min(y.shape[2], x.shape[0] - n), min(PIECE, x.shape[1] - s), x.dtype.type(1),
        )  # fmt: skip


def _to_plain(y, x):
    for part in prange(y.shape[0] * y.shape[1]):
        block, s = part // y.shape[1], part % y.shape[1]
        for lane in range(y.shape[2]):
            n = block * y.shape[2] + lane
            y[block, s, lane] = x[n, s] if n < x.shape[0] else x.dtype.type(0)


def _to_cuda(y, x):
    e = cuda.grid(1)
    if e < y.size:
        lane, s, block = e % y.shape[2], e // y.shape[2] % y.shape[1], e // (y.shape[2] * y.shape[1])
        n = block * y.shape[2] + lane
        y[block, s, lane] = x[n, s] if n < x.shape[0] else x.dtype.type(0)


def _from_reference(x, y):
    x[...] = plain_order(y, len(x))


def _from_cpu(x, y):
    pieces, size = (x.shape[1] + PIECE - 1) // PIECE, x.itemsize
    for part in prange(y.shape[0] * pieces):
        block, s = part // pieces, part % pieces * PIECE
        n = block * y.shape[2]
        turn_out(
            x.ctypes.data + (n * x.shape[1] + s) * size, x.shape[1], y[block, s].ctypes.data,
            min(y.shape[2], x.shape[0] - n), min(PIECE, x.shape[1] - s), x.dtype.type(1),
        )  # fmt: skip


def _from_plain(x, y):
    for n in prange(x.shape[0]):
        for s in range(x.shape[1]):
            x[n, s] = y[n // y.shape[2], s, n % y.shape[2]]


def _from_cuda(x, y):
    e = cuda.grid(1)
    if e < x.size:
        n, s = e // x.shape[1], e % x.shape[1]
        x[n, s] = y[n // y.shape[2], s, n % y.shape[2]]


def _cases(random, dtype):
    for samples, cells in ((1, 1), (3, 40), (16, 16), (17, 33), (9, 300)):
        x = random.standard_normal((samples, cells)).astype(dtype)
        yield samples_last(x), x


def _from_cases(random, dtype):
    for y, x in _cases(random, dtype):
        yield np.empty_like(x), y


to_samples_last = Kernel(
    "to_samples_last",
    _to_reference,
    _to_plain if SIMD == "plain" else _to_cpu,
    _to_cuda,
    grid=a_thread_each,
    flops=lambda y, x: 0,
    cases=_cases,
    parallel_bytes=PARALLEL_BYTES,
)
from_samples_last = Kernel(
    "from_samples_last",
    _from_reference,
    _from_plain if SIMD == "plain" else _from_cpu,
    _from_cuda,
    grid=a_thread_each,
    flops=lambda x, y: 0,
    cases=_from_cases,
    parallel_bytes=PARALLEL_BYTES,
)
