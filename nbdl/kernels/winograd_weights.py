"""The gradients of weights and biases of a convolution with filters of 3 x 3, by Winograd's minimal filtering.

    dw[f, c] = G^T [sum over tiles of (A E A^T) * (B^T d B)] G        E: 4 x 4 errors of filter f, d: 6 x 6 cells of channel c

Each of the 36 places of a tile is a matrix product: errors (filters, tiles) times cells (tiles, channels), see
kernels/winograd_tiles.py. Some groups of tiles are summed up by themselves, in `partial`, and then added: threads share
them, and the bits do not depend on how many there are.

Shape: x (N, C, 1, H, W), dz (N, F, 1, H', W'), dw (F, C, 1, 3, 3), db (F) or none; `room` and `partial` as `rooms` says;
spec as in kernels/windows.py, with steps and dilations of 1.
"""

import numpy as np
from numba import config, prange, types
from numba.extending import intrinsic, register_jitable

from nbdl.kernel import Kernel, threads
from nbdl.kernels.convolution_weights import convolve_weights
from nbdl.kernels.matmul import multiply_transposed_at
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    SIMD,
    VECTORS,
    _element,
    _Emitter,
    blend_rows,
    element_bytes,
    pack_panel_transposed,
    stack_panel,
    vector_lanes,
)
from nbdl.kernels.winograd_tiles import (
    LEAST,
    MOST_LANES,
    PLACES,
    TILE,
    TOGETHER,
    cut_cells,
    cut_errors,
    suits,
    tiles_of,
    turn_cells,
    turn_errors,
    turn_sums,
    whole_panels,
)

TAPS = 9
PARTS = 8  # at most so many groups of tiles have weight gradients of their own, which are then added up
PART_SIZE = 3 << 17  # numbers that all of them may take together
PART_TILES = 64  # that a group has at least


def suits_weights(samples: int, dz, w, spec) -> bool:
    """Whether the gradients of such weights are faster in this way: to turn the sums costs more than to turn weights."""
    return suits(samples, dz, w, spec, (800, 500, 2500), 0.7)


@register_jitable
def _depth(inputs, outputs, lanes):
    """Tiles that are turned before they are multiplied: about as many numbers as the sums that they are added to."""
    return min(DEPTH, whole_panels(max(1, inputs * outputs // (inputs + outputs)), lanes))


@register_jitable
def _shares(inputs, outputs, filters, lanes):
    """Numbers that a thread needs for cut tiles, turned ones, turned errors and sums of some of the filters."""
    depth = _depth(inputs, outputs, lanes)
    # A row more than there are keeps a number's places in different sets of the caches.
    return (
        TOGETHER * PLACES * (VECTORS + 1) * lanes,
        PLACES * (inputs + 1) * depth,
        PLACES * (filters + 1) * depth,
        PLACES * (filters + 1) * whole_panels(inputs, lanes),
    )


def parts(samples: int, dz, w) -> int:
    """Into how many groups the tiles are cut: it depends on shapes only, so the bits do too."""
    rows, columns = tiles_of(*dz.shape[3:])
    most = min(PARTS, PART_SIZE // partial_size(w), samples * rows * columns // PART_TILES)
    return 1 << max(0, most.bit_length() - 1)  # threads tend to be 2, 4 or 8


def partial_size(w) -> int:
    """Numbers of one group's weight and bias gradients."""
    return w.shape[0] * (TAPS * whole_panels(w.shape[1], MOST_LANES) + MOST_LANES)


def room_size(w) -> int:
    """Numbers that all threads need."""
    filters, channels = w.shape[:2]
    return config.NUMBA_NUM_THREADS * sum(_shares(channels, filters, filters, MOST_LANES))


@intrinsic
def _add_up(typingctx, sums, planes, plane, rows, count, like):
    """sums[r], a vector, += the first `count` numbers of the 16 planes of row r, a vector at a time."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        sums, planes, plane, rows, count, _ = arguments
        sums, planes = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (sums, planes))

        def row(r, _):
            here = e.at(sums, builder.mul(r, e.index(e.lanes)))
            ours = e.at(planes, builder.mul(builder.mul(r, plane), e.index(TILE * TILE)))

            def vector(first, total):
                cells = e.at(ours, first)
                values = [e.load(e.at(cells, builder.mul(plane, e.index(k)))) for k in range(TILE * TILE)]
                while len(values) > 1:
                    values = [builder.fadd(a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
                there = e.mask(builder.sub(count, first), 0)
                return [builder.fadd(total[0], builder.select(there, values[0], e.zero))]

            e.store(e.loop(e.index(0), count, e.lanes, [e.load(here)], vector)[0], here)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


def _part(
    x, inputs, x_height, x_width, front, side, dz, outputs, filters, height, width, room, first, behind, partial, bias,
    like,
):  # fmt: skip
    """Sum up the tiles `first` to `behind`, of all samples' tiles one after the other, for some of the filters.

    To `partial` go the gradients (filters, 9, whole panels of inputs), to `bias` those of the biases, each in a vector.
    """
    size, lanes = element_bytes(like), vector_lanes(like)
    panel, plane = VECTORS * lanes, (VECTORS + 1) * lanes
    rows, columns = tiles_of(height, width)
    of_planes, of_cells, of_errors, _ = _shares(inputs, outputs, filters, lanes)
    cells = room + of_planes * size
    errors = cells + of_cells * size
    sums = errors + of_errors * size
    depth, row = _depth(inputs, outputs, lanes), whole_panels(inputs, lanes)
    for start in range(first, behind, depth):
        here = min(depth, behind - start)
        for p in range(0, here, panel):
            count = min(panel, here - p)
            vectors = (count + lanes - 1) // lanes
            for c in range(0, inputs, TOGETHER):
                together, maps = min(TOGETHER, inputs - c), x + c * x_height * x_width * size
                cut_cells(
                    room, plane, maps, inputs, x_height, x_width, rows, columns, front, side, start + p, count, together,
                    like,
                )  # fmt: skip
                turn_cells(
                    cells + (c * depth + p) * size, depth, (inputs + 1) * depth, room, PLACES * plane, plane, together,
                    vectors, like,
                )  # fmt: skip
            for f in range(0, filters, TOGETHER):
                together, maps = min(TOGETHER, filters - f), dz + f * height * width * size
                cut_errors(
                    room, plane, maps, outputs, height, width, rows, columns, 0, 0, start + p, count, together, like
                )  # fmt: skip
                turn_errors(
                    errors + (f * depth + p) * size, depth, (filters + 1) * depth, room, TILE * TILE * plane, plane, together,
                    vectors, like,
                )  # fmt: skip
                _add_up(bias + f * lanes * size, room, plane, together, count, like)
        for k in range(PLACES):
            multiply_transposed_at(
                sums + k * (filters + 1) * row * size, row, errors + k * (filters + 1) * depth * size, depth, 1,
                cells + k * (inputs + 1) * depth * size, depth, filters, inputs, here, like,
                like if start > first else like * 0,
            )  # fmt: skip
    turn_sums(
        partial, TAPS * row, row, sums, row, (filters + 1) * row, filters, (inputs + lanes - 1) // lanes, like
    )  # fmt: skip


part_at = share("winograd_weights", _part, 16, 1, everywhere=False)


def _tiled(dw, db, x, dz, room, partial, spec, blend):
    scale, keep, like = blend[0], blend[1], dw.dtype.type(1)
    outputs, inputs, height, width = dw.shape[0], dw.shape[1], dz.shape[3], dz.shape[4]
    size, lanes = element_bytes(like), vector_lanes(like)
    panel, row = VECTORS * lanes, whole_panels(inputs, lanes)
    rows, columns = tiles_of(height, width)
    tiles, count, each = x.shape[0] * rows * columns, partial.shape[0], sum(_shares(inputs, outputs, outputs, lanes))
    panels = (tiles + panel - 1) // panel
    # Every thread has its tiles; where groups are too few, several share them and have their filters.
    ways = max(1, min(threads() // count, outputs // LEAST))
    biases = outputs * TAPS * row
    tasks = count * ways
    workers = min(threads(), tasks)
    for worker in prange(workers):
        mine = room[worker * each :].ctypes.data
        for task in range(tasks * worker // workers, tasks * (worker + 1) // workers):
            part, way = task // ways, task % ways
            f0, f1 = outputs * way // ways, outputs * (way + 1) // ways
            found = partial[part]
            found[biases + f0 * lanes : biases + f1 * lanes] = 0
            part_at(
                x.ctypes.data, inputs, x.shape[3], x.shape[4], spec[4], spec[5],
                dz.ctypes.data + f0 * height * width * size, outputs, f1 - f0, height, width, mine,
                panels * part // count * panel, min(tiles, panels * (part + 1) // count * panel),
                found.ctypes.data + f0 * TAPS * row * size, found.ctypes.data + (biases + f0 * lanes) * size, like,
            )  # fmt: skip
    for f in prange(outputs):
        taps = stack_panel(like)
        for c in range(0, inputs, DEPTH):
            for tap in range(0, TAPS, panel):
                depth, some = min(DEPTH, inputs - c), min(panel, TAPS - tap)
                target = dw[f, c].ctypes.data + tap * size
                for part in range(count):
                    source = partial[part, (f * TAPS + tap) * row + c :].ctypes.data
                    pack_panel_transposed(taps, source, row, depth, some, like)
                    blend_rows(target, TAPS, taps, panel, depth, some, scale, keep if part == 0 else like)
        if db.size > 0:
            total = like * 0
            for part in range(count):
                for lane in range(lanes):
                    total += partial[part, biases + f * lanes + lane]
            db[f] = scale * total + (keep * db[f] if keep != 0 else keep)


def _cases(random, dtype):
    for samples, channels, filters, height, width, padding in [
        (1, 1, 1, 2, 3, (1, 1)),
        (2, 1, 2, 4, 3, (0, 2)),
        (3, 2, 1, 5, 4, (1, 0)),
        (3, 17, 35, 5, 7, (1, 1)),
        (40, 33, 16, 8, 8, (0, 2)),
        (5, 40, 70, 14, 9, (2, 0)),
        (2, 16, 16, 3, 40, (0, 0)),
    ]:
        spec = (1, 1, 1, 0, *padding, 1, 1, 1, 1)
        out = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
        x = random.standard_normal((samples, channels, 1, height, width)).astype(dtype)
        dz = (random.standard_normal((samples, filters, 1, *out)) / (samples * height * width) ** 0.5).astype(dtype)
        dw, db = np.empty((filters, channels, 1, 3, 3), dtype), np.empty(filters, dtype)
        room = np.full(room_size(dw), np.nan, dtype)
        partial = np.full((parts(samples, dz, dw), partial_size(dw)), np.nan, dtype)
        yield dw, db if channels > 1 else db[:0], x, dz, room, partial, spec, np.array([1, 0], dtype)


def _flops(dw, db, x, dz, *_):
    """Those of the products and of the turning, not of the sums that they stand for."""
    filters, channels = dw.shape[:2]
    rows, columns = tiles_of(*dz.shape[3:])
    tiles = x.shape[0] * rows * columns
    turning = tiles * (12 * 22 * channels + 10 * 12 * filters) + 9 * 18 * filters * channels
    return 2 * PLACES * tiles * filters * channels + turning + dz.size * (db.size > 0)


winograd_weights = Kernel(
    "winograd_weights",
    convolve_weights.reference,
    convolve_weights.cpu if SIMD == "plain" else _tiled,
    convolve_weights.cuda,
    grid=convolve_weights.grid,
    flops=_flops,
    cases=_cases,
    outputs=2,
    blocks=("winograd_weights",),
)
