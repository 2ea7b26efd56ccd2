"""Convolution over one, two or three dimensions, and its two gradients; all share the windows of kernels/windows.py.

    y[n, f, p]    = act(b[f] + sum over c, t of w[f, c, t] x[n, c, p stride + t dilation - padding])     convolve
    dx[n, c, i]   = sum over f, t with p stride + t dilation - padding = i of w[f, c, t] dz[n, f, p]     convolve_transposed
    dw[f, c, t]   = sum over n, p of dz[n, f, p] x[n, c, p stride + t dilation - padding]                convolve_weights
    db[f]         = sum over n, p of dz[n, f, p]

With groups, filter f sees only the channels of its group. `convolve_transposed` also runs a transposed convolution forward,
which is why it takes a bias and an activation.

Shape: x (N, C, D, H, W), y and dz (N, F, D', H', W'), w (F, C / groups, kernel), b (F); `spec` as in kernels/windows.py
(Dumoulin and Visin 2016, A guide to convolution arithmetic).
"""

from math import gcd

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import _FLOPS, KINDS, LINEAR, RELU, _forward_reference, activate
from nbdl.kernels.blocks import a_thread_each, block_sum, threads_for
from nbdl.kernels.matmul import dot_at
from nbdl.kernels.pairs import merge_rows, spread_rows
from nbdl.kernels.runs import add_rows, blocks_of, correlate_runs, multiply_runs, panel_rows, panels_size
from nbdl.kernels.tile import (
    DEPTH,
    SIMD,
    VECTORS,
    WIDE_PANEL,
    blend_rows,
    element_bytes,
    get,
    pack_panel_transposed,
    put,
    put_number,
    stack_integers,
    stack_panel,
    stack_wide_panel,
    vector_lanes,
)
from nbdl.kernels.windows import (
    FEW,
    correlate,
    crowded,
    fill_pixels,
    fill_table,
    gather_pixels,
    layout,
    layout_plain,
    roomy,
    stage_channel,
)

PARTS = 8  # at most so many groups of samples have weight gradients of their own, which are then added up
TURNED = 64  # rows of the weights that a thread transposes at a time
TURNING = 64  # pixels of all samples from which on it pays to turn the weights
BEHIND = 64  # numbers behind a staged sample that the tile may read, though it uses none
PART_SIZE = 1 << 18  # numbers that all of them may take together


def _taps(x, y, w, spec):
    """For each tap: its place in the filter, and the cells of the bordered input that it meets, one for each output."""
    sizes, fronts = np.array(x.shape[2:]), np.array(spec[3:6])
    needed = (np.array(y.shape[2:]) - 1) * spec[:3] + (np.array(w.shape[2:]) - 1) * spec[6:9] + 1
    border = [(0, 0), (0, 0), *zip(fronts, np.maximum(0, needed - fronts - sizes), strict=True)]
    for tap in np.ndindex(*w.shape[2:]):
        starts = np.array(tap) * spec[6:9]
        cells = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, y.shape[2:], spec, strict=False)]
        yield tap, border, (slice(None), slice(None), *cells)


def _groups(w, groups):
    """Filters and channels of each group."""
    f, c = w.shape[0] // groups, w.shape[1]
    for g in range(groups):
        yield slice(g * f, g * f + f), slice(g * c, g * c + c)


def _reference(y, x, w, b, stage, turned, spec, activation):
    z = np.zeros_like(y)
    for tap, border, cells in _taps(x, y, w, spec):
        seen = np.pad(x, border)[cells]
        for filters, channels in _groups(w, spec[9]):
            z[:, filters] += np.einsum("fc,ncdhw->nfdhw", w[(filters, slice(None), *tap)], seen[:, channels])
    _forward_reference(y, z + b.reshape(-1, 1, 1, 1) if b.size else z, activation)


@register_jitable
def _finish(row, start, stop, bias, activation):
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
                    _finish(maps[n, f], start, stop, bias, activation)


def _plain(y, x, w, b, stage, turned, spec, activation):
    channels, filters = w.shape[1], w.shape[0] // spec[9]
    for part in prange(y.shape[0] * y.shape[1]):
        n, f = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            for line in range(y.shape[3]):
                for column in range(y.shape[4]):
                    y[n, f, z, line, column] = _window_sum(x[n], w[f], f // filters * channels, z, line, column, spec)
        _finish(y[n, f].reshape(y[n, f].size), 0, y[n, f].size, b[f] if b.size > 0 else y.dtype.type(0), activation)


@register_jitable
def _window_sum(x, w, first, z, line, column, spec):
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
        value[0] = _window_sum(x[n], w[f], first, z, line, column, spec)
        if b.size > 0:
            value[0] += b[f]
        activate(value, activation)
        y[n, f, z, line, column] = value[0]


def _transposed_reference(y, x, w, b, stage, turned, spread, spec, activation):
    z = np.zeros_like(y)
    for tap, border, cells in _taps(y, x, w, spec):
        bordered = np.zeros_like(np.pad(y, border))
        for filters, channels in _groups(w, spec[9]):
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
def _lowest(axis, w, spec):
    """The lowest output that cell 0 to stride - 1 may come from; below 0 it stands in the border."""
    return (spec[3 + axis] - (w.shape[2 + axis] - 1) * spec[6 + axis]) // spec[axis]


@register_jitable
def layout_transposed(y, x, w, spec):
    """How x must lie to be read backwards: staged, and elements a channel, a plane and a row."""
    low, depth = _lowest(0, w, spec), (y.shape[2] + spec[0] - 1) // spec[0] + (spec[0] - 1 + spec[3]) // spec[0]
    low_y, height = _lowest(1, w, spec), (y.shape[3] + spec[1] - 1) // spec[1] + (spec[1] - 1 + spec[4]) // spec[1]
    low_x, width = _lowest(2, w, spec), (y.shape[4] + spec[2] - 1) // spec[2] + (spec[2] - 1 + spec[5]) // spec[2]
    depth, height, width = depth - low, height - low_y, width - low_x
    there = x.shape[2] * x.shape[3] * x.shape[4]
    again = w.shape[2] * w.shape[3] * w.shape[4] > 1 and x.shape[1] > FEW
    bare = low == low_y == low_x == 0 and not (again and crowded(there))
    if bare and depth <= x.shape[2] and height <= x.shape[3] and width <= x.shape[4]:
        return False, x.shape[2] * x.shape[3] * x.shape[4], x.shape[3] * x.shape[4], x.shape[4]
    return True, roomy(depth * height * width), height * width, width


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


def _transposed_tiled(y, x, w, b, stage, turned, spread, spec, activation):
    samples, groups, channels, filters = y.shape[0], spec[9], w.shape[1], w.shape[0] // spec[9]
    cells, like, stepped = y.shape[2] * y.shape[3] * y.shape[4], y.dtype.type(1), spec[0] * spec[1] * spec[2] > 1
    staged, channel, plane, row = layout_transposed(y, x, w, spec)
    place, lows = (channel, plane, row, row), (_lowest(0, w, spec), _lowest(1, w, spec), _lowest(2, w, spec))
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
    turns = 0 if runs else (rows + TURNED - 1) // TURNED
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
            _finish(maps[n, c], 0, cells, b[c], activation)


def _transposed_plain(y, x, w, b, stage, turned, spread, spec, activation):
    for part in prange(y.shape[0] * y.shape[1]):
        n, c = part // y.shape[1], part % y.shape[1]
        for z in range(y.shape[2]):
            for line in range(y.shape[3]):
                for column in range(y.shape[4]):
                    y[n, c, z, line, column] = _cell_sum(x[n], w, c, z, line, column, spec)
        if b.size > 0:
            _finish(y[n, c].reshape(y[n, c].size), 0, y[n, c].size, b[c], activation)


@register_jitable
def _cell_sum(x, w, c, z, line, column, spec):
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


def _transposed_cuda(y, x, w, b, stage, turned, spread, spec, activation):
    e = cuda.grid(1)
    if e < y.size:
        column, line = e % y.shape[4], e // y.shape[4] % y.shape[3]
        z = e // (y.shape[4] * y.shape[3]) % y.shape[2]
        c = e // (y.shape[4] * y.shape[3] * y.shape[2]) % y.shape[1]
        n = e // (y.shape[4] * y.shape[3] * y.shape[2] * y.shape[1])
        value = cuda.local.array(1, y.dtype)
        value[0] = _cell_sum(x[n], w, c, z, line, column, spec)
        if b.size > 0:
            value[0] += b[c]
            activate(value, activation)
        y[n, c, z, line, column] = value[0]


def parts(samples: int, w) -> int:
    """Into how many groups of samples the weight gradients are cut: it depends on shapes only, so the bits do too."""
    numbers = w.shape[0] * (w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4] + 1)
    return max(1, min(samples, PARTS, PART_SIZE // numbers))


def _weights_reference(dw, db, x, dz, stage, partial, spec, blend):
    scale, keep = blend
    if keep == 0:
        dw[...], db[...] = 0, 0
    dw *= keep
    db *= keep
    for tap, border, cells in _taps(x, dz, dw, spec):
        seen = np.pad(x, border)[cells]
        for filters, channels in _groups(dw, spec[9]):
            here = (filters, slice(None), *tap)
            dw[here] += scale * np.einsum("nfdhw,ncdhw->fc", dz[:, filters], seen[:, channels])
    if db.size:
        db += scale * dz.sum(axis=(0, 2, 3, 4))


def _weights_tiled(dw, db, x, dz, stage, partial, spec, blend):
    scale, keep = blend[0], blend[1]
    samples, groups, channels, filters = x.shape[0], spec[9], dw.shape[1], dw.shape[0] // spec[9]
    like, size, width = dw.dtype.type(1), element_bytes(dw.dtype.type(1)), VECTORS * vector_lanes(dw.dtype.type(1))
    # With vectors along the filters few filters leave lanes idle; then vectors along the pixels do better.
    slim = 2 * filters <= vector_lanes(like)
    staged, channel, plane, row, columns = layout(dz, x, dw, spec) if slim else layout_plain(dz, x, dw, spec)
    place, fronts, step = (channel, plane, row, columns), (spec[3], spec[4], spec[5]), spec[2] if slim else 1
    rows, count = channels * dw.shape[2] * dw.shape[3] * dw.shape[4], partial.shape[0]
    pieces = max(1, min((threads() + count * groups - 1) // (count * groups), rows // 28))
    whole, bordered = channels * channel, stage.reshape(stage.size)
    if staged and pieces > 1:
        for part in prange(samples * x.shape[1]):
            room = bordered[part * channel : (part + 1) * channel]
            room[:] = 0
            stage_channel(room, x[part // x.shape[1], part % x.shape[1]], fronts, place, step)
    # Small pictures are summed several at a time: the sums then travel less often.
    pixels = dz.shape[2] * dz.shape[3] * dz.shape[4]
    several = 1 if slim else max(1, min(samples // count, DEPTH // pixels))
    for task in prange(count * groups * pieces):
        part, g, cut = task // (groups * pieces), task // pieces % groups, task % pieces
        sums = partial[part, g * filters * (rows + 1) :]
        first, last = samples * part // count, samples * (part + 1) // count
        table, starts = stack_integers(), stack_integers()  # the same for all samples
        if staged and pieces == 1:
            bordered[task * several * whole : (task + 1) * several * whole] = 0
        for n in range(first, last, several):
            here, room = min(several, last - n), bordered
            if staged:
                room = bordered[(task * several if pieces == 1 else n * groups + g) * whole :]
            if staged and pieces == 1:
                for i in range(here * channels):
                    cell = x[n + i // channels, g * channels + i % channels]
                    stage_channel(room[i * channel : (i + 1) * channel], cell, fronts, place, step)
            source = room.ctypes.data if staged else x[n, g * channels].ctypes.data
            errors = dz[n : n + here, g * filters : (g + 1) * filters]
            if slim and in_lines(errors, spec, place, like):
                _add_by_lines(sums, errors, source, dw, spec, place, n > first, cut, pieces)
            elif slim:
                _add_by_pixels(sums, errors, source, dw, spec, place, n > first, cut, pieces)
            else:
                apart = x[0].size if not staged else whole if pieces == 1 else whole * groups
                _add_by_filters(
                    sums, errors, source, apart, dw, spec, place, n > first, cut, pieces, table, starts, n > first
                )
    if slim:
        for part in range(count):
            source, target = partial[part].ctypes.data, dw.ctypes.data
            blend_rows(target, rows, source, rows + 1, dw.shape[0], rows, scale, keep if part == 0 else like)
    blocks = 0 if slim else (rows + width - 1) // width
    for block in prange(groups * blocks):  # the sums stand tap by tap: turn them, and add up the parts
        g, k, panel = block // blocks, block % blocks * width, stack_panel(like)
        across = min(width, rows - k)
        for f in range(0, filters, DEPTH):
            depth = min(DEPTH, filters - f)
            for part in range(count):
                source = partial[part, (g * (rows + 1) + k) * filters + f :].ctypes.data
                pack_panel_transposed(panel, source, filters, depth, across, like)
                target = dw.ctypes.data + ((g * filters + f) * rows + k) * size
                blend_rows(target, rows, panel, width, depth, across, scale, keep if part == 0 else like)
    for f in range(db.size):
        total, at = dw.dtype.type(0), (f // filters * (rows + 1) + rows) * filters + f % filters
        if slim:
            at = f * (rows + 1) + rows
        for part in range(count):
            total += partial[part, at]
        db[f] = scale * total + (keep * db[f] if keep != 0 else keep)


@register_jitable
def _add_by_filters(sums, errors, source, apart, dw, spec, place, more, cut, pieces, table, starts, filled):
    """Add some samples' part to the sums of piece `cut` of `pieces` of the taps, or let them begin with it.

    One sample, or as many as have DEPTH pixels together, `apart` elements from one to the next. `table` and `starts` are
    room for offsets, which with `filled` are those of the last samples, already there.
    Shape: sums (channels x taps + 1, filters), the last row those of the bias; errors (n, filters, depth, height, width).
    """
    samples, filters, like = errors.shape[0], errors.shape[1], sums.dtype.type(1)
    pixels, kernel = errors.shape[2] * errors.shape[3] * errors.shape[4], dw.shape[4]
    size, width = element_bytes(like), VECTORS * vector_lanes(like)
    # Neighbours in a filter's row are read as one run if they stand close enough, else each by itself.
    run, hop = (kernel, spec[8]) if spec[8] <= 2 else (1, 1)
    each = kernel // run
    lines = dw.shape[1] * dw.shape[2] * dw.shape[3] * each
    panel, chunks = stack_wide_panel(like), (pixels + DEPTH - 1) // DEPTH
    l0, l1 = lines * cut // pieces, lines * (cut + 1) // pieces
    for chunk in range(chunks):
        p = pixels * chunk // chunks
        depth, keep = pixels * (chunk + 1) // chunks - p, 1 if more or chunk > 0 else 0
        for n in range(0 if filled and chunks == 1 else samples):
            fill_pixels(
                table + n * depth * 8, n * apart, p, depth, errors.shape[3], errors.shape[4], spec[0] * place[1],
                spec[1] * place[2], spec[2],
            )  # fmt: skip
        for line in range(l0, l1, DEPTH):
            count = min(DEPTH, l1 - line)
            if l1 - l0 > DEPTH or (chunk == 0 and not filled):
                taps, hops = (dw.shape[2], dw.shape[3], each), (spec[6], spec[7], spec[8])
                fill_table(starts, line, count, taps, 0, (0, 0, 0), hops, place, 1)
            for f in range(0, filters, width):
                across = min(width, filters - f)
                for n in range(samples):
                    at = errors[n, f].ctypes.data + p * size
                    pack_panel_transposed(panel + n * depth * width * size, at, pixels, depth, across, like)
                target = sums.ctypes.data + (line * run * filters + f) * size
                multiply_runs(
                    target, filters, source, starts, count, run, hop, table, samples * depth, panel, across, keep, like
                )  # fmt: skip
                if line + count == lines:
                    row = sums[lines * run * filters + f :][:across]
                    if keep == 0:
                        row[:] = 0
                    add_rows(row.ctypes.data, panel, width, samples * depth, across, like)


@register_jitable
def in_lines(errors, spec, place, like):
    """Whether errors laid out as the staged input is, with zeros between its lines, are not much more than the errors.

    Shape: errors (n, filters, depth, height, width).
    """
    row = place[2]
    room = DEPTH * WIDE_PANEL * vector_lanes(like) // max(1, errors.shape[1] + 1)
    return spec[0] * spec[1] * spec[2] == 1 and 4 * row <= 5 * errors.shape[4] and row + 3 * vector_lanes(like) <= room


@register_jitable
def _add_by_lines(sums, errors, source, dw, spec, place, more, cut, pieces):
    """The same for one sample with vectors along the pixels: each tap meets the errors in one long sum.

    The errors are laid out with as much room between their lines as there is between the input's, so that the windows of a
    tap need not be gathered: they are the input from that tap on. Shape: sums (filters, channels x taps + 1).
    """
    filters, height, width, like = errors.shape[1], errors.shape[3], errors.shape[4], sums.dtype.type(1)
    size, lanes, (channel, plane, row, _) = element_bytes(like), vector_lanes(like), place
    channels, taps = dw.shape[1], (dw.shape[2], dw.shape[3], dw.shape[4])
    rows, lines = channels * taps[0] * taps[1] * taps[2], channels * taps[0] * taps[1]
    panel = stack_wide_panel(like)
    each = min(height, (DEPTH * WIDE_PANEL * lanes // (filters + 1) - 2 * lanes) // row)
    pitch = ((each * row + lanes) // lanes | 1) * lanes  # an odd number of cache lines
    ones = panel + filters * pitch * size
    for i in range(each * row):
        put_number(ones, i, like)
    keep = like if more else like * 0
    for z in range(errors.shape[2]):
        for line in range(0, height, each):
            count = min(each, height - line)
            length = (count - 1) * row + width
            for f in range(filters):
                at = errors[0, f, z, line].ctypes.data
                spread_rows(panel + f * pitch * size, row, at, width, count, width, like)
            for number in range(lines * cut // pieces, lines * (cut + 1) // pieces):
                rest, j = divmod(number, taps[1])
                c, i = divmod(rest, taps[0])
                seen = source + (c * channel + (z + i * spec[6]) * plane + (line + j * spec[7]) * row) * size
                dot_at(
                    sums.ctypes.data + number * taps[2] * size, rows + 1, panel, pitch, 1, seen, spec[8], filters, taps[2],
                    length, like, keep,
                )  # fmt: skip
            if cut == pieces - 1:
                dot_at(
                    sums.ctypes.data + rows * size, rows + 1, panel, pitch, 1, ones, 0, filters, 1, length, like, keep
                )  # fmt: skip
            keep = like


@register_jitable
def _add_by_pixels(sums, errors, source, dw, spec, place, more, cut, pieces):
    """The same for one sample with vectors along the pixels, from windows gathered into a panel.

    Shape: sums (filters, channels x taps + 1).
    """
    filters, pixels, like = errors.shape[1], errors[0, 0].size, sums.dtype.type(1)
    size, lanes, taps = element_bytes(like), vector_lanes(like), (dw.shape[2], dw.shape[3], dw.shape[4])
    rows = dw.shape[1] * taps[0] * taps[1] * taps[2]
    # The row behind the last tap is all ones: its products are the sums over dz, the gradient of the bias.
    k0, k1 = (rows + 1) * cut // pieces, (rows + 1) * (cut + 1) // pieces
    wide = (DEPTH * (WIDE_PANEL + 1) // min(rows + 1, DEPTH) - 1) * lanes
    wide = min(wide, (pixels + lanes - 1) // lanes * lanes)
    pitch = (wide // lanes | 1) * lanes  # rows an odd number of cache lines apart do not drive each other out
    windows, table = stack_wide_panel(like), stack_integers()
    for p in range(0, pixels, wide):
        here = min(wide, pixels - p)
        for k in range(k0, k1, DEPTH):
            height = min(DEPTH, k1 - k)
            real = min(height, rows - k)
            fill_table(table, k, real, taps, 0, (0, 0, 0), (spec[6], spec[7], spec[8]), place, spec[2])
            gather_pixels(
                windows, pitch, source, p, here, errors.shape[3], errors.shape[4], spec[0] * place[1],
                spec[1] * place[2], table, real, like,
            )  # fmt: skip
            if real < height:
                for i in range(here):
                    put_number(windows, real * pitch + i, like)
            keep = like if more or p > 0 else like * 0
            dot_at(
                sums.ctypes.data + k * size, rows + 1, errors.ctypes.data + p * size, pixels, 1, windows, pitch, filters,
                height, here, like, keep,
            )  # fmt: skip


def _weights_plain(dw, db, x, dz, stage, partial, spec, blend):
    scale, keep = blend[0], blend[1]
    for f in prange(dw.shape[0]):
        first = f // (dw.shape[0] // spec[9]) * dw.shape[1]
        for c in range(dw.shape[1]):
            for i in range(dw.shape[2]):
                for j in range(dw.shape[3]):
                    for k in range(dw.shape[4]):
                        total = _tap_sum(x, dz, f, first + c, i, j, k, 0, 1, spec)
                        dw[f, c, i, j, k] = scale * total + (keep * dw[f, c, i, j, k] if keep != 0 else keep)
        if db.size > 0:
            total = dw.dtype.type(0)
            for n in range(dz.shape[0]):
                for value in dz[n, f].flat:
                    total += value
            db[f] = scale * total + (keep * db[f] if keep != 0 else keep)


@register_jitable
def _tap_sum(x, dz, f, c, i, j, k, start, step, spec):
    """Sum of errors times what one tap saw, over all samples and every `step`th pixel from `start` on."""
    total = x.dtype.type(0)
    pixels = dz.shape[2] * dz.shape[3] * dz.shape[4]
    for p in range(start, dz.shape[0] * pixels, step):
        n, rest = p // pixels, p % pixels
        z, line, column = rest // (dz.shape[3] * dz.shape[4]), rest // dz.shape[4] % dz.shape[3], rest % dz.shape[4]
        iz = z * spec[0] + i * spec[6] - spec[3]
        iy = line * spec[1] + j * spec[7] - spec[4]
        ix = column * spec[2] + k * spec[8] - spec[5]
        if 0 <= iz < x.shape[2] and 0 <= iy < x.shape[3] and 0 <= ix < x.shape[4]:
            total += dz[n, f, z, line, column] * x[n, c, iz, iy, ix]
    return total


def _weights_cuda(dw, db, x, dz, stage, partial, spec, blend):
    scale, keep, zero = blend[0], blend[1], dw.dtype.type(0)
    e = cuda.blockIdx.x
    if e < dw.size:
        k, j = e % dw.shape[4], e // dw.shape[4] % dw.shape[3]
        i = e // (dw.shape[4] * dw.shape[3]) % dw.shape[2]
        c = e // (dw.shape[4] * dw.shape[3] * dw.shape[2]) % dw.shape[1]
        f = e // (dw.shape[4] * dw.shape[3] * dw.shape[2] * dw.shape[1])
        first = f // (dw.shape[0] // spec[9]) * dw.shape[1]
        mine = _tap_sum(x, dz, f, first + c, i, j, k, cuda.threadIdx.x, cuda.blockDim.x, spec)
        total = block_sum(mine, dw)
        if cuda.threadIdx.x == 0:
            dw[f, c, i, j, k] = scale * total + (keep * dw[f, c, i, j, k] if keep != zero else zero)
    else:
        f, mine = e - dw.size, zero
        pixels = dz.shape[2] * dz.shape[3] * dz.shape[4]
        for p in range(cuda.threadIdx.x, dz.shape[0] * pixels, cuda.blockDim.x):
            rest = p % pixels
            mine += dz[
                p // pixels,
                f,
                rest // (dz.shape[3] * dz.shape[4]),
                rest // dz.shape[4] % dz.shape[3],
                rest % dz.shape[4],
            ]
        total = block_sum(mine, dw)
        if cuda.threadIdx.x == 0:
            db[f] = scale * total + (keep * db[f] if keep != zero else zero)


def _bias_reference(db, dz, blend):
    scale, keep = blend
    db[...] = scale * dz.sum(axis=(0, 2, 3, 4)) + (keep * db if keep != 0 else 0)


def _bias_cpu(db, dz, blend):
    scale, keep, maps = blend[0], blend[1], dz.reshape(dz.shape[0], dz.shape[1], dz[0, 0].size)
    for f in prange(db.size):
        a = b = c = d = db.dtype.type(0)  # four chains of additions, because each waits for its last sum
        for n in range(maps.shape[0]):
            row = maps[n, f]
            whole = row.size - row.size % 4
            for p in range(0, whole, 4):
                a, b, c, d = a + row[p], b + row[p + 1], c + row[p + 2], d + row[p + 3]
            for p in range(whole, row.size):
                a += row[p]
        db[f] = scale * (a + b + (c + d)) + (keep * db[f] if keep != 0 else keep)


def _bias_cuda(db, dz, blend):
    f, zero = cuda.blockIdx.x, db.dtype.type(0)
    mine, pixels = zero, dz.shape[2] * dz.shape[3] * dz.shape[4]
    for p in range(cuda.threadIdx.x, dz.shape[0] * pixels, cuda.blockDim.x):
        rest = p % pixels
        z, line = rest // (dz.shape[3] * dz.shape[4]), rest // dz.shape[4] % dz.shape[3]
        mine += dz[p // pixels, f, z, line, rest % dz.shape[4]]
    total = block_sum(mine, db)
    if cuda.threadIdx.x == 0:
        db[f] = blend[0] * total + (blend[1] * db[f] if blend[1] != zero else zero)


def _bias_cases(random, dtype):
    for _, _, y, _ in _arrays(random, dtype):
        yield np.empty(y.shape[1], dtype), y, np.array([1, 0], dtype)


def rooms(y, x, w, spec) -> dict[str, int]:
    """Numbers of one sample that the kernels work in: `stage` of `convolve`, `stage_back` and `spread` of its reverse."""
    staged, channel, *_ = layout(y, x, w, spec)
    back, channel_back, *_ = layout_transposed(x, y, w, spec)
    return {
        "stage": x.shape[1] * channel + BEHIND if staged else 1,
        "stage_back": y.shape[1] * channel_back + BEHIND if back else 1,
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


def partial_size(w) -> int:
    """Numbers of one group of samples' weight and bias gradients."""
    return w.shape[0] * (w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4] + 1)


def _arrays(random, dtype):
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
    ]:
        out = [(size[i] + 2 * spec[3 + i] - (kernel[i] - 1) * spec[6 + i] - 1) // spec[i] + 1 for i in range(3)]
        shapes = (n, c, *size), (f, c // spec[9], *kernel), (n, f, *out)
        x, w, y = (random.standard_normal(shape).astype(dtype) for shape in shapes)
        yield x, w, y, spec


def _room(shape, dtype):
    return np.full(shape, np.nan, dtype)


def _cases(random, dtype):
    for kind in (LINEAR, RELU, KINDS["tanh"]):
        for x, w, y, spec in _arrays(random, dtype):
            stage = _room((len(x), rooms(y, x, w, spec)["stage"]), dtype)
            turned = _room(turned_size(w, spec[9]), dtype)
            b = random.standard_normal(len(w) if kind != LINEAR else 0).astype(dtype)
            yield np.empty_like(y), x, w, b, stage, turned, spec, kind


def _transposed_cases(random, dtype):
    for bias in (False, True):
        for x, w, y, spec in _arrays(random, dtype):
            sizes = rooms(y, x, w, spec)
            stage, spread = (_room((len(x), sizes[name]), dtype) for name in ("stage_back", "spread"))
            b = random.standard_normal(x.shape[1] if bias else 0).astype(dtype)
            kind = RELU if bias else LINEAR
            turned = _room(turned_size(w, spec[9]), dtype)
            yield np.empty_like(x), y, w, b, stage, turned, spread, spec, kind


def _weights_cases(random, dtype):
    for x, w, y, spec in _arrays(random, dtype):
        stage = _room((len(x), rooms(y, x, w, spec)["stage"]), dtype)
        partial = _room((parts(len(x), w), partial_size(w)), dtype)
        yield np.empty_like(w), np.empty(len(w), dtype), x, y, stage, partial, spec, np.array([1, 0], dtype)


BLOCKS = ("pixels", "lines", "runs", "store")

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
convolve_transposed = Kernel(
    "convolve_transposed",
    _transposed_reference,
    _transposed_plain if SIMD == "plain" else _transposed_tiled,
    _transposed_cuda,
    grid=a_thread_each,
    flops=lambda y, x, w, *_: 2 * x.size * w[0].size,
    cases=_transposed_cases,
    blocks=BLOCKS,
)
convolve_weights = Kernel(
    "convolve_weights",
    _weights_reference,
    _weights_plain if SIMD == "plain" else _weights_tiled,
    _weights_cuda,
    grid=lambda dw, db, x, dz, *_: (dw.size + db.size, threads_for(dz.size // dz.shape[1])),
    flops=lambda dw, db, x, dz, *_: dz.size * (2 * dw[0].size + 1),
    cases=_weights_cases,
    outputs=2,
    blocks=BLOCKS,
)
bias_backward = Kernel(
    "bias_backward",
    _bias_reference,
    _bias_cpu,
    _bias_cuda,
    grid=lambda db, dz, blend: (db.size, threads_for(dz.size // dz.shape[1])),
    flops=lambda db, dz, blend: dz.size,
    cases=_bias_cases,
)
