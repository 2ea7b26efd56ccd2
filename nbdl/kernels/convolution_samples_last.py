"""Convolution of small pictures with the samples last, one cell of all lanes' samples a vector.

    y[f, p] = act(b[f] + sum over c, t of w[f, c, t] x[c, p + t - padding])

With `turned` 1 it is the gradient of the input, the same sum with the filters turned by half a circle and channels and
filters exchanged. Taps that meet the border are left out: whole lines of them, and those columns that no cell of a tile meets.

Shape: x (blocks, C, 1, H, W, L), y (blocks, F, 1, H', W', L), w (F, C, 1, kernel), b (F) or none; turned: x (blocks, F, ...)
and y (blocks, C, ...). `stage` and `weights` as `rooms` says; `spec` as in kernels/windows.py, with steps, dilations and
groups of 1; L and the order as in kernels/samples_last.py.
"""

import numpy as np
from numba import config, prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, RELU, activate
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.convolution import convolve, window_sum
from nbdl.kernels.convolution_transposed import cell_sum, convolve_transposed
from nbdl.kernels.pairs import copy_rows
from nbdl.kernels.samples_last import place_of, plain_order, samples_last
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    FEW_ROWS,
    HEIGHT,
    SIMD,
    TABLE,
    element_bytes,
    put,
    stack_integers,
    vector_lanes,
    window_tile,
)

MOST_VECTORS = 4  # cells of a line that one tile makes
LEAST_LINES = 4  # of a piece: it copies the lines around it as well


@register_jitable
def pieces_of(blocks, lines, workers):
    """Pieces that the lines of a block's maps are cut into, so that every thread has some."""
    return max(1, min(lines // LEAST_LINES, (2 * workers + blocks - 1) // blocks))


@register_jitable
def _edge(padding):
    """Zeros beside a staged line: a tile looks past the end by less than its cells."""
    return min(padding, MOST_VECTORS - 1)


@register_jitable
def _staged(height, width, lines, kernel, paddings):
    """Cells of a channel, and of a line, of the staged input under `lines` lines of the output.

    An odd number of cells spreads channels over all sets of the first-level cache.
    """
    row = width + 2 * _edge(paddings[1])
    return min(height, lines + kernel - 1) * row | 1, row


def rooms(blocks: int, y, x, w, spec, lanes: int) -> dict[str, int]:
    """Numbers that forward and backward need: the input with its edges, piece by piece, and the weights in another order."""
    kernel, most = w.shape[3:], 0
    for source, target, paddings in (
        (x, y, spec[4:6]),
        (y, x, (kernel[0] - 1 - spec[4], kernel[1] - 1 - spec[5])),
    ):
        lines = target.shape[3]
        for pieces in range(1, pieces_of(blocks, lines, config.NUMBA_NUM_THREADS) + 1):
            plane, _ = _staged(*source.shape[3:5], -(-lines // pieces), kernel[0], paddings)
            if paddings[1] > 0:
                most = max(most, blocks * pieces * source.shape[1] * plane * lanes)
    return {"stage": max(1, most), "weights": w.shape[0] * w.shape[1] * kernel[0] * kernel[1]}


def _lines_block(
    y, y_row, source, row, first, edge, height, width, w, maps, channels, kernel_y, kernel_x, padding_y, padding_x, line0, line1,
    across, table, bias, rectify, like,
):  # fmt: skip
    """Lines `line0` to `line1`, of `across` cells, of all maps. Lines of the input are `row` cells long, `first` is the first."""
    lanes, size, spots = vector_lanes(like), element_bytes(like), stack_integers()
    w_row, tiles = channels * kernel_y * kernel_x, (maps + HEIGHT - 1) // HEIGHT
    # Filters that reach over the ends of a line have more columns of zeros in common in a slim tile.
    most = 4 if maps <= FEW_ROWS and 2 * padding_x < kernel_x else 2
    for line in range(line0, line1):
        top, bottom = max(0, padding_y - line), min(kernel_y, height + padding_y - line)
        x = 0
        while x < across:
            vectors = most if x + most <= across else 2 if x + 2 <= across else 1
            left, right = max(0, padding_x - x - vectors + 1), min(kernel_x, width + padding_x - x)
            begin = (line - padding_y - first) * row + x - padding_x + edge
            for v in range(vectors):
                put(spots, 3 * v, (begin + v) * lanes)
                put(spots, 3 * v + 1, (line * across + x + v) * lanes)
                put(spots, 3 * v + 2, lanes)
            at, depth, runs = (top * kernel_x + left) * channels, (right - left) * channels, bottom - top
            if right - left == kernel_x:
                depth, runs = depth * runs, 1
            i = 0
            for t in range(tiles):
                rows = (maps - i + tiles - t - 1) // (tiles - t)
                window_tile(
                    rows, vectors, w + (i * w_row + at) * size, w_row, source, table + at * 8, depth, runs, kernel_x * channels,
                    y + i * y_row * size, y_row, spots, bias + i * size if bias != 0 else 0, 0, rectify, like,
                )  # fmt: skip
                i += rows
            x += vectors


multiply_cells = share("cells", _lines_block, 21, 1, everywhere=False)


@register_jitable
def _order(weights, w, turned):
    """Weights as the tile reads them, (maps, taps x channels): turned ones from behind, filters for channels."""
    filters, channels = w.shape[0], w.shape[1]
    flat = w.reshape(filters, channels, w.shape[3] * w.shape[4])
    taps = flat.shape[2]
    for f in range(filters):
        for c in range(channels):
            for t in range(taps):
                if turned:
                    weights[(c * taps + taps - 1 - t) * filters + f] = flat[f, c, t]
                else:
                    weights[(f * taps + t) * channels + c] = flat[f, c, t]


def _tiled(y, x, w, b, stage, weights, spec, turned, activation):
    like, lanes, size = y.dtype.type(1), x.shape[5], y.itemsize
    blocks, channels, height, width = x.shape[0], x.shape[1], x.shape[3], x.shape[4]
    maps, lines, across, kernel_y, kernel_x = y.shape[1], y.shape[3], y.shape[4], w.shape[3], w.shape[4]
    padding_y, padding_x = (kernel_y - 1 - spec[4], kernel_x - 1 - spec[5]) if turned else (spec[4], spec[5])
    _order(weights, w, turned)
    pieces, edge = pieces_of(blocks, lines, threads()), _edge(padding_x)
    staged_plane, row = _staged(height, width, (lines + pieces - 1) // pieces, kernel_y, (padding_y, padding_x))
    room = channels * staged_plane * lanes
    for task in prange(blocks * pieces):
        block, piece, table = task // pieces, task % pieces, stack_integers()
        line0, line1 = lines * piece // pieces, lines * (piece + 1) // pieces
        first, behind = max(0, line0 - padding_y), min(height, line1 - 1 - padding_y + kernel_y)
        source, plane, pitch = x[block].ctypes.data + first * width * lanes * size, height * width, width
        if edge > 0:
            source, plane, pitch = stage[task * room :].ctypes.data, staged_plane, row
            for c in range(channels):
                here = stage[task * room + c * plane * lanes : task * room + (c + 1) * plane * lanes]
                for line in range(behind - first):
                    here[line * row * lanes : (line * row + edge) * lanes] = 0
                    here[((line + 1) * row - edge) * lanes : (line + 1) * row * lanes] = 0
                copy_rows(
                    here[edge * lanes :].ctypes.data, row * lanes, x[block, c, 0, first].ctypes.data, width * lanes,
                    behind - first, width * lanes, like,
                )  # fmt: skip
        at = 0
        for i in range(kernel_y):
            for j in range(kernel_x):
                for c in range(channels):
                    put(table, at, (c * plane + i * pitch + j) * lanes)
                    at += 1
        multiply_cells(
            y[block].ctypes.data, lines * across * lanes, source, pitch, first, edge, height, width, weights.ctypes.data, maps,
            channels, kernel_y, kernel_x, padding_y, padding_x, line0, line1, across, table, b.ctypes.data if b.size > 0 else 0,
            1 if activation == RELU else 0, like,
        )  # fmt: skip
        if activation != LINEAR and activation != RELU:
            for f in range(maps):
                piece_of_map = y[block, f, 0, line0:line1]
                activate(piece_of_map.reshape(piece_of_map.size), activation)


def _reference(y, x, w, b, stage, weights, spec, turned, activation):
    x = plain_order(x)
    z = np.empty((len(x), *y.shape[1:-1]), y.dtype)
    if turned:
        convolve_transposed.reference(z, x, w, b, None, None, None, spec, activation)
    else:
        convolve.reference(z, x, w, b, None, None, spec, activation)
    y[...] = samples_last(z)


@register_jitable
def _cell(x, w, b, spec, turned, block, f, line, column, lane):
    """The element of y at a place, before the activation."""
    sample = x[block, :, :, :, :, lane]
    if turned:
        value = cell_sum(sample, w, f, 0, line, column, spec)
    else:
        value = window_sum(sample, w[f], 0, 0, line, column, spec)
    return value + b[f] if b.size > 0 else value


def _plain(y, x, w, b, stage, weights, spec, turned, activation):
    for e in prange(y.size):
        block, f, line, column, lane = place_of(y, e)
        y[block, f, 0, line, column, lane] = _cell(x, w, b, spec, turned, block, f, line, column, lane)
    activate(y.reshape(y.size), activation)


def _cuda(y, x, w, b, stage, weights, spec, turned, activation):
    e = cuda.grid(1)
    if e < y.size:
        block, f, line, column, lane = place_of(y, e)
        value = cuda.local.array(1, y.dtype)
        value[0] = _cell(x, w, b, spec, turned, block, f, line, column, lane)
        activate(value, activation)
        y[block, f, 0, line, column, lane] = value[0]


def examples(random, dtype):
    """x, w, y and the spec of small convolutions."""
    for samples, channels, filters, height, width, kernel, padding in [
        (1, 1, 1, 1, 1, (1, 1), (0, 0)),
        (2, 1, 6, 8, 9, (5, 5), (2, 2)),
        (17, 6, 16, 7, 6, (5, 5), (0, 0)),
        (9, 3, 17, 5, 4, (3, 2), (1, 1)),
        (3, 2, 3, 1, 13, (1, 4), (0, 3)),
        (2, 2, 2, 3, 3, (2, 2), (0, 1)),
        (3, 7, 2, 9, 3, (2, 3), (0, 1)),
    ]:
        spec = (1, 1, 1, 0, *padding, 1, 1, 1, 1)
        out = height + 2 * padding[0] - kernel[0] + 1, width + 2 * padding[1] - kernel[1] + 1
        x = random.standard_normal((samples, channels, 1, height, width)).astype(dtype)
        y = random.standard_normal((samples, filters, 1, *out)).astype(dtype)
        w = random.standard_normal((filters, channels, 1, *kernel)).astype(dtype)
        yield samples_last(x), w, samples_last(y), spec


def _cases(random, dtype):
    for number, (x, w, y, spec) in enumerate(examples(random, dtype)):
        kind = (LINEAR, RELU, KINDS["tanh"])[number % 3]
        b = random.standard_normal(len(w)).astype(dtype)
        room = [np.full(size, np.nan, dtype) for size in rooms(len(x), y, x, w, spec, x.shape[-1]).values()]
        yield np.empty_like(y), x, w, b if kind else b[:0], *room, spec, 0, kind
        yield np.empty_like(x), y, w, b[:0], *room, spec, 1, LINEAR


def _flops(y, x, w, b, stage, weights, spec, turned, activation):
    if turned:
        return 2 * x.size * w[0].size
    return y.size * (2 * w[0].size + 1 + _FLOPS[activation])


def fits(w, spec) -> bool:
    """Whether the kernel can do a convolution with such weights: small ones, without steps, holes or groups."""
    kernel = w.shape[2:]
    least = all(padding < size for padding, size in zip(spec[3:6], kernel, strict=True))
    plain = spec[:3] == (1, 1, 1) and spec[6:] == (1, 1, 1, 1) and kernel[0] == 1 and least
    return plain and max(w.shape[:2]) * kernel[1] * kernel[2] <= TABLE


convolve_samples_last = Kernel(
    "convolve_samples_last",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=_flops,
    cases=_cases,
    blocks=("cells",),
)
