"""The windows of a convolution, laid out so that the register tile can multiply them.

A convolution is a matrix product: weights (filters, channels x taps) times windows (channels x taps, pixels), a tap being
one place of the filter. The windows never stand in memory as a whole. An input with a border or a step is first *staged*:
copied with its border of zeros, its columns sorted by their number modulo the step, so that neighbouring outputs always
read neighbouring elements. A *panel* of windows, a few vectors of pixels wide, is then gathered into the first-level cache
whenever the tile needs it.

Everything is three-dimensional (depth, height, width); a picture has depth 1, a sound height 1 as well.
`spec` is (strides, paddings in front, dilations, groups): three numbers for each of the first three.
"""

from numba.extending import register_jitable

from nbdl.kernels.matmul import multiply_at
from nbdl.kernels.pairs import copy_rows, split_rows
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    FEW_ROWS,
    HEIGHT,
    MOST_PIECES,
    TABLE,
    VECTORS,
    element_bytes,
    gather_rows,
    put,
    stack_integers,
    stack_panel,
    vector_lanes,
    window_tile,
)

FEW = 8  # channels that the first-level cache holds wherever they lie
GATHERING = 4.5  # what gathering a row of a panel costs, in rows of the product


def _pixels_block(panel, pitch, source, first, count, height, width, plane_step, row_step, table, rows, like):
    """Columns `first` to `first + count` of a panel: an output pixel a column, all `rows` of it."""
    lanes, size = vector_lanes(like), element_bytes(like)
    runs = stack_integers()
    line, x = divmod(first, width)
    z, h = divmod(line, height)  # counted on from here: a division takes longer than a row of the product
    for v in range(0, count, lanes):
        left, done, pieces, run = min(lanes, count - v), 0, 0, 0
        while done < left:
            run = min(width - x, left - done)
            put(runs, pieces, z * plane_step + h * row_step + x - done)
            put(runs, MOST_PIECES + pieces, ((1 << run) - 1) << done)
            pieces, done, x = pieces + 1, done + run, x + run
            if x == width:
                x, h = 0, h + 1
                if h == height:
                    h, z = 0, z + 1
        if run == lanes:
            pieces = 0
        elif pieces > 4:
            most = 8 if pieces <= 8 else 16
            for p in range(pieces, most):
                put(runs, p, 0)
                put(runs, MOST_PIECES + p, 0)
            pieces = most
        gather_rows(panel + v * size, pitch, source, table, rows, pieces, runs, like)


gather_pixels = share("pixels", _pixels_block, 11, 1, everywhere=False)


def _lines_block(
    y, y_row, source, w, w_row, filters, first, stop, height, width, plane_step, row_step, table, depth, each_row, first_line,
    hop, lines, bias, keep, rectify, like,
):  # fmt: skip
    """The same product without a panel: the tile reads `depth` rows of windows where they are staged.

    Vectors of pixels `first` to `stop`, counted line by line; those at the end of a line are not full. With `each_row`
    above 0, so many rows of windows belong to one row of the filter; row j of it meets line `line + first_line + j hop`
    of an input that has `lines`, and where it meets none, nothing is multiplied. Sums begin with what y holds where `keep`
    is 1, else with the filters' biases unless `bias` is 0; with `rectify` 1 numbers below 0 become 0.
    """
    lanes, size, spots = vector_lanes(like), element_bytes(like), stack_integers()
    each, tiles = (width + lanes - 1) // lanes, (filters + HEIGHT - 1) // HEIGHT
    # A row of B is two loads where it crosses a cache line: few rows of A need more vectors to be worth them.
    # Where lines are skipped, fewer in a tile have more of them in common.
    most = 4 if filters <= FEW_ROWS and (each_row == 0 or each > 1) else 2
    line, x = first // each, first % each * lanes
    z, h = divmod(line, height)  # counted on from here: a division takes longer than a row of the product
    v = first
    while v < stop:
        vectors = most if v + most <= stop else 2 if v + 2 <= stop else 1
        top = bottom = first_line + line
        for i in range(vectors):
            bottom = first_line + line
            put(spots, 3 * i, z * plane_step + h * row_step + x)
            put(spots, 3 * i + 1, line * width + x)
            put(spots, 3 * i + 2, min(lanes, width - x))
            x += lanes
            if x >= width:
                x, line, h = 0, line + 1, h + 1
                if h == height:
                    h, z = 0, z + 1
        k0, k1 = 0, depth
        if each_row > 0:
            j, behind = 0, depth // each_row
            while j < behind and (top + j * hop >= lines or bottom + j * hop < 0):
                j += 1
            while behind > j and (top + (behind - 1) * hop >= lines or bottom + (behind - 1) * hop < 0):
                behind -= 1
            k0, k1 = j * each_row, behind * each_row
        i = 0
        for t in range(tiles):
            rows = (filters - i + tiles - t - 1) // (tiles - t)
            window_tile(
                rows, vectors, w + (i * w_row + k0) * size, w_row, source, table + k0 * 8, k1 - k0, 1, 0,
                y + i * y_row * size, y_row, spots, bias + i * size if bias != 0 else 0, keep, rectify, like,
            )  # fmt: skip
            i += rows
        v += vectors


multiply_lines = share("lines", _lines_block, 21, 1, everywhere=False)


@register_jitable
def crowded(channel):
    """Whether channels so many elements apart share so few sets of the first-level cache that they drive each other out."""
    return channel % 128 == 0


@register_jitable
def roomy(channel):
    """The next distance between staged channels that is not crowded."""
    return channel + 16 if crowded(channel) else channel


@register_jitable
def layout(y, x, w, spec):
    """How the input of a convolution lies before it: staged, and elements a channel, a plane, a row and a column phase.

    An input without border or step along x is read where it is, unstaged, unless its channels are crowded and each cell
    is read more than once.
    """
    depth = (y.shape[2] - 1) * spec[0] + (w.shape[2] - 1) * spec[6] + 1
    height = (y.shape[3] - 1) * spec[1] + (w.shape[3] - 1) * spec[7] + 1
    width = (y.shape[4] - 1) * spec[2] + (w.shape[4] - 1) * spec[8] + 1
    bare = spec[2] == 1 and spec[3] + spec[4] + spec[5] == 0
    again = w.shape[2] * w.shape[3] * w.shape[4] > 1 and x.shape[1] > FEW
    bare = bare and not (again and crowded(x.shape[2] * x.shape[3] * x.shape[4]))
    if bare and depth <= x.shape[2] and height <= x.shape[3] and width <= x.shape[4]:
        return False, x.shape[2] * x.shape[3] * x.shape[4], x.shape[3] * x.shape[4], x.shape[4], x.shape[4]
    columns = (width + spec[2] - 1) // spec[2]
    row = spec[2] * columns
    return True, roomy(depth * height * row), height * row, row, columns


@register_jitable
def layout_plain(y, x, w, spec):
    """The same where neighbours may be a step apart: columns are not sorted, and only a border needs staging."""
    depth = (y.shape[2] - 1) * spec[0] + (w.shape[2] - 1) * spec[6] + 1
    height = (y.shape[3] - 1) * spec[1] + (w.shape[3] - 1) * spec[7] + 1
    width = (y.shape[4] - 1) * spec[2] + (w.shape[4] - 1) * spec[8] + 1
    bare = spec[3] + spec[4] + spec[5] == 0
    if bare and depth <= x.shape[2] and height <= x.shape[3] and width <= x.shape[4]:
        return False, x.shape[2] * x.shape[3] * x.shape[4], x.shape[3] * x.shape[4], x.shape[4], x.shape[4]
    return True, depth * height * width, height * width, width, width


@register_jitable
def lowest(axis, w, spec):
    """The lowest output that cell 0 to stride - 1 may come from; below 0 it stands in the border."""
    return (spec[3 + axis] - (w.shape[2 + axis] - 1) * spec[6 + axis]) // spec[axis]


@register_jitable
def layout_transposed(y, x, w, spec):
    """How x must lie to be read backwards: staged, and elements a channel, a plane and a row."""
    low, depth = lowest(0, w, spec), (y.shape[2] + spec[0] - 1) // spec[0] + (spec[0] - 1 + spec[3]) // spec[0]
    low_y, height = lowest(1, w, spec), (y.shape[3] + spec[1] - 1) // spec[1] + (spec[1] - 1 + spec[4]) // spec[1]
    low_x, width = lowest(2, w, spec), (y.shape[4] + spec[2] - 1) // spec[2] + (spec[2] - 1 + spec[5]) // spec[2]
    depth, height, width = depth - low, height - low_y, width - low_x
    there = x.shape[2] * x.shape[3] * x.shape[4]
    again = w.shape[2] * w.shape[3] * w.shape[4] > 1 and x.shape[1] > FEW
    bare = low == low_y == low_x == 0 and not (again and crowded(there))
    if bare and depth <= x.shape[2] and height <= x.shape[3] and width <= x.shape[4]:
        return False, x.shape[2] * x.shape[3] * x.shape[4], x.shape[3] * x.shape[4], x.shape[4]
    return True, roomy(depth * height * width), height * width, width


@register_jitable
def fill_pixels(table, first, start, count, height, width, plane_step, row_step, step):
    """Offsets, from `first` on, of the windows of the pixels `start` to `start + count` of an output of that height and width."""
    line, x = divmod(start, width)
    z, y = divmod(line, height)
    for p in range(count):
        put(table, p, first + z * plane_step + y * row_step + x * step)
        x += 1
        if x == width:
            x, y = 0, y + 1
            if y == height:
                y, z = 0, z + 1


@register_jitable
def stage_channel(staged, x, fronts, place, step):
    """Copy one channel inside its border: staged[z, y, phase, q] = x[z - front, y - front, q step + phase - front].

    The border is not touched: clear it once, and stage many samples in the same room.
    Shape: staged (any), seen through `place` (channel, plane, row, columns); x (depth, height, width).
    """
    channel, plane, row, columns = place
    width, size = x.shape[2], x.itemsize
    z0, z1 = max(0, fronts[0]), min(channel // plane, x.shape[0] + fronts[0])
    y0, y1 = max(0, fronts[1]), min(plane // row, x.shape[1] + fronts[1])
    if step == 1:
        start = max(0, fronts[2])
        stop = min(columns, width + fronts[2])
        for z in range(z0, z1 if stop > start and y1 > y0 else z0):
            copy_rows(
                staged.ctypes.data + (z * plane + y0 * row + start) * size, row,
                x[z - fronts[0], y0 - fronts[1], start - fronts[2] :].ctypes.data, width, y1 - y0, stop - start,
                x.dtype.type(1),
            )  # fmt: skip
        return
    for z in range(z0, z1):
        for phase in range(step):
            shift = phase - fronts[2]
            start = max(0, -(shift // step))
            stop = min(columns, (width - shift + step - 1) // step)
            at, first = z * plane + phase * columns, start * step + shift
            if step == 2 and stop > start and y1 > y0:
                if phase == 0:
                    odd, q = fronts[2] % 2, fronts[2] // 2
                    here = staged.ctypes.data + (z * plane + y0 * row + q) * size
                    split_rows(
                        here + odd * columns * size, here + ((1 - odd) * columns + odd) * size, row,
                        x[z - fronts[0], y0 - fronts[1]].ctypes.data, width, y1 - y0,
                        min(width, 2 * columns - fronts[2]), x.dtype.type(1),
                    )  # fmt: skip
            elif step > 2:
                for line in range(y0, y1):
                    here, source = at + line * row, x[z - fronts[0], line - fronts[1]]
                    for q in range(stop - start):
                        staged[here + start + q] = source[first + q * step]


@register_jitable
def fill_table(table, start, count, taps, channels, first, hop, place, step):
    """Offsets of the rows `start` to `start + count` of the windows.

    Rows are ordered by (channel, tap), and with `channels` other than 0 by (tap, channel). Tap (i, j, k) reads
    `first + hop * (i, j, k)` cells from where the pixel stands in the staged input.
    """
    channel, plane, row, columns = place
    tap, c = divmod(start, channels) if channels > 0 else (start, 0)
    rest, k = divmod(tap, taps[2])
    rest, j = divmod(rest, taps[1])
    if channels > 0:
        i = rest
    else:
        c, i = divmod(rest, taps[0])
    for r in range(count):
        x = first[2] + k * hop[2]
        if step > 1:
            x = x % step * columns + x // step
        put(table, r, c * channel + (first[0] + i * hop[0]) * plane + (first[1] + j * hop[1]) * row + x)
        if channels > 0:
            c += 1
            if c < channels:
                continue
            c = 0
        k += 1
        if k == taps[2]:
            j, k = j + 1, 0
            if j == taps[1]:
                i, j = i + 1, 0
                if i == taps[0] and channels == 0:
                    c, i = c + 1, 0


@register_jitable
def reads_lines(width, filters, staged, like):
    """Whether the tile had better read the staged input than a panel gathered from it.

    A panel costs a handful of cycles a row and has no idle lanes at the ends of lines. Idle lanes are read as well, so
    there must be something behind the last line: a staged input has room there.
    """
    lanes = vector_lanes(like)
    whole = (width + lanes - 1) // lanes * lanes
    return (staged or whole == width) and filters * whole <= (filters + GATHERING) * width


@register_jitable
def correlate(
    y, y_row, source, w, filters, channels, taps, by_taps, first, hop, place, step, size, pitch, piece, pieces, staged,
    real, bias, rectify, table, filled, like,
):  # fmt: skip
    """A piece of every filter's map: y[f, pixel] = sum over the windows' rows k of w[f, k] window[k, pixel].

    Gives the first pixel, the one behind the last, and whether biases are in and y is rectified.

    Rows of windows as in `fill_table`, channel by channel or `by_taps`; `real` is the first line of the staged input that
    is not border, and how many there are.

    `table` is room for the rows' offsets, which with `filled` are those of the last sample, already there.

    Addresses y, source and w; `size` (depth, height, width) of the map, `pitch` (plane, row) from a pixel to the next one
    behind and below in the staged input.
    """
    bytes_, width, lanes = element_bytes(like), VECTORS * vector_lanes(like), vector_lanes(like)
    panel = stack_panel(like)
    lines, pixels = size[0] * size[1], size[0] * size[1] * size[2]
    if pixels == 0:  # some taps meet no cell of a map that is lower than the stride
        return 0, 0, False
    # Rows of windows that drive each other out of the cache are better copied side by side first.
    direct = reads_lines(size[2], filters, staged, like) and not (channels > FEW and crowded(place[0]))
    # A piece holds whole lines or whole panels, so that no pixel is summed in another way than alone.
    grain = size[2] if direct else width
    grains = lines if direct else (pixels + width - 1) // width
    start, stop = grains * piece // pieces * grain, min(pixels, grains * (piece + 1) // pieces * grain)
    each = (size[2] + lanes - 1) // lanes
    rows = channels * taps[0] * taps[1] * taps[2]
    most = TABLE if direct else DEPTH
    chunks = (rows + most - 1) // most
    each_row = taps[2] * channels if by_taps and chunks == 1 and size[0] == 1 and taps[0] == 1 else 0
    for chunk in range(chunks):
        k0 = rows * chunk // chunks
        depth = rows * (chunk + 1) // chunks - k0
        if chunks > 1 or not filled:
            fill_table(table, k0, depth, taps, channels if by_taps else 0, first, hop, place, step)
        if direct:
            multiply_lines(
                y, y_row, source, w + k0 * bytes_, rows, filters, start // size[2] * each, stop // size[2] * each,
                size[1], size[2], pitch[0], pitch[1], table, depth, each_row, first[1] - real[0], hop[1], real[1], bias,
                min(chunk, 1), rectify if chunk == chunks - 1 else 0, like,
            )  # fmt: skip
            continue
        for p in range(start, stop, width):
            count = min(width, stop - p)
            gather_pixels(
                panel, width, source, p, count, size[1], size[2], pitch[0], pitch[1], table, depth, like
            )  # fmt: skip
            multiply_at(
                y + p * bytes_, y_row, w + k0 * bytes_, rows, 1, panel, width, filters, count, depth, like,
                like * min(chunk, 1),
            )  # fmt: skip
    return start, stop, direct
