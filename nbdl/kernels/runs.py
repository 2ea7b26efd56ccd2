"""Products whose rows are read where the input stands: `run` neighbours behind each of many starts.

    C[line run + j, f] = sum over k of source[starts[line] + table[k] + j step] B[k, f] + keep C[line run + j, f]

With the neighbours an output line's pixels, k the cells of a filter and B the weights, that is a convolution; with the
neighbours a filter's columns, k the pixels and B the errors, it is the gradient of its weights. Nothing is gathered, and no
lane is idle however short the lines are: vectors run along the filters. B is a panel, rows of VECTORS vectors.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    HEIGHT,
    VECTORS,
    _element,
    _emit_transpose,
    _Emitter,
    _switch,
    element_bytes,
    put,
    stack_integers,
    stack_panel,
    vector_lanes,
)
from nbdl.kernels.windows import fill_table

STEPS = (1, 2)  # distances between neighbours that the tile knows
MOST_GROUPS = 7  # each start takes a register


BLOCK = 256  # pixels whose sums stand in a panel until they are complete
TALL = 3 * HEIGHT // 2  # rows of a tile that is one vector wide


@register_jitable
def _groups(run, vectors, step):
    """How many short runs one tile takes."""
    if step > 1:
        return 1
    return max(1, min(MOST_GROUPS, (TALL if vectors == 1 else HEIGHT) // run))


def _emit(e: _Emitter, groups, run, vectors, step, source, starts, table, depth, b, c, c_row, columns, keep):
    """One loop over k with groups x run x vectors accumulators."""
    builder = e.builder
    sources = [e.at(source, builder.load(e.at(starts, e.index(g)))) for g in range(groups)]
    masks = [e.mask(columns, v) for v in range(vectors)]
    reads = e.splat(builder.icmp_signed("!=", keep, e.index(0)), masks[0].type)
    places, first = [], []
    for i in range(groups * run):
        row = e.at(c, builder.mul(c_row, e.index(i)))
        for v in range(vectors):
            places.append((e.at(row, e.index(v * e.lanes)), masks[v]))
            first.append(e.load(places[-1][0], builder.and_(masks[v], reads)))

    def body(k, acc):
        offset, b_k = builder.load(e.at(table, k)), e.at(b, builder.mul(k, e.index(VECTORS * e.lanes)))
        row = [e.load(e.at(b_k, e.index(v * e.lanes))) for v in range(vectors)]
        total = []
        for start in sources:
            here = e.at(start, offset)
            for j in range(run):
                value = e.splat(builder.load(e.at(here, e.index(j * step))))
                total += [e.fma(value, row[v], acc[len(total) + v]) for v in range(vectors)]
        return total

    for value, (place, mask) in zip(e.loop(e.index(0), depth, 1, first, body), places, strict=True):
        e.store(value, place, mask)


@intrinsic
def _run_tile(typingctx, groups, run, step, source, starts, table, depth, b, c, c_row, columns, keep, like):
    """The product for `groups` starts."""
    element = _element(like)
    signature = types.void(*([types.intp] * 12), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        groups, run, step, source, starts, table, depth, b, c, c_row, columns, keep, _ = arguments
        source, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (source, b, c))
        starts, table = (builder.inttoptr(address, e.i64.as_pointer()) for address in (starts, table))

        def case(count, length, width, apart):
            return lambda: _emit(
                e, count, length, width, apart, source, starts, table, depth, b, c, c_row, columns, keep
            )

        cases = {}
        for apart in STEPS:
            for width in range(1, VECTORS + 1):
                for length in range(1, HEIGHT + 1):
                    for count in range(1, _groups(length, width, apart) + 1):
                        cases[_key(count, length, width, apart)] = case(count, length, width, apart)
        vectors = builder.select(builder.icmp_signed(">", columns, e.index(e.lanes)), e.index(2), e.index(1))
        number = _key_of(builder, groups, run, vectors, step)
        _switch(builder, number, cases)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add_rows(typingctx, total, rows, pitch, count, columns, like):
    """total[j] += sum of rows[i, j] over `count` rows, of which `columns` columns, at most VECTORS vectors, exist."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        total, rows, pitch, count, columns, _ = arguments
        total, rows = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (total, rows))
        masks = [e.mask(columns, v) for v in range(VECTORS)]
        places = [e.at(total, e.index(v * e.lanes)) for v in range(VECTORS)]
        quarter = builder.ashr(count, e.index(2))

        def adder(starts):
            def add(i, sums):
                heres = [e.at(rows, builder.mul(pitch, builder.add(i, start))) for start in starts]
                loads = [e.load(e.at(here, e.index(v * e.lanes))) for here in heres for v in range(VECTORS)]
                return [builder.fadd(s, value) for s, value in zip(sums, loads, strict=True)]

            return add

        # Four chains of additions, because each waits for its last sum.
        starts = [builder.mul(quarter, e.index(i)) for i in range(4)]
        sums = [e.load(place, mask) for place, mask in zip(places, masks, strict=True)] + [e.zero] * (3 * VECTORS)
        sums = e.loop(e.index(0), quarter, 1, sums, adder(starts))
        sums = [
            builder.fadd(
                builder.fadd(*sums[v : 2 * VECTORS : VECTORS]), builder.fadd(*sums[2 * VECTORS + v :: VECTORS])
            )
            for v in range(VECTORS)
        ]
        sums = e.loop(builder.mul(quarter, e.index(4)), count, 1, sums, adder([e.index(0)]))
        for value, place, mask in zip(sums, places, masks, strict=True):
            e.store(value, place, mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def store_turned(typingctx, y, y_row, rows, count, columns, bias, rectify, like):
    """y[f, i] = act(rows[i, f] + bias[f]): a panel of `count` rows and `columns` columns, put down column by column.

    With `bias` 0 nothing is added; with `rectify` 1 numbers below 0 become 0.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 7), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        y, y_row, rows, count, columns, bias, rectify, _ = arguments
        y, rows, biases = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (y, rows, bias))
        kind = ir.VectorType(ir.IntType(1), e.lanes)
        biases, next_bias = e.given(biases, builder.icmp_signed("!=", bias, e.index(0)))
        floor = e.floor(rectify)
        for v in range(VECTORS):
            first = e.index(v * e.lanes)
            added = e.load(e.at(biases, builder.mul(next_bias, first)), e.mask(columns, v))
            exist = [builder.icmp_signed("<", e.index(v * e.lanes + lane), columns) for lane in range(e.lanes)]

            def turn(i, _, first=first, added=added, v=v, exist=exist):
                loaded = []
                for lane in range(e.lanes):
                    row = builder.mul(builder.add(i, e.index(lane)), e.index(VECTORS * e.lanes))
                    value = builder.fadd(e.load(e.at(rows, builder.add(row, first))), added)
                    loaded.append(builder.select(builder.fcmp_ordered("<", value, floor), floor, value))
                mask = e.mask(builder.sub(count, i), 0)
                for lane, vector in enumerate(_emit_transpose(e, loaded)):
                    row = builder.mul(y_row, e.index(v * e.lanes + lane))
                    e.store(vector, e.at(y, builder.add(row, i)), builder.and_(mask, e.splat(exist[lane], kind)))
                return []

            with builder.if_then(builder.icmp_signed("<", first, columns)):
                e.loop(e.index(0), count, e.lanes, [], turn)
        return context.get_dummy_value()

    return signature, codegen


def _key(groups, run, vectors, step):
    return ((step * 4 + vectors) * 16 + run) * 16 + groups


def _key_of(builder, groups, run, vectors, step):
    def times(value, factor, more):
        return builder.add(builder.mul(value, ir.Constant(ir.IntType(64), factor)), more)

    return times(times(times(step, 4, vectors), 16, run), 16, groups)


def _runs_block(c, c_row, source, starts, lines, run, step, table, depth, b, columns, keep, like):
    size = element_bytes(like)
    if run > HEIGHT:
        pieces = (run + HEIGHT - 1) // HEIGHT
        for line in range(lines):
            for piece in range(pieces):
                j, stop = run * piece // pieces, run * (piece + 1) // pieces
                _run_tile(
                    1, stop - j, step, source + j * step * size, starts + line * 8, table, depth, b,
                    c + (line * run + j) * c_row * size, c_row, columns, keep, like,
                )  # fmt: skip
        return
    most, line = _groups(run, 1 if columns <= vector_lanes(like) else 2, step), 0
    tiles = (lines + most - 1) // most
    for tile in range(tiles):
        groups = (lines - line + tiles - tile - 1) // (tiles - tile)
        _run_tile(
            groups, run, step, source, starts + line * 8, table, depth, b, c + line * run * c_row * size, c_row, columns,
            keep, like,
        )  # fmt: skip
        line += groups


# The product for `lines` starts, from addresses; `keep` 0 or 1, `columns` at most VECTORS vectors.
multiply_runs = share("runs", _runs_block, 12, 1, everywhere=False)


def _store_block(y, y_row, rows, count, columns, bias, rectify, like):
    store_turned(y, y_row, rows, count, columns, bias, rectify, like)


put_down = share("store", _store_block, 7, 1, everywhere=False)


@register_jitable
def panels_size(rows, filters, lanes):
    """Numbers of weights (filters, rows) turned into panels."""
    return (filters + VECTORS * lanes - 1) // (VECTORS * lanes) * panel_rows(rows, lanes) * VECTORS * lanes


@register_jitable
def panel_rows(rows, lanes):
    """Rows from one panel to the next: turning writes whole squares, which may reach behind the last row."""
    return (rows + 2 * lanes - 2) // lanes * lanes


@register_jitable
def blocks_of(size):
    """How an output of that (depth, height, width) is cut: pixels that stand in a line, lines a block, blocks."""
    pieces = (size[2] + BLOCK - 1) // BLOCK
    each = max(1, BLOCK // size[2])
    return pieces, each, (size[0] * size[1] * pieces + each - 1) // each


@register_jitable
def correlate_runs(
    y, y_row, source, panels, bias, rectify, filters, channels, taps, first, hop, place, step, size, pitch, block, blocks,
    table, filled, like,
):  # fmt: skip
    """A piece of every filter's map, y[f, pixel] = act(bias[f] + sum over the cells k of a window of w[f, k] x[k, pixel]).

    `panels` is the weights turned: for each VECTORS vectors of filters a panel (channels x taps, filters). The piece is
    the blocks `block` to `blocks` of `blocks_of`; the other arguments are those of `correlate`. Gives the first pixel and
    the one behind the last.
    """
    bytes_, lanes, width = element_bytes(like), vector_lanes(like), VECTORS * vector_lanes(like)
    rows, starts = stack_panel(like), stack_integers()
    cells = channels * taps[0] * taps[1] * taps[2]
    chunks = (cells + DEPTH - 1) // DEPTH
    pieces, each, _ = blocks_of(size)
    lines = size[0] * size[1] * pieces
    for number in range(block, blocks):
        l0, l1 = number * each, min(lines, (number + 1) * each)
        x0 = size[2] * (l0 % pieces) // pieces
        run = size[2] * (l0 % pieces + 1) // pieces - x0
        p0, count = l0 // pieces * size[2] + x0, (l1 - l0) * run
        for line in range(l0, l1):
            z, h = divmod(line // pieces, size[1])
            put(starts, line - l0, z * pitch[0] + h * pitch[1] + x0 * step)
        for f in range(0, filters, width):
            across, panel = min(width, filters - f), panels + f * panel_rows(cells, lanes) * bytes_
            for chunk in range(chunks):
                k0 = cells * chunk // chunks
                depth = cells * (chunk + 1) // chunks - k0
                if chunks > 1 or (f == 0 and number == block and not filled):
                    fill_table(table, k0, depth, taps, 0, first, hop, place, 1)
                multiply_runs(
                    rows, width, source, starts, l1 - l0, run, step, table, depth, panel + k0 * width * bytes_, across,
                    min(chunk, 1), like,
                )  # fmt: skip
            there = bias + f * bytes_ if bias != 0 else bias
            put_down(y + (f * y_row + p0) * bytes_, y_row, rows, count, across, there, rectify, like)
    behind = min(lines, blocks * each)
    return (
        block * each // pieces * size[2] + size[2] * (block * each % pieces) // pieces,
        behind // pieces * size[2] + size[2] * (behind % pieces) // pieces,
    )
