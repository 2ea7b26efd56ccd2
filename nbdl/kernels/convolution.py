"""Convolution over one, two or three dimensions; its two gradients stand beside it and share its windows.

    y[n, f, p] = act(b[f] + sum over c, t of w[f, c, t] x[n, c, p stride + t dilation - padding])

With groups, filter f sees only the channels of its group.

Shape: x (N, C, D, H, W), y (N, F, D', H', W'), w (F, C / groups, kernel), b (F) or none; `stage` and `turned` as `rooms` and
`turned_size` say; `spec` as in kernels/windows.py (Dumoulin and Visin 2016, A guide to convolution arithmetic).
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, RELU, _forward_reference, activate
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.fold import fold_room, folds
from nbdl.kernels.runs import blocks_of, correlate_runs, panel_rows, panels_size
from nbdl.kernels.tile import REGISTER_BYTES, SIMD, VECTORS, pack_panel_transposed, stack_integers, vector_lanes
from nbdl.kernels.windows import correlate, layout, layout_plain, layout_transposed, stage_channel

TURNED = 64  # rows of the weights that a thread transposes at a time
TURNING = 64  # pixels of all samples from which on it pays to turn the weights
BEHIND = 64  # numbers behind a staged sample that the tile may read, though it uses none
BLOCKS = ("pixels", "lines", "runs", "store")  # the machine code of all three


def tap_cells(x, y, w, spec):
    """For each tap: its place in the filter, and the cells of the bordered input that it meets, one for each output."""
    sizes, fronts = np.array(x.shape[2:]), np.array(spec[3:6])
    needed = (np.array(y.shape[2:]) - 1) * spec[:3] + (np.array(w.shape[2:]) - 1) * spec[6:9] + 1
    border = [(0, 0), (0, 0), *zip(fronts, np.maximum(0, needed - fronts - sizes), strict=True)]
    for tap in np.ndindex(*w.shape[2:]):
        starts = np.array(tap) * spec[6:9]
        cells = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, y.shape[2:], spec, strict=False)]
        yield tap, border, (slice(None), slice(None), *cells)


def groups_of(w, groups):
    """Filters and channels of each group."""
    f, c = w.shape[0] // groups, w.shape[1]
    for g in range(groups):
        yield slice(g * f, g * f + f), slice(g * c, g * c + c)


def _reference(y, x, w, b, stage, turned, spec, activation):
    z = np.zeros_like(y)
    for tap, border, cells in tap_cells(x, y, w, spec):
        seen = np.pad(x, border)[cells]
        for filters, channels in groups_of(w, spec[9]):
            z[:, filters] += np.einsum("fc,ncdhw->nfdhw", w[(filters, slice(None), *tap)], seen[:, channels])
    _forward_reference(y, z + b.reshape(-1, 1, 1, 1) if b.size else z, activation)


@register_jitable
def finish(row, start, stop, bias, activation):
    """Bias and activation on a piece of one map."""
    piece, zero = row[start:stop], row.dtype.type(0)
    if activation == LINEAR and bias == 0:
        return
    if activation == RELU:
        for p in range(piece.size):
            value = piece[p] + bias
            piece[p] = zero if value < zero else value
        return
    for p in range(piece.size):
        piece[p] += bias
    if activation != LINEAR:
        activate(piece, activation)


@register_jitable
def cuts(samples, pixels, maps, workers):
    """Into how many pieces the pixels of a sample, and its maps, are cut, so that every thread has some."""
    if samples >= 2 * workers:
        return 1, 1
    wanted = (2 * workers + samples - 1) // samples
    slices = max(1, min(wanted, pixels // 64))
    return slices, max(1, min((wanted + slices - 1) // slices, maps // 14))


@register_jitable
def by_filters(samples, filters, pixels, width, step, like):
    """Whether vectors had better run along the filters than along lines of that width.

    There must be enough of both to be worth turning the weights, and lines of whole tiles save turning the results.
    """
    tile = VECTORS * vector_lanes(like)
    worth = 2 * filters > vector_lanes(like) and samples * pixels >= TURNING
    return worth and (step == 2 or (step == 1 and (filters > tile or width % tile > 0)))


def _tiled(y, x, w, b, stage, turned, spec, activation):
    samples, channels, filters, groups = x.shape[0], w.shape[1], y.shape[1] // spec[9], spec[9]
    pixels, like, size = y.shape[2] * y.shape[3] * y.shape[4], y.dtype.type(1), (y.shape[2], y.shape[3], y.shape[4])
    runs, lanes = by_filters(samples, filters, pixels, y.shape[4], spec[2], like), vector_lanes(like)
    staged, channel, plane, row, columns = layout_plain(y, x, w, spec) if runs else layout(y, x, w, spec)
    place, fronts, step = (channel, plane, row, columns), (spec[3], spec[4], spec[5]), 1 if runs else spec[2]
    taps, hop, pitch = (
        (w.shape[2], w.shape[3], w.shape[4]),
        (spec[6], spec[7], spec[8]),
        (spec[0] * plane, spec[1] * row),
    )
    whole, bordered, maps = channels * channel, stage.reshape(stage.size), y.reshape(samples, y.shape[1], pixels)
    rows, width, all_blocks = channels * taps[0] * taps[1] * taps[2], VECTORS * lanes, blocks_of(size)[2]
    workers, (slices, blocks) = threads(), cuts(samples * groups, pixels, filters, threads())
    if runs:
        slices, blocks = min(slices, all_blocks), 1
        panels, turns = (filters + width - 1) // width, (rows + TURNED - 1) // TURNED
        for part in prange(groups * panels * turns):
            g, f, r = part // (panels * turns), part // turns % panels * width, part % turns * TURNED
            target = (
                turned.ctypes.data + (g * panels_size(rows, filters, lanes) + f * panel_rows(rows, lanes)) * y.itemsize
            )
            source = w[g * filters + f].ctypes.data + r * y.itemsize
            pack_panel_transposed(
                target + r * width * y.itemsize, source, rows, min(TURNED, rows - r), min(width, filters - f), like
            )
    ahead = slices * blocks > 1  # few samples: all threads stage them first
    if staged and ahead:
        for part in prange(samples * x.shape[1]):
            room = bordered[part * channel : (part + 1) * channel]
            room[:] = 0
            stage_channel(room, x[part // x.shape[1], part % x.shape[1]], fronts, place, step)
    # With many samples a thread stages one after the other in the same room, which stays in its core's cache.
    each = samples * groups * slices * blocks
    tasks = each if ahead else min(workers, each)
    for task in prange(tasks):
        table, filled = stack_integers(), False  # the same for all samples
        if staged and not ahead:
            bordered[task * whole : (task + 1) * whole] = 0
        for job in range(each * task // tasks, each * (task + 1) // tasks):
            ng, s, block = job // (slices * blocks), job // blocks % slices, job % blocks
            n, g = ng // groups, ng % groups
            room = bordered[(ng if ahead else task) * whole :] if staged else bordered
            if staged and not ahead:
                for c in range(channels):
                    stage_channel(room[c * channel : (c + 1) * channel], x[n, g * channels + c], fronts, place, step)
            source = room.ctypes.data if staged else x[n, g * channels].ctypes.data
            f0, f1 = g * filters + filters * block // blocks, g * filters + filters * (block + 1) // blocks
            bias = y.dtype.type(0)
            if runs:
                weights = turned.ctypes.data + g * panels_size(rows, filters, lanes) * y.itemsize
                start, stop = correlate_runs(
                    maps[n, f0].ctypes.data, pixels, source, weights, b[f0:].ctypes.data if b.size > 0 else 0,
                    1 if activation == RELU else 0, filters, channels, taps, (0, 0, 0), hop, place, spec[2], size, pitch,
                    all_blocks * s // slices, all_blocks * (s + 1) // slices, table, filled, like,
                )  # fmt: skip
                finished = True
            else:
                start, stop, finished = correlate(
                    maps[n, f0].ctypes.data, pixels, source, w[f0].ctypes.data, f1 - f0, channels, taps, False, (0, 0, 0),
                    hop, place, spec[2], size, pitch, s, slices, staged, (0, 0), b[f0:].ctypes.data if b.size > 0 else 0,
                    1 if activation == RELU else 0, table, filled, like,
                )  # fmt: skip
            filled = True
            if not finished or (activation != LINEAR and activation != RELU):
                for f in range(f0, f1):
                    if b.size > 0 and not finished:
                        bias = b[f]
                    finish(maps[n, f], start, stop, bias, activation)


def _plain(y, x, w, b, stage, turned, spec, activation):
    channels, filters = w.shape[1], w.shape[0] // spec[9]
    for part in prange(y.shape[0] * y.shape[1]):
        n, f = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            for line in range(y.shape[3]):
                for column in range(y.shape[4]):
                    y[n, f, z, line, column] = window_sum(x[n], w[f], f // filters * channels, z, line, column, spec)
        finish(y[n, f].reshape(y[n, f].size), 0, y[n, f].size, b[f] if b.size > 0 else y.dtype.type(0), activation)


@register_jitable
def window_sum(x, w, first, z, line, column, spec):
    """The sum of one window times one filter."""
    total = x.dtype.type(0)
    for c in range(w.shape[0]):
        for i in range(w.shape[1]):
            iz = z * spec[0] + i * spec[6] - spec[3]
            if 0 <= iz < x.shape[1]:
                for j in range(w.shape[2]):
                    iy = line * spec[1] + j * spec[7] - spec[4]
                    if 0 <= iy < x.shape[2]:
                        for k in range(w.shape[3]):
                            ix = column * spec[2] + k * spec[8] - spec[5]
                            if 0 <= ix < x.shape[3]:
                                total += w[c, i, j, k] * x[first + c, iz, iy, ix]
    return total


def _cuda(y, x, w, b, stage, turned, spec, activation):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        z = e // (y.shape[4] * y.shape[3]) % y.shape[2]
        f = e // (y.shape[4] * y.shape[3] * y.shape[2]) % y.shape[1]
        n = e // (y.shape[4] * y.shape[3] * y.shape[2] * y.shape[1])
        first = f // (y.shape[1] // spec[9]) * w.shape[1]
        value = cuda.local.array(1, y.dtype)
        value[0] = window_sum(x[n], w[f], first, z, line, column, spec)
        if b.size > 0:
            value[0] += b[f]
        activate(value, activation)
        y[n, f, z, line, column] = value[0]


def rooms(y, x, w, spec) -> dict[str, int]:
    """Numbers of one sample that the kernels work in: `stage` of `convolve`, `stage_back` and `spread` of its reverse."""
    staged, channel, *_ = layout(y, x, w, spec)
    back, channel_back, *_ = layout_transposed(x, y, w, spec)
    vectors = {REGISTER_BYTES // 4, REGISTER_BYTES // 8} - {0}  # lanes of float32 and of float64
    folding = max((fold_room(x, y, w, spec, n) for n in vectors if folds(x, y, w, spec, n)), default=1)
    return {
        "stage": x.shape[1] * channel + BEHIND if staged else 1,
        "stage_back": max(y.shape[1] * channel_back + BEHIND if back else 1, folding),
        "spread": x.shape[1] * x.shape[2] * x.shape[3] * x.shape[4] if spec[0] * spec[1] * spec[2] > 1 else 1,
    }


def turned_size(w, groups) -> int:
    """Numbers that the weights take when they are turned: panels of both kernels, or the reverse's matrix."""
    filters, channels, taps = w.shape[0] // groups, w.shape[1], w.shape[2] * w.shape[3] * w.shape[4]
    most = 16  # lanes of the widest vector: the last panel may be half empty, and the last square of each too
    sides = (filters, channels * taps), (channels, filters * taps)
    panels = [
        -(-across // (VECTORS * most)) * VECTORS * most * ((rows + 2 * most - 2) // most * most)
        for across, rows in sides
    ]
    return groups * max(panels)


def examples(random, dtype):
    """x, w, y and the spec of small convolutions that use every option."""
    for n, c, f, size, kernel, spec in [
        (1, 1, 1, (1, 1, 1), (1, 1, 1), (1, 1, 1, 0, 0, 0, 1, 1, 1, 1)),
        (2, 3, 5, (1, 9, 11), (1, 3, 3), (1, 1, 1, 0, 1, 1, 1, 1, 1, 1)),
        (3, 2, 17, (1, 28, 28), (1, 5, 5), (1, 1, 1, 0, 0, 0, 1, 1, 1, 1)),
        (2, 4, 6, (1, 15, 40), (1, 3, 4), (1, 2, 3, 0, 1, 2, 1, 1, 1, 2)),
        (2, 3, 4, (1, 10, 13), (1, 2, 3), (1, 1, 2, 0, 2, 1, 1, 2, 3, 1)),
        (2, 6, 6, (1, 8, 8), (1, 3, 3), (1, 1, 1, 0, 1, 1, 1, 1, 1, 6)),
        (2, 2, 3, (5, 6, 7), (3, 2, 3), (2, 1, 2, 1, 0, 1, 1, 1, 1, 1)),
        (1, 33, 40, (1, 4, 5), (1, 3, 3), (1, 1, 1, 0, 1, 1, 1, 1, 1, 1)),
        (2, 2, 3, (1, 1, 70), (1, 1, 5), (1, 1, 4, 0, 0, 4, 1, 1, 2, 1)),
        (3, 5, 2, (1, 7, 7), (1, 1, 1), (1, 2, 2, 0, 0, 0, 1, 1, 1, 1)),
        (9, 3, 2, (1, 5, 3), (1, 2, 2), (1, 1, 1, 0, 0, 0, 1, 1, 1, 1)),
        (2, 40, 35, (1, 9, 9), (1, 3, 3), (1, 2, 2, 0, 1, 1, 1, 1, 1, 1)),
        (2, 4, 34, (2, 3, 10), (2, 1, 3), (1, 2, 1, 0, 0, 2, 1, 1, 2, 2)),
        (2, 1, 18, (1, 1, 700), (1, 1, 19), (1, 1, 2, 0, 0, 9, 1, 1, 1, 1)),
        (9, 12, 48, (1, 7, 7), (1, 1, 1), (1, 1, 1, 0, 0, 0, 1, 1, 1, 1)),
        (2, 2, 6, (1, 9, 12), (1, 5, 4), (1, 1, 1, 0, 1, 2, 1, 1, 1, 2)),  # folds
    ]:
        out = [(size[i] + 2 * spec[3 + i] - (kernel[i] - 1) * spec[6 + i] - 1) // spec[i] + 1 for i in range(3)]
        shapes = (n, c, *size), (f, c // spec[9], *kernel), (n, f, *out)
        x, w, y = (random.standard_normal(shape).astype(dtype) for shape in shapes)
        yield x, w, y, spec


def nan_room(shape, dtype):
    return np.full(shape, np.nan, dtype)


def _cases(random, dtype):
    for kind in (LINEAR, RELU, KINDS["tanh"]):
        for x, w, y, spec in examples(random, dtype):
            stage = nan_room((len(x), rooms(y, x, w, spec)["stage"]), dtype)
            turned = nan_room(turned_size(w, spec[9]), dtype)
            b = random.standard_normal(len(w) if kind != LINEAR else 0).astype(dtype)
            yield np.empty_like(y), x, w, b, stage, turned, spec, kind


convolve = Kernel(
    "convolve",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=lambda y, x, w, b, stage, turned, spec, activation: y.size * (2 * w[0].size + 1 + _FLOPS[activation]),
    cases=_cases,
    blocks=BLOCKS,
)
