"""The reverse of a convolution: every output cell paints its filter back onto the input.

    y[n, c, i] = act(b[c] + sum over f, t with p stride + t dilation - padding = i of w[f, c, t] x[n, f, p])

It is the gradient of a convolution's input, and a transposed convolution's way forward, which is why it takes a bias and
an activation. With a step, the cells of y fall into phases that meet different taps: each phase is a convolution by itself.

Shape: x (N, F, D', H', W'), y (N, C, D, H, W), w (F, C / groups, kernel), b (C) or none; rooms and spec as `convolve`.
"""

from math import gcd

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import LINEAR, RELU, _forward_reference, activate
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.convolution import (
    BLOCKS,
    TURNED,
    by_filters,
    cuts,
    examples,
    finish,
    groups_of,
    nan_room,
    rooms,
    tap_cells,
    turned_size,
)
from nbdl.kernels.fold import fold, folds
from nbdl.kernels.pairs import merge_rows
from nbdl.kernels.runs import blocks_of, correlate_runs, panel_rows, panels_size
from nbdl.kernels.tile import (
    SIMD,
    VECTORS,
    blend_rows,
    element_bytes,
    get,
    pack_panel_transposed,
    put,
    stack_integers,
    stack_panel,
    vector_lanes,
)
from nbdl.kernels.windows import correlate, layout_transposed, lowest, stage_channel


def _reference(y, x, w, b, stage, turned, spread, spec, activation):
    z = np.zeros_like(y)
    for tap, border, cells in tap_cells(y, x, w, spec):
        bordered = np.zeros_like(np.pad(y, border))
        for filters, channels in groups_of(w, spec[9]):
            bordered[:, channels][cells] = np.einsum("fc,nfdhw->ncdhw", w[(filters, slice(None), *tap)], x[:, filters])
        inside = tuple(slice(front, front + size) for front, size in zip(spec[3:6], y.shape[2:], strict=True))
        z += bordered[(slice(None), slice(None), *inside)]
    _forward_reference(y, z + b.reshape(-1, 1, 1, 1) if b.size else z, activation)


@register_jitable
def _axis(phase, kernel, stride, padding, dilation):
    """The taps that reach cells `phase`, `phase + stride`, ...: the first, how many, from one to the next, and the output

    that the first one comes from for cell `phase`; each cell further on takes the next output.
    """
    jump = stride // gcd(stride, dilation)
    for k in range(min(kernel, jump)):
        if (phase + padding - k * dilation) % stride == 0:
            return k, (kernel - k + jump - 1) // jump, jump, (phase + padding - k * dilation) // stride
    return 0, 0, 1, 0


@register_jitable
def _tap_place(tap, kernel, stride, padding, dilation):
    """Along an axis, the phase that a tap reaches: taps of earlier phases, its own taps, and the tap's number in it."""
    phase, before, own, number = (tap * dilation - padding) % stride, 0, 0, 0
    for k in range(kernel):
        other = (k * dilation - padding) % stride
        if other < phase:
            before += 1
        elif other == phase:
            number += k < tap
            own += 1
    return before, own, number


@register_jitable
def _turned_row(row, w, spec, filters):
    """Where a row (channel, tap) of the transposed weights stands among a group's: phase, channel, tap of the phase."""
    kz, ky, kx = w.shape[2], w.shape[3], w.shape[4]
    c, tap = divmod(row, kz * ky * kx)
    z, nz, iz = _tap_place(tap // (ky * kx), kz, spec[0], spec[3], spec[6])
    y, ny, iy = _tap_place(tap // kx % ky, ky, spec[1], spec[4], spec[7])
    x, nx, ix = _tap_place(tap % kx, kx, spec[2], spec[5], spec[8])
    before = z * ky * kx + nz * (y * kx + ny * x)
    return (w.shape[1] * before + c * nz * ny * nx + (iz * ny + iy) * nx + ix) * filters


@register_jitable
def _turn(turned, w, g, start, stop, filters, spec, like):
    """Rows `start` to `stop` of a group's weights (filters, channels x taps) transposed, sorted by the phase they reach.

    For each phase they are a matrix (channels, taps of the phase x filters), the backward product's first factor.
    """
    rows, size, width = (
        w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4],
        element_bytes(like),
        VECTORS * vector_lanes(like),
    )
    panel, places = stack_panel(like), stack_integers()
    stepped = spec[0] * spec[1] * spec[2] > 1
    for r in range(stop - start if stepped else 0):
        put(places, r, _turned_row(start + r, w, spec, filters))
    for f in range(0, filters, width):
        across = min(width, filters - f)
        source = w.ctypes.data + ((g * filters + f) * rows + start) * size
        pack_panel_transposed(panel, source, rows, stop - start, across, like)
        target = turned.ctypes.data + (g * rows * filters + f) * size
        if not stepped:
            blend_rows(target + start * filters * size, filters, panel, width, stop - start, across, like, like * 0)
            continue
        for r in range(stop - start):
            blend_rows(target + get(places, r) * size, 0, panel + r * width * size, 0, 1, across, like, like * 0)


@register_jitable
def _phases(
    y, target, source, turned, w, filters, first, lows, lines, place, spec, part, parts, staged, table, filled, like
):
    """All cells of a group's channels from `first` on, phase after phase: `target` takes each phase's cells side by side.

    Part `part` of `parts` of every phase. Shape: target (channels, cells).
    """
    (channels, cells), size = target.shape, element_bytes(like)
    done, weights = 0, 0
    for phase in range(spec[0] * spec[1] * spec[2]):
        rz, ry, rx = phase // (spec[1] * spec[2]), phase // spec[2] % spec[1], phase % spec[2]
        depth = (y.shape[2] - rz + spec[0] - 1) // spec[0]
        height = (y.shape[3] - ry + spec[1] - 1) // spec[1]
        width = (y.shape[4] - rx + spec[2] - 1) // spec[2]
        _, nz, jz, z0 = _axis(rz, w.shape[2], spec[0], spec[3], spec[6])
        _, ny, jy, y0 = _axis(ry, w.shape[3], spec[1], spec[4], spec[7])
        _, nx, jx, x0 = _axis(rx, w.shape[4], spec[2], spec[5], spec[8])
        count, taps = depth * height * width, nz * ny * nx
        if taps == 0:
            target[:, done + count * part // parts : done + count * (part + 1) // parts] = 0
        else:
            mine = turned + (weights + first * filters * taps) * size
            correlate(
                target.ctypes.data + done * size, cells, source, mine, channels, filters,
                (nz, ny, nx), True, (z0 - lows[0], y0 - lows[1], x0 - lows[2]),
                (-(jz * spec[6] // spec[0]), -(jy * spec[7] // spec[1]), -(jx * spec[8] // spec[2])),
                place, 1, (depth, height, width), (place[1], place[2]), part, parts, staged, (-lows[1], lines), 0, 0,
                table, filled and spec[0] * spec[1] * spec[2] == 1, like,
            )  # fmt: skip
        done += count
        weights += w.shape[1] * filters * taps


@register_jitable
def _interleave(y, cells, spec):
    """Put the cells of all phases of one channel in their places. Shape: y (depth, height, width), cells (flat)."""
    at, pairs = 0, spec[2] == 2 and y.shape[2] > 1
    one = y.dtype.type(1)
    for rz in range(spec[0]):
        for ry in range(spec[1]):
            lines = (y.shape[1] - ry + spec[1] - 1) // spec[1]
            planes = (y.shape[0] - rz + spec[0] - 1) // spec[0]
            if pairs:
                left, right = (y.shape[2] + 1) // 2, y.shape[2] // 2
                evens, odds = at, at + planes * lines * left
                for z in range(planes):
                    if lines > 0:
                        merge_rows(
                            y[rz + z * spec[0], ry].ctypes.data, spec[1] * y.shape[2],
                            cells[evens + z * lines * left :].ctypes.data, left,
                            cells[odds + z * lines * right :].ctypes.data, right, lines, y.shape[2], one,
                        )  # fmt: skip
                at += planes * lines * y.shape[2]
                continue
            for rx in range(spec[2]):
                width = (y.shape[2] - rx + spec[2] - 1) // spec[2]
                for z in range(rz, y.shape[0], spec[0]):
                    for line in range(ry, y.shape[1], spec[1]):
                        row, piece = y[z, line], cells[at : at + width]
                        for i in range(width):
                            row[rx + i * spec[2]] = piece[i]
                        at += width


def _tiled(y, x, w, b, stage, turned, spread, spec, activation):
    samples, groups, channels, filters = y.shape[0], spec[9], w.shape[1], w.shape[0] // spec[9]
    cells, like, stepped = y.shape[2] * y.shape[3] * y.shape[4], y.dtype.type(1), spec[0] * spec[1] * spec[2] > 1
    staged, channel, plane, row = layout_transposed(y, x, w, spec)
    place, lows = (channel, plane, row, row), (lowest(0, w, spec), lowest(1, w, spec), lowest(2, w, spec))
    fronts = (-lows[0], -lows[1], -lows[2])
    workers, (slices, blocks) = threads(), cuts(samples * groups, cells, channels, threads())
    maps, whole, bordered = y.reshape(samples, y.shape[1], cells), filters * channel, stage.reshape(stage.size)
    taps, lanes, width = w.shape[2] * w.shape[3] * w.shape[4], vector_lanes(like), VECTORS * vector_lanes(like)
    rows, size, all_blocks = (
        channels * taps,
        (y.shape[2], y.shape[3], y.shape[4]),
        blocks_of((y.shape[2], y.shape[3], y.shape[4]))[2],
    )
    runs = not stepped and by_filters(samples, channels, cells, y.shape[4], 1, like)
    folded = not runs and folds(y, x, w, spec, lanes)
    if folded:
        staged, slices, blocks = False, 1, max(1, min(channels, workers // (samples * groups)))
    if runs:
        slices, blocks = min(slices, all_blocks), 1
        panels = (channels + width - 1) // width
        for part in prange(groups * panels):
            g, c = part // panels, part % panels * width
            target = turned.ctypes.data
            target += (
                g * panels_size(filters * taps, channels, lanes) + c * panel_rows(filters * taps, lanes)
            ) * y.itemsize
            for f in range(filters):
                pack_panel_transposed(
                    target + f * taps * width * y.itemsize, w[g * filters + f, c].ctypes.data, taps, taps,
                    min(width, channels - c), like,
                )  # fmt: skip
    turns = 0 if runs or folded else (rows + TURNED - 1) // TURNED
    for part in prange(groups * turns):
        first = part % turns * TURNED
        _turn(turned, w, part // turns, first, min(rows, first + TURNED), filters, spec, like)
    ahead = slices * blocks > 1
    if staged and ahead:
        for part in prange(samples * x.shape[1]):
            room = bordered[part * channel : (part + 1) * channel]
            room[:] = 0
            stage_channel(room, x[part // x.shape[1], part % x.shape[1]], fronts, place, 1)
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
                for f in range(filters):
                    stage_channel(room[f * channel : (f + 1) * channel], x[n, g * filters + f], fronts, place, 1)
            source = room.ctypes.data if staged else x[n, g * filters].ctypes.data
            if folded:
                fold(
                    maps[n, g * channels].ctypes.data, cells, source, x.shape[3] * x.shape[4], w[g * filters].ctypes.data,
                    filters, bordered[(ng if ahead else task) * (stage.shape[1] // groups) :].ctypes.data,
                    channels * block // blocks, channels * (block + 1) // blocks, channels, (w.shape[3], w.shape[4]),
                    (y.shape[3], y.shape[4], x.shape[3], x.shape[4]), (spec[4], spec[5]), like,
                )  # fmt: skip
                continue
            if runs:
                weights = turned.ctypes.data + g * panels_size(filters * taps, channels, lanes) * y.itemsize
                reach = ((w.shape[2] - 1) * spec[6], (w.shape[3] - 1) * spec[7], (w.shape[4] - 1) * spec[8])
                correlate_runs(
                    maps[n, g * channels].ctypes.data, cells, source, weights, 0, 0, channels, filters,
                    (w.shape[2], w.shape[3], w.shape[4]), reach, (-spec[6], -spec[7], -spec[8]), place, 1, size,
                    (plane, row), all_blocks * s // slices, all_blocks * (s + 1) // slices, table, filled, like,
                )  # fmt: skip
                filled = True
                continue
            weights = turned[g * channels * filters * taps :].ctypes.data
            c0, c1 = channels * block // blocks, channels * (block + 1) // blocks
            mine = slice(g * channels + c0, g * channels + c1)
            if stepped:
                target = spread[n].reshape(y.shape[1], cells)[mine]
            else:
                target = maps[n, mine]
            _phases(
                y,
                target,
                source,
                weights,
                w,
                filters,
                c0,
                lows,
                x.shape[3],
                place,
                spec,
                s,
                slices,
                staged,
                table,
                filled,
                like,
            )
            filled = True
    unfinished = samples * y.shape[1] if stepped or b.size > 0 else 0
    for part in prange(unfinished):
        n, c = part // y.shape[1], part % y.shape[1]
        if stepped:
            _interleave(y[n, c], spread[n, c * cells : (c + 1) * cells], spec)
        if b.size > 0:
            finish(maps[n, c], 0, cells, b[c], activation)


def _plain(y, x, w, b, stage, turned, spread, spec, activation):
    for part in prange(y.shape[0] * y.shape[1]):
        n, c = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            for line in range(y.shape[3]):
                for column in range(y.shape[4]):
                    y[n, c, z, line, column] = cell_sum(x[n], w, c, z, line, column, spec)
        if b.size > 0:
            finish(y[n, c].reshape(y[n, c].size), 0, y[n, c].size, b[c], activation)


@register_jitable
def cell_sum(x, w, c, z, line, column, spec):
    """The sum over all windows that a cell of the input stood in."""
    total, filters, g = x.dtype.type(0), w.shape[0] // spec[9], c // w.shape[1]
    for i in range(w.shape[2]):
        oz, rest = (z + spec[3] - i * spec[6]) // spec[0], (z + spec[3] - i * spec[6]) % spec[0]
        if rest != 0 or oz < 0 or oz >= x.shape[1]:
            continue
        for j in range(w.shape[3]):
            oy, rest = (line + spec[4] - j * spec[7]) // spec[1], (line + spec[4] - j * spec[7]) % spec[1]
            if rest != 0 or oy < 0 or oy >= x.shape[2]:
                continue
            for k in range(w.shape[4]):
                ox, rest = (column + spec[5] - k * spec[8]) // spec[2], (column + spec[5] - k * spec[8]) % spec[2]
                if rest != 0 or ox < 0 or ox >= x.shape[3]:
                    continue
                for f in range(g * filters, (g + 1) * filters):
                    total += w[f, c - g * w.shape[1], i, j, k] * x[f, oz, oy, ox]
    return total


def _cuda(y, x, w, b, stage, turned, spread, spec, activation):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        z = e // (y.shape[4] * y.shape[3]) % y.shape[2]
        c = e // (y.shape[4] * y.shape[3] * y.shape[2]) % y.shape[1]
        n = e // (y.shape[4] * y.shape[3] * y.shape[2] * y.shape[1])
        value = cuda.local.array(1, y.dtype)
        value[0] = cell_sum(x[n], w, c, z, line, column, spec)
        if b.size > 0:
            value[0] += b[c]
            activate(value, activation)
        y[n, c, z, line, column] = value[0]


def _cases(random, dtype):
    for bias in (False, True):
        for x, w, y, spec in examples(random, dtype):
            sizes = rooms(y, x, w, spec)
            stage, spread = (nan_room((len(x), sizes[name]), dtype) for name in ("stage_back", "spread"))
            b = random.standard_normal(x.shape[1] if bias else 0).astype(dtype)
            kind = RELU if bias else LINEAR
            turned = nan_room(turned_size(w, spec[9]), dtype)
            yield np.empty_like(x), y, w, b, stage, turned, spread, spec, kind


convolve_transposed = Kernel(
    "convolve_transposed",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=a_thread_each,
    flops=lambda y, x, w, *_: 2 * x.size * w[0].size,
    cases=_cases,
    blocks=BLOCKS,
)
