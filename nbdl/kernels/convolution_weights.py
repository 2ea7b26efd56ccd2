"""The gradients of a convolution's weights and biases.

    dw[f, c, t] = sum over n, p of dz[n, f, p] x[n, c, p stride + t dilation - padding]       db[f] = sum over n, p of dz[n, f, p]

Some groups of samples are summed up by themselves, in `partial`, and then added: threads share them, and the bits do not
depend on how many there are. `bias_backward` is db alone, for transposed convolutions.

Shape: x (N, C, D, H, W), dz (N, F, D', H', W'), dw (F, C / groups, kernel), db (F) or none; rooms and spec as `convolve`.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import block_sum, threads_for
from nbdl.kernels.convolution import BLOCKS, examples, groups_of, nan_room, rooms, tap_cells
from nbdl.kernels.matmul import dot_at
from nbdl.kernels.pairs import spread_rows
from nbdl.kernels.runs import add_rows, multiply_runs
from nbdl.kernels.tile import (
    DEPTH,
    SIMD,
    VECTORS,
    WIDE_PANEL,
    blend_rows,
    element_bytes,
    pack_panel_transposed,
    put_number,
    stack_integers,
    stack_panel,
    stack_wide_panel,
    vector_lanes,
)
from nbdl.kernels.windows import fill_pixels, fill_table, gather_pixels, layout, layout_plain, stage_channel

PARTS = 8  # at most so many groups of samples have weight gradients of their own, which are then added up
PART_SIZE = 1 << 18  # numbers that all of them may take together


def parts(samples: int, w) -> int:
    """Into how many groups of samples the weight gradients are cut: it depends on shapes only, so the bits do too."""
    numbers = w.shape[0] * (w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4] + 1)
    return max(1, min(samples, PARTS, PART_SIZE // numbers))


def partial_size(w) -> int:
    """Numbers of one group of samples' weight and bias gradients."""
    return w.shape[0] * (w.shape[1] * w.shape[2] * w.shape[3] * w.shape[4] + 1)


def _reference(dw, db, x, dz, stage, partial, spec, blend):
    scale, keep = blend
    if keep == 0:
        dw[...], db[...] = 0, 0
    dw *= keep
    db *= keep
    for tap, border, cells in tap_cells(x, dz, dw, spec):
        seen = np.pad(x, border)[cells]
        for filters, channels in groups_of(dw, spec[9]):
            here = (filters, slice(None), *tap)
            dw[here] += scale * np.einsum("nfdhw,ncdhw->fc", dz[:, filters], seen[:, channels])
    if db.size:
        db += scale * dz.sum(axis=(0, 2, 3, 4))


def _tiled(dw, db, x, dz, stage, partial, spec, blend):
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


def _plain(dw, db, x, dz, stage, partial, spec, blend):
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


def _cuda(dw, db, x, dz, stage, partial, spec, blend):
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
    for _, _, y, _ in examples(random, dtype):
        yield np.empty(y.shape[1], dtype), y, np.array([1, 0], dtype)


def _cases(random, dtype):
    for x, w, y, spec in examples(random, dtype):
        stage = nan_room((len(x), rooms(y, x, w, spec)["stage"]), dtype)
        partial = nan_room((parts(len(x), w), partial_size(w)), dtype)
        yield np.empty_like(w), np.empty(len(w), dtype), x, y, stage, partial, spec, np.array([1, 0], dtype)


convolve_weights = Kernel(
    "convolve_weights",
    _reference,
    _plain if SIMD == "plain" else _tiled,
    _cuda,
    grid=lambda dw, db, x, dz, *_: (dw.size + db.size, threads_for(dz.size // dz.shape[1])),
    flops=lambda dw, db, x, dz, *_: dz.size * (2 * dw[0].size + 1),
    cases=_cases,
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
