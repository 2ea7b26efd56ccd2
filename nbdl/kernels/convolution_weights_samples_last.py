"""The gradients of a small convolution's weights and biases, with the samples last.

    dw[f, c, t] = sum over n, p of dz[n, f, p] x[n, c, p + t - padding]       db[f] = sum over n, p of dz[n, f, p]

The sums of a piece of a block's lines are vectors, one lane a sample; their lanes are added at the end of the piece, and the
pieces, which depend on shapes only, are added up in `partial`. Samples that only fill the last block have a dz of 0.

Shape: x (blocks, C, 1, H, W, L), dz (blocks, F, 1, H', W', L), dw (F, C, 1, kernel), db (F); `stage` and `partial` as
`rooms` says; `spec` and L as in kernels/convolution_samples_last.py.
"""

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic, register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.convolution_samples_last import examples
from nbdl.kernels.convolution_weights import convolve_weights
from nbdl.kernels.pairs import copy_rows
from nbdl.kernels.samples_last import plain_order
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    SIMD,
    _apart,
    _element,
    _emit_lane_sums,
    _Emitter,
    _switch,
    blend_rows,
    element_bytes,
    put,
    stack_integers,
    vector_lanes,
)

# Filters and weights of each that are summed at a time: their sums and the errors stay in registers.
ROWS, COLUMNS = (6, 4) if SIMD in ("avx512", "neon") else (3, 3)
CELLS = 112  # of a piece: the errors of ROWS filters then fit the first-level cache
MOST_PIECES = 64  # of all blocks together


@register_jitable
def pieces_of(blocks, lines, across):
    """Pieces that the lines of a block are cut into: many cells, or the adding of lanes would take too long."""
    return max(1, min(lines * across // CELLS, MOST_PIECES // blocks))


@register_jitable
def _staged(lines, across, kernel_y, kernel_x):
    """Cells of a channel, and of a line, of the bordered input under `lines` lines; odd, as in the forward kernel."""
    row = across + kernel_x - 1
    return (lines + kernel_y - 1) * row | 1, row


def rooms(blocks: int, dz, x, w, spec, lanes: int) -> dict[str, int]:
    """Numbers that the kernel needs: the input with its border, piece by piece, and each piece's sums."""
    lines, across = dz.shape[3:5]
    pieces = pieces_of(blocks, lines, across)
    plane, _ = _staged(-(-lines // pieces), across, *w.shape[3:5])
    bordered = max(spec[3:6]) > 0
    numbers = w.shape[0] * (w.shape[1] * w.shape[3] * w.shape[4] + 1)
    return {
        "stage_weights": blocks * pieces * x.shape[1] * plane * lanes if bordered else 1,
        "partial": blocks * pieces * numbers,
    }


@intrinsic
def sums_tile(typingctx, rows, columns, a, a_row, a_line, b, table, b_line, lines, across, c, c_row, like):
    """C[i, j] = sum over cells and lanes of A[i] B[j], for `lines` lines of `across` vectors; without columns those of A[i].

    Row j of B stands `table[j]` elements behind b; lines of A and B are `a_line` and `b_line` elements apart.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 12), element)

    def codegen(context, builder, signature, arguments):
        def case(height, width):
            def emit(builder, arguments):
                _emit_sums(_Emitter(builder, element), height, width, *arguments)

            return lambda: _apart(builder, f"sums_{height}_{width}", arguments, emit)

        shapes = [(height, width) for height in range(1, ROWS + 1) for width in range(COLUMNS + 1)]
        choice = builder.add(builder.mul(arguments[0], ir.Constant(arguments[0].type, 8)), arguments[1])
        _switch(builder, choice, {height * 8 + width: case(height, width) for height, width in shapes})
        return context.get_dummy_value()

    return signature, codegen


def _emit_sums(
    e: _Emitter, height, width, rows, columns, a, a_row, a_line, b, table, b_line, lines, across, c, c_row, like
):
    """Two loops, over lines and their cells, with height x width accumulators."""
    builder = e.builder
    a, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c))
    table = builder.inttoptr(table, e.i64.as_pointer())
    row_of = e.row_offsets(a_row, height)
    sources = [e.at(b, builder.load(e.at(table, e.index(j)))) for j in range(width)]
    end = builder.mul(across, e.index(e.lanes))

    def line(y, acc):
        ours = e.at(a, builder.mul(a_line, y))
        theirs = [e.at(source, builder.mul(b_line, y)) for source in sources]

        def cell(k, acc):
            errors = [e.load(row_of(e.at(ours, k), i)) for i in range(height)]
            if not width:
                return [builder.fadd(total, error) for total, error in zip(acc, errors, strict=True)]
            cells = [e.load(e.at(source, k)) for source in theirs]
            return [e.fma(errors[i], cells[j], acc[i * width + j]) for i in range(height) for j in range(width)]

        return e.loop(e.index(0), end, e.lanes, acc, cell)

    across_of = max(1, width)
    total = e.loop(e.index(0), lines, 1, [e.zero] * (height * across_of), line)
    for first in range(0, len(total), e.lanes):
        group = total[first : first + e.lanes]
        sums = _emit_lane_sums(e, group)
        for lane in range(len(group)):
            i, j = divmod(first + lane, across_of)
            here = e.at(c, builder.add(builder.mul(c_row, e.index(i)), e.index(j)))
            builder.store(builder.extract_element(sums, ir.Constant(e.i32, lane)), here)


def _sums_block(
    sums, dz, map_cells, dz_line, x, plane, x_line, lines, across, f0, f1, filters, channels, kernel_y, kernel_x, like
):  # fmt: skip
    """The sums of filters f0 to f1 in one piece: weights (filters, channels x taps), and behind them the biases."""
    lanes, size, places = vector_lanes(like), element_bytes(like), stack_integers()
    rows, tiles = channels * kernel_y * kernel_x, (f1 - f0 + ROWS - 1) // ROWS
    f = f0
    for t in range(tiles):
        height = (f1 - f + tiles - t - 1) // (tiles - t)
        errors = dz + f * map_cells * lanes * size
        c = i = j = 0
        k = 0
        while k < rows:
            width = min(COLUMNS, rows - k)
            for column in range(width):
                put(places, column, (c * plane + i * x_line + j) * lanes)
                j += 1
                if j == kernel_x:
                    i, j = i + 1, 0
                    if i == kernel_y:
                        c, i = c + 1, 0
            sums_tile(
                height, width, errors, map_cells * lanes, dz_line * lanes, x, places, x_line * lanes, lines, across,
                sums + (f * rows + k) * size, rows, like,
            )  # fmt: skip
            k += width
        sums_tile(
            height, 0, errors, map_cells * lanes, dz_line * lanes, x, places, 0, lines, across,
            sums + (filters * rows + f) * size, 1, like,
        )  # fmt: skip
        f += height


sum_cells = share("sums", _sums_block, 15, 1, everywhere=False)


def _tiled(dw, db, x, dz, stage, partial, spec, blend):
    like, lanes, size, scale, keep = dw.dtype.type(1), x.shape[5], x.itemsize, blend[0], blend[1]
    blocks, channels, height, width = x.shape[0], x.shape[1], x.shape[3], x.shape[4]
    filters, lines, across, kernel_y, kernel_x = dz.shape[1], dz.shape[3], dz.shape[4], dw.shape[3], dw.shape[4]
    rows, pieces, bordered = channels * kernel_y * kernel_x, pieces_of(blocks, lines, across), max(spec[4], spec[5]) > 0
    numbers = filters * (rows + 1)
    staged_plane, row = _staged((lines + pieces - 1) // pieces, across, kernel_y, kernel_x)
    room = channels * staged_plane * lanes
    # Few pieces: each thread sums some of the filters. What is staged is staged once, so only of an input without border.
    shares = 1 if bordered else max(1, min((filters + ROWS - 1) // ROWS, threads() // (blocks * pieces)))
    for part in prange(blocks * pieces * shares):
        task, share = part // shares, part % shares
        block, piece = task // pieces, task % pieces
        f0, f1 = filters * share // shares, filters * (share + 1) // shares
        line0, line1 = lines * piece // pieces, lines * (piece + 1) // pieces
        source, plane, pitch = x[block].ctypes.data + line0 * width * lanes * size, height * width, width
        if bordered:
            source, plane, pitch = stage[task * room :].ctypes.data, staged_plane, row
            first, behind = max(0, line0 - spec[4]), min(height, line1 - 1 - spec[4] + kernel_y)
            above = first - (line0 - spec[4])
            for c in range(channels):
                here = stage[task * room + c * plane * lanes : task * room + (c + 1) * plane * lanes]
                here[:] = 0
                copy_rows(
                    here[(above * row + spec[5]) * lanes :].ctypes.data, row * lanes, x[block, c, 0, first].ctypes.data,
                    width * lanes, behind - first, min(width, row - spec[5]) * lanes, like,
                )  # fmt: skip
        sum_cells(
            partial[task * numbers :].ctypes.data, dz[block, 0, 0, line0].ctypes.data, lines * across, across, source, plane,
            pitch, line1 - line0, across, f0, f1, filters, channels, kernel_y, kernel_x, like,
        )  # fmt: skip
    for part in range(blocks * pieces):
        source, kept = partial[part * numbers :].ctypes.data, keep if part == 0 else like
        blend_rows(dw.ctypes.data, 0, source, 0, 1, filters * rows, scale, kept)
        blend_rows(db.ctypes.data, 0, source + filters * rows * size, 0, 1, filters, scale, kept)


def _reference(dw, db, x, dz, stage, partial, spec, blend):
    convolve_weights.reference(dw, db, plain_order(x), plain_order(dz), None, None, spec, blend)


@register_jitable
def _weight(dw, e):
    """Filter, channel and tap of element e of dw."""
    taps = dw.shape[3] * dw.shape[4]
    return e // (dw.shape[1] * taps), e // taps % dw.shape[1], e % taps // dw.shape[4], e % dw.shape[4]


@register_jitable
def _sum(dw, x, dz, spec, e):
    """Element e of dw, or, behind its last, of db."""
    total = dw.dtype.type(0)
    f, c, i, j = _weight(dw, e) if e < dw.size else (e - dw.size, 0, 0, 0)
    for block in range(dz.shape[0]):
        for line in range(dz.shape[3]):
            for column in range(dz.shape[4]):
                y, z = line + i - spec[4], column + j - spec[5]
                for lane in range(dz.shape[5]):
                    error = dz[block, f, 0, line, column, lane]
                    if e >= dw.size:
                        total += error
                    elif 0 <= y < x.shape[3] and 0 <= z < x.shape[4]:
                        total += error * x[block, c, 0, y, z, lane]
    return total


def _plain(dw, db, x, dz, stage, partial, spec, blend):
    for e in prange(dw.size + db.size):
        total = blend[0] * _sum(dw, x, dz, spec, e)
        if e < dw.size:
            f, c, i, j = _weight(dw, e)
            dw[f, c, 0, i, j] = total + (blend[1] * dw[f, c, 0, i, j] if blend[1] != 0 else blend[1])
        else:
            db[e - dw.size] = total + (blend[1] * db[e - dw.size] if blend[1] != 0 else blend[1])


def _cuda(dw, db, x, dz, stage, partial, spec, blend):
    e, zero = cuda.grid(1), dw.dtype.type(0)
    if e < dw.size + db.size:
        total = blend[0] * _sum(dw, x, dz, spec, e)
        if e < dw.size:
            f, c, i, j = _weight(dw, e)
            dw[f, c, 0, i, j] = total + (blend[1] * dw[f, c, 0, i, j] if blend[1] != zero else zero)
        else:
            db[e - dw.size] = total + (blend[1] * db[e - dw.size] if blend[1] != zero else zero)


def _cases(random, dtype):
    for x, w, dz, spec in examples(random, dtype):
        room = [np.full(size, np.nan, dtype) for size in rooms(len(x), dz, x, w, spec, x.shape[-1]).values()]
        blend = np.array([1, 0], dtype)
        yield np.empty_like(w), np.empty(len(w), dtype), x, dz, *room, spec, blend


convolve_weights_samples_last = Kernel(
    "convolve_weights_samples_last",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=lambda dw, db, *_: a_thread_each(np.broadcast_to(0, dw.size + db.size)),
    flops=lambda dw, db, x, dz, *_: dz.size * (2 * dw[0].size + 1),
    cases=_cases,
    outputs=2,
    blocks=("sums",),
)
