"""Convolution of pictures with filters of 3 x 3, and the gradient of its input, by Winograd's minimal filtering.

    Y = A^T [(G g G^T) * (B^T d B)] A        for each tile of 4 x 4 cells of the output, see kernels/winograd_tiles.py

Summed over the channels, each of the 36 places of a tile is a matrix product: weights (filters, channels) times tiles
(channels, tiles). `turned` 1 gives the gradient of the input instead: the same convolution with the filters turned by half
a circle and channels and filters exchanged.

Shape: x (N, C, 1, H, W), y (N, F, 1, H', W'), w (F, C, 1, 3, 3), b (F) or none; turned: x (N, F, 1, H', W') and
y (N, C, 1, H, W). `weights` and `room` as `rooms` says; `spec` as in kernels/windows.py, with steps and dilations of 1.
"""

import numpy as np
from numba import config, prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, RELU, activate
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.convolution import convolve, window_sum
from nbdl.kernels.convolution_transposed import cell_sum, convolve_transposed
from nbdl.kernels.matmul import multiply_at
from nbdl.kernels.pairs import copy_rows
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    LINE_BYTES,
    SIMD,
    VECTORS,
    element_bytes,
    pack_panel_transposed,
    prefetch,
    stack_panel,
    vector_lanes,
)
from nbdl.kernels.winograd_tiles import (
    FEWEST_LANES,
    LEAST,
    MOST_LANES,
    PLACES,
    TILE,
    TOGETHER,
    cut_cells,
    tiles_of,
    turn_cells,
    turn_filters,
    turn_outputs,
    whole_panels,
)

# Turned weights of so many numbers every thread makes for itself: it takes longer to get them from another core.
OWN = 1 << 20


@register_jitable
def _shares(inputs, outputs, lanes):
    """Numbers that a thread needs for cut tiles, turned ones, their products and the results of one filter."""
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
    """Numbers of the turned weights."""
    return PLACES * (outputs + 1) * whole_panels(inputs, lanes)


def rooms(samples: int, y, x, w) -> dict[str, int]:
    """Numbers that forward and backward need: the turned weights, and a room for every thread."""
    rows, columns = (max(sizes) for sizes in zip(tiles_of(*y.shape[3:]), tiles_of(*x.shape[3:]), strict=True))
    panels = -(-samples * rows * columns // (VECTORS * FEWEST_LANES))
    most, ways = config.NUMBA_NUM_THREADS, (w.shape[:2], w.shape[1::-1])
    copies = (_of_weights(*way, MOST_LANES) for way in ways)
    return {
        "weights": max(size * (min(panels, most) if size <= OWN else 1) for size in copies),
        "room": most * max(sum(_shares(*way, MOST_LANES)) for way in ways),
    }


def _panel(
    y, filters, y_sample, y_height, y_width, x, inputs, x_height, x_width, front, side, weights, place, row, bias, rectify,
    room, start, count, like,
):  # fmt: skip
    """The convolution of `count` tiles from tile `start` on, of all samples' tiles one after the other, with some filters.

    `y_sample` numbers lie between two samples of y, `place` between two places of the weights, `row` between two filters.
    """
    size, lanes = element_bytes(like), vector_lanes(like)
    panel, plane = VECTORS * lanes, (VECTORS + 1) * lanes
    rows, columns = tiles_of(y_height, y_width)
    of_planes, of_cells, of_products, _ = _shares(inputs, filters, lanes)
    cells = room + of_planes * size
    products = cells + of_cells * size
    results = products + of_products * size
    vectors = (count + lanes - 1) // lanes
    for c in range(0, inputs, TOGETHER):
        together, maps = min(TOGETHER, inputs - c), x + c * x_height * x_width * size
        cut_cells(
            room, plane, maps, inputs, x_height, x_width, rows, columns, front, side, start, count, together, like
        )  # fmt: skip
        turn_cells(
            cells + c * panel * size, panel, (inputs + 1) * panel, room, PLACES * plane, plane, together, vectors, like
        )  # fmt: skip
    for k in range(PLACES):
        multiply_at(
            products + k * (filters + 1) * panel * size, panel, weights + k * place * size, row, 1,
            cells + k * (inputs + 1) * panel * size, panel, filters, vectors * lanes, inputs, like, like * 0,
        )  # fmt: skip
    for f in range(filters):
        if f + 1 < filters and rows * columns > count:
            # What the next filter's results replace is fetched before: ask for it now.
            n, tile = divmod(start, rows * columns)
            there = y + (n * y_sample + (f + 1) * y_height * y_width + tile * TILE * TILE) * size
            for line in range(there, there + count * TILE * TILE * size, LINE_BYTES):
                prefetch(line)
        turn_outputs(
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
def _turn_filter(weights, w, part, row, turned, like):
    """The turned weights of a panel of inputs to one output; `part` numbers all panels of all outputs."""
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
    first, step = (8, -1) if turned else (0, 1)
    turn_filters(
        target, 0, (outputs + 1) * row, taps + first * panel * size, 0, step * panel, 1, VECTORS, like
    )  # fmt: skip


def _tiled(y, x, w, b, weights, room, spec, turned, activation):
    samples, outputs, inputs, like = y.shape[0], y.shape[1], x.shape[1], y.dtype.type(1)
    size, lanes, height, width = y.itemsize, vector_lanes(like), y.shape[3], y.shape[4]
    rows, columns = tiles_of(height, width)
    panel = VECTORS * lanes
    front, side = (2 - spec[4], 2 - spec[5]) if turned else (spec[4], spec[5])
    row = whole_panels(inputs, lanes)  # numbers from one output's weights to the next one's
    of_weights, each = _of_weights(inputs, outputs, lanes), sum(_shares(inputs, outputs, lanes))
    tiles = samples * rows * columns
    panels = (tiles + panel - 1) // panel
    # Every thread has its tiles; where they are too few, several share them and have their filters.
    shares = min(threads(), panels)
    ways = max(1, min(threads() // shares, outputs // LEAST))
    own = shares * of_weights <= weights.size
    if not own:
        for f in prange(outputs):
            for part in range(f * (row // panel), (f + 1) * (row // panel)):
                _turn_filter(weights.ctypes.data, w, part, row, turned, like)
    for task in prange(shares * ways):
        share, way = task // ways, task % ways
        f0, f1 = outputs * way // ways, outputs * (way + 1) // ways
        ours = weights[share * of_weights if own else 0 :].ctypes.data
        if own:
            for part in range(f0 * (row // panel), f1 * (row // panel)):
                _turn_filter(ours, w, part, row, turned, like)
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
    rows, columns = tiles_of(height, width)
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
