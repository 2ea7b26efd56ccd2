"""Products that leave out the inputs that are 0 in every sample of a batch, such as the border around a digit.

    C = A B, where column k of A is all 0 for many k        C = scale A^T B + keep C, where whole rows of A^T are

A term of 0 adds nothing to a chain of multiply-adds, so the result has the same bits as the whole product's (unless a weight
is infinite or NaN). The others stand in runs of neighbours; gaps of GAP are not worth a run of their own.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from nbdl.kernels.matmul import multiply, multiply_at
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    HEIGHT,
    SIMD,
    VECTORS,
    _apart,
    _element,
    _emit_outer,
    _Emitter,
    _switch,
    element_bytes,
    get,
    put,
    stack_integers,
    vector_lanes,
)

GAP = 2
LEAST_SAMPLES = 8  # with fewer, looking takes as long as what it saves


@intrinsic
def _seen(typingctx, bits, x, x_row, samples, columns, like):
    """For each vector of columns a whole number whose bit l says that column l is not 0 in some sample."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        bits, x, x_row, samples, columns, _ = arguments
        x, bits = builder.inttoptr(x, e.scalar.as_pointer()), builder.inttoptr(bits, e.i64.as_pointer())
        word = ir.IntType(e.lanes)

        def vector(j, _):
            here, mask = e.at(x, j), e.mask(builder.sub(columns, j), 0)
            wanted = builder.bitcast(mask, word)
            before, test, done = builder.block, builder.append_basic_block("sample"), builder.append_basic_block("seen")
            builder.branch(test)
            builder.position_at_end(test)
            n, found = builder.phi(e.i64), builder.phi(word)
            n.add_incoming(e.index(0), before)
            found.add_incoming(ir.Constant(word, 0), before)
            numbers = e.load(e.at(here, builder.mul(x_row, n)), mask)
            now = builder.or_(found, builder.bitcast(builder.fcmp_unordered("!=", numbers, e.zero), word))
            following = builder.add(n, e.index(1))
            n.add_incoming(following, test)
            found.add_incoming(now, test)
            # Most columns are settled by the first few samples.
            more = builder.and_(builder.icmp_unsigned("!=", now, wanted), builder.icmp_signed("<", following, samples))
            builder.cbranch(more, test, done)
            builder.position_at_end(done)
            builder.store(builder.zext(now, e.i64), e.at(bits, builder.sdiv(j, e.index(e.lanes))))
            return []

        e.loop(e.index(0), columns, e.lanes, [], vector)
        return context.get_dummy_value()

    return signature, codegen


@register_jitable
def active_runs(runs, bits, x, x_row, samples, columns, like):
    """Fill `runs` with (first, the one behind the last) of the runs of columns that are not all 0; gives their number.

    For DEPTH columns at most; `runs` and `bits` are room for integers.
    """
    lanes, count, last = vector_lanes(like), 0, -GAP - 2
    _seen(bits, x, x_row, samples, columns, like)
    for j in range(columns):
        if get(bits, j // lanes) >> (j % lanes) & 1:
            if j - last > GAP + 1:
                put(runs, 2 * count, j)
                count += 1
            put(runs, 2 * count - 1, j + 1)
            last = j
    return count


@intrinsic
def runs_tile(typingctx, rows, a, a_row, b, b_row, runs, count, c, c_row, columns, scale, keep):
    """C = scale A B + keep C for one tile of VECTORS vectors, with the sums over `count` runs of columns of A."""
    element = _element(scale)
    signature = types.void(*([types.intp] * 10), element, element)

    def codegen(context, builder, signature, arguments):
        def case(height, masked):
            def emit(builder, arguments):
                e = _Emitter(builder, element)
                _, a, a_row, b, b_row, runs, count, c, c_row, columns, scale, keep = arguments
                a, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c))
                runs = builder.inttoptr(runs, e.i64.as_pointer())
                _emit_outer(
                    e, height, VECTORS, masked, a, a_row, e.index(1), b, b_row, (runs, count), c, c_row, columns, scale, keep
                )  # fmt: skip

            return lambda: _apart(builder, f"runs_{height}_{masked}", arguments, emit)

        e, (rows, *_, columns, _, _) = _Emitter(builder, element), arguments
        cases = {2 * h + masked: case(h, masked) for h in range(1, HEIGHT + 1) for masked in (False, True)}
        ragged = builder.zext(builder.icmp_signed("<", columns, e.index(VECTORS * e.lanes)), rows.type)
        _switch(builder, builder.add(builder.mul(rows, e.index(2)), ragged), cases)
        return context.get_dummy_value()

    return signature, codegen


def _active_block(c, c_row, a, a_row, b, b_row, m, n, k, scale, keep):
    """C = scale A B + keep C, cut along k as the whole product is."""
    size, width = element_bytes(scale), VECTORS * vector_lanes(scale)
    runs, bits = stack_integers(), stack_integers()
    panels, tiles = (k + DEPTH - 1) // DEPTH, (m + HEIGHT - 1) // HEIGHT
    for p in range(panels):
        k0, held = k * p // panels, keep if p == 0 else keep * 0 + 1
        ours = a + k0 * size
        count = active_runs(runs, bits, ours, a_row, m, k * (p + 1) // panels - k0, scale)
        for j in range(0, n, width):
            columns, i = min(width, n - j), 0
            for t in range(tiles):
                height = (m - i + tiles - t - 1) // (tiles - t)
                runs_tile(
                    height, ours + i * a_row * size, a_row, b + (k0 * b_row + j) * size,
                    b_row, runs, count, c + (i * c_row + j) * size, c_row, columns, scale, held,
                )  # fmt: skip
                i += height


multiply_active_at = share("active", _active_block, 9, 2, everywhere=False)


def multiply_active(c, a, b):
    """C = A B like `multiply`. Shape: c (m, n), a (m, k), b (k, n), all with unit column stride."""
    raise NotImplementedError("multiply_active is for compiled kernels; call the kernel dense_forward from Python")


def add_active(c, x, b, scale, keep):
    """C = scale X^T B + keep C like `multiply`. Shape: c (k, n), x (m, k), b (m, n), all with unit column stride."""
    raise NotImplementedError("add_active is for compiled kernels; call the kernel dense_backward_weights from Python")


@overload(multiply_active)
def _multiply_active(c, a, b):
    if SIMD == "plain":
        return lambda c, a, b: multiply(c, a, b, 1, 0)

    def choose(c, a, b):
        size, kind = a.itemsize, c.dtype.type
        if a.shape[0] < LEAST_SAMPLES:
            multiply(c, a, b, 1, 0)
        else:
            multiply_active_at(
                c.ctypes.data, c.strides[0] // size, a.ctypes.data, a.strides[0] // size, b.ctypes.data,
                b.strides[0] // size, c.shape[0], c.shape[1], a.shape[1], kind(1), kind(0),
            )  # fmt: skip

    return choose


@overload(add_active)
def _add_active(c, x, b, scale, keep):
    if SIMD == "plain":
        return lambda c, x, b, scale, keep: multiply(c, x.T, b, scale, keep)

    def choose(c, x, b, scale, keep):
        if x.shape[0] < LEAST_SAMPLES:
            multiply(c, x.T, b, scale, keep)
            return
        size, kind, runs, bits = x.itemsize, c.dtype.type, stack_integers(), stack_integers()
        for first in range(0, x.shape[1], DEPTH):
            columns, idle = min(DEPTH, x.shape[1] - first), 0
            count = active_runs(
                runs, bits, x[:, first:].ctypes.data, x.strides[0] // size, x.shape[0], columns, kind(1)
            )
            for r in range(count + 1):
                start, stop = (get(runs, 2 * r), get(runs, 2 * r + 1)) if r < count else (columns, columns)
                if keep != 1:  # what all samples leave out has a gradient of 0
                    for i in range(first + idle, first + start):
                        row = c[i]
                        for j in range(row.size):
                            row[j] = keep * row[j] if keep != 0 else keep
                idle = stop
                if stop > start:
                    multiply_at(
                        c[first + start :].ctypes.data, c.strides[0] // size, x[:, first + start :].ctypes.data, 1,
                        x.strides[0] // size, b.ctypes.data, b.strides[0] // size, stop - start, c.shape[1], x.shape[0],
                        kind(scale), kind(keep),
                    )  # fmt: skip

    return choose
