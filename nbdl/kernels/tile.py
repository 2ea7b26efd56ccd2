"""The register tile: the inner loop of every matrix product, written as LLVM vectors so that it runs at the machine's peak.

Numba's auto-vectoriser cannot hold a block of C in registers; here we do it by hand. Two tiles cover every product:

`outer_tile`   C[i, j] = scale * sum_k A[i, k] B[k, j] + keep * C[i, j], vectors along j.
               Each step k loads one row piece of B and multiplies it with one broadcast element of each row of A.
`dot_tile`     C[i, j] = scale * sum_k A[i, k] B[j, k] + keep * C[i, j], vectors along k: both operands are read along
               their rows, so a product with a transposed B needs no copy. A tree of additions sums the lanes at the end.

Every element of C is one chain of fused multiply-adds over k whatever the tile's height or width, so results have the
same bits however a product is cut into tiles and threads. When `keep` is 0, C is never read: it may hold NaN.
Addresses are in bytes, strides (`a_row`, `b_row`, ...) in elements. This file holds all the LLVM that nbdl emits for its
arithmetic; `matmul.py` builds the blocked product on it.
"""

import os
import platform

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from nbdl.errors import NbdlError

INSTRUCTION_SETS = {"avx512": 64, "avx2": 32, "neon": 16, "sse": 16, "plain": 0}  # bytes of one vector register


def _detect() -> str:
    forced = os.environ.get("NBDL_SIMD", "").lower()
    if forced:
        if forced not in INSTRUCTION_SETS:
            raise NbdlError(
                f"NBDL_SIMD is {forced!r}; expected one of {', '.join(INSTRUCTION_SETS)}, or leave it unset."
            )
        return forced
    features = binding.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return "avx512"
    if features.get("avx2") and features.get("fma"):
        return "avx2"
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "neon"
    return "plain"


SIMD = _detect()
REGISTER_BYTES = INSTRUCTION_SETS[SIMD]
HEIGHT = {"avx512": 14, "avx2": 6, "neon": 12, "sse": 6, "plain": 8}[SIMD]  # rows of C in an outer tile
VECTORS = 2  # vectors of C in a row of the tile
DEPTH = 256  # steps of k between two visits of C: a panel of B then fits the first-level cache
TABLE = 1024  # whole numbers in a table on the stack
WIDE_PANEL = 8  # vectors in a row of a wide panel
PIECES = (0, 1, 2, 3, 4, 8, 16)  # runs that one vector of a panel may be put together from, see `gather_rows`
MOST_PIECES = PIECES[-1]
WIDE_HEIGHT, WIDE_VECTORS = (3, 8) if SIMD in ("avx512", "neon") else (2, 4)  # for products of few rows
FEW_ROWS = 6 if SIMD in ("avx512", "neon") else 2  # four vectors of so few rows still fit the registers
DOT_ROWS = 4 if SIMD in ("avx512", "neon") else 2
DOT_COLUMNS = 4
LINE_BYTES = 64  # of a cache line
AHEAD = 4  # rows between asking for one that streams by and using it


def lanes(element: types.Type) -> int:
    """Elements of one vector register; the plain fallback never asks."""
    return max(1, REGISTER_BYTES * 8 // element.bitwidth)


class _Emitter:
    """Short names for the LLVM instructions that a tile of one element type needs."""

    def __init__(self, builder: ir.IRBuilder, element: types.Type):
        self.builder, self.bits, self.lanes = builder, element.bitwidth, lanes(element)
        self.scalar = ir.FloatType() if element == types.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.i64, self.i32 = ir.IntType(64), ir.IntType(32)
        suffix = f"v{self.lanes}f{self.bits}"
        mask, pointer = ir.VectorType(ir.IntType(1), self.lanes), self.vector.as_pointer()
        self._fma = self._extern(self.vector, [self.vector] * 3, f"llvm.fma.{suffix}")
        self._load = self._extern(self.vector, [pointer, self.i32, mask, self.vector], f"llvm.masked.load.{suffix}.p0")
        self._store = self._extern(
            ir.VoidType(), [self.vector, pointer, self.i32, mask], f"llvm.masked.store.{suffix}.p0"
        )
        self.alignment = ir.Constant(self.i32, element.bitwidth // 8)

    def _extern(self, result, parameters, name):
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, parameters), name)

    def index(self, value: int):
        return ir.Constant(self.i64, value)

    def splat(self, value, vector=None):
        vector = vector or self.vector
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, value, ir.Constant(self.i32, 0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(self.i32, vector.count), [0] * vector.count)
        )

    def mask(self, left, vector: int):
        """Lanes of the given vector that lie before column `left`."""
        numbers = ir.VectorType(self.i64, self.lanes)
        first = vector * self.lanes
        return self.builder.icmp_signed(
            "<", ir.Constant(numbers, list(range(first, first + self.lanes))), self.splat(left, numbers)
        )

    def at(self, base, offset):
        """Pointer to the element `offset` elements behind `base`."""
        return self.builder.gep(base, [offset])

    def load(self, pointer, mask=None, otherwise=None):
        if mask is None:
            value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
            value.align = self.bits // 8
            return value
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.call(self._load, [pointer, self.alignment, mask, otherwise or self.zero])

    def store(self, value, pointer, mask=None):
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.bits // 8)
            return
        self.builder.call(self._store, [value, pointer, self.alignment, mask])

    def prefetch(self, pointer):
        """Ask for the cache line at an address that need not exist: a wrong guess does no harm."""
        byte, number = ir.IntType(8).as_pointer(), self.i32
        function = self._extern(ir.VoidType(), [byte, number, number, number], "llvm.prefetch.p0")
        flags = [ir.Constant(number, value) for value in (0, 3, 1)]  # to read, keep close, data
        self.builder.call(function, [self.builder.bitcast(pointer, byte), *flags])

    def prefetch_row(self, row, vectors: int):
        """Ask for the cache lines that `vectors` vectors of a row lie on."""
        for v in range(0, vectors, max(1, LINE_BYTES // REGISTER_BYTES)):
            self.prefetch(self.at(row, self.index(v * self.lanes)))

    def opaque(self, value):
        """The same integer, in a register whose origin LLVM cannot see."""
        function = ir.FunctionType(value.type, [value.type])
        return self.builder.asm(function, "", "=r,0", [value], False)

    def row_offsets(self, stride, rows: int):
        """A function that points from row 0 to any of `rows` rows.

        Left alone, LLVM walks from row to row with one chain of additions as long as the whole step; from its odd
        multiples in registers every row is one addressing mode (base + 1, 2, 4 or 8 times an index) away.
        """
        odd = {i: self.opaque(self.builder.mul(stride, self.index(i * self.bits // 8))) for i in range(1, rows, 2)}
        byte = ir.IntType(8).as_pointer()

        def row(base, number):
            if number == 0:
                return base
            shift = (number & -number).bit_length() - 1
            offset = self.builder.shl(odd[number >> shift], self.index(shift))
            return self.builder.bitcast(self.builder.gep(self.builder.bitcast(base, byte), [offset]), base.type)

        return row

    def given(self, numbers, there):
        """Where to read numbers that need not be there, else zeros, and how far it is to the next.

        Not with a mask: a processor takes a thousand cycles over an address that is not mapped, even where no lane counts.
        """
        with self.builder.goto_entry_block():
            zeros = self.builder.alloca(self.vector)
        self.builder.store(self.zero, zeros)
        zeros = self.builder.bitcast(zeros, self.scalar.as_pointer())
        return self.builder.select(there, numbers, zeros), self.builder.zext(there, self.i64)

    def floor(self, rectify):
        """What numbers are raised to: 0 where the integer `rectify` is not 0, else minus infinity."""
        flag = self.builder.icmp_signed("!=", rectify, self.index(0))
        return self.splat(
            self.builder.select(flag, ir.Constant(self.scalar, 0.0), ir.Constant(self.scalar, float("-inf")))
        )

    def fma(self, a, b, c):
        return self.builder.call(self._fma, [a, b, c])

    def each_bit(self, mask, body):
        """`body(number)` for every lane whose bit is set, from the first to the last."""
        builder, before = self.builder, self.builder.block
        bits = builder.zext(builder.bitcast(mask, ir.IntType(self.lanes)), self.i64)
        inside, done = builder.append_basic_block("bit"), builder.append_basic_block("bits_done")
        builder.cbranch(builder.icmp_unsigned("!=", bits, self.index(0)), inside, done)
        builder.position_at_end(inside)
        left = builder.phi(self.i64)
        left.add_incoming(bits, before)
        body(builder.cttz(left, ir.Constant(ir.IntType(1), 1)))
        fewer = builder.and_(left, builder.sub(left, self.index(1)))
        left.add_incoming(fewer, builder.block)
        builder.cbranch(builder.icmp_unsigned("!=", fewer, self.index(0)), inside, done)
        builder.position_at_end(done)

    def loop(self, start, stop, step: int, values, body):
        """`for k in range(start, stop, step): values = body(k, values)`, which may run no time at all."""
        builder, before = self.builder, self.builder.block
        inside, done = builder.append_basic_block("k"), builder.append_basic_block("k_done")
        builder.cbranch(builder.icmp_signed("<", start, stop), inside, done)
        builder.position_at_end(inside)
        k = builder.phi(self.i64)
        k.add_incoming(start, before)
        carried = [builder.phi(value.type) for value in values]
        for phi, value in zip(carried, values, strict=True):
            phi.add_incoming(value, before)
        following = body(k, carried)
        after, k_next = builder.block, builder.add(k, self.index(step))
        k.add_incoming(k_next, after)
        for phi, value in zip(carried, following, strict=True):
            phi.add_incoming(value, after)
        builder.cbranch(builder.icmp_signed("<", k_next, stop), inside, done)
        builder.position_at_end(done)
        results = [builder.phi(value.type) for value in values]
        for phi, first, last in zip(results, values, following, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, after)
        return results


def _element(type_) -> types.Type:
    """The element type of a tile is the type of its scale."""
    return types.float64 if type_ == types.float64 else types.float32


def _emit_outer(e: _Emitter, rows, vectors, masked, a, a_row, a_col, b, b_row, depth, c, c_row, columns, scale, keep):
    """One loop over k with rows x vectors accumulators; `masked` guards the loads of B at a ragged right edge.

    `depth` is how many k there are, or where runs of them are listed, (first, the one behind the last), and how many.
    """
    builder = e.builder
    masks = [e.mask(columns, v) for v in range(vectors)]
    row_of = e.row_offsets(a_row, rows)

    def step(k, acc):
        a_k, b_k = e.at(a, builder.mul(a_col, k)), e.at(b, builder.mul(b_row, k))
        if vectors == WIDE_VECTORS:  # so few rows of A that B streams by and is not used again
            e.prefetch_row(e.at(b_k, builder.mul(b_row, e.index(AHEAD))), vectors)
        row = [e.load(e.at(b_k, e.index(v * e.lanes)), masks[v] if masked else None) for v in range(vectors)]
        total = []
        for i in range(rows):
            element = e.splat(builder.load(row_of(a_k, i)))
            total += [e.fma(element, row[v], acc[i * vectors + v]) for v in range(vectors)]
        return total

    if isinstance(depth, tuple):
        runs, count = depth

        def run(r, acc):
            here = e.at(runs, builder.mul(r, e.index(2)))
            return e.loop(builder.load(here), builder.load(e.at(here, e.index(1))), 1, acc, step)

        total = e.loop(e.index(0), count, 1, [e.zero] * (rows * vectors), run)
    else:
        total = e.loop(e.index(0), depth, 1, [e.zero] * (rows * vectors), step)
    scales, keeps = e.splat(scale), e.splat(keep)
    reads = e.splat(builder.fcmp_unordered("!=", keep, ir.Constant(e.scalar, 0.0)), masks[0].type)
    for i in range(rows):
        for v in range(vectors):
            here = e.at(c, builder.add(builder.mul(c_row, e.index(i)), e.index(v * e.lanes)))
            old = e.load(here, builder.and_(masks[v], reads))
            e.store(e.fma(keeps, old, builder.fmul(scales, total[i * vectors + v])), here, masks[v])


def _switch(builder: ir.IRBuilder, choice, cases):
    """Run the emitter of the case that equals `choice`."""
    done = builder.append_basic_block("tiled")
    unreachable = builder.append_basic_block("no_such_tile")
    table = builder.switch(choice, unreachable)
    for value, emit in cases.items():
        block = builder.append_basic_block(f"tile_{value}")
        table.add_case(ir.Constant(choice.type, value), block)
        builder.position_at_end(block)
        emit()
        builder.branch(done)
    builder.position_at_end(unreachable)
    builder.unreachable()
    builder.position_at_end(done)


def _apart(builder: ir.IRBuilder, name: str, arguments, emit) -> None:
    """Emit a case as a function of its own: so its registers are dealt out for it alone, and none is kept on the stack."""
    module = builder.module
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    function = ir.Function(module, kind, module.get_unique_name(name))
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("optsize")  # or loops would be unrolled, which takes more registers than there are
    inside = ir.IRBuilder(function.append_basic_block("entry"))
    emit(inside, function.args)
    inside.ret_void()
    builder.call(function, arguments)


@intrinsic
def outer_tile(typingctx, rows, vectors, a, a_row, a_col, b, b_row, depth, c, c_row, columns, scale, keep):
    """C = scale A B + keep C for one tile of `rows` rows and `vectors` vectors, of which `columns` columns exist."""
    element = _element(scale)
    signature = types.void(*([types.intp] * 11), element, element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        rows, vectors, a, a_row, a_col, b, b_row, depth, c, c_row, columns, scale, keep = arguments
        a, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c))

        def case(height, width, masked):
            return lambda: _emit_outer(
                e, height, width, masked, a, a_row, a_col, b, b_row, depth, c, c_row, columns, scale, keep
            )

        shapes = [(height, width) for width in range(1, VECTORS + 1) for height in range(1, HEIGHT + 1)]
        shapes += [(height, WIDE_VECTORS) for height in range(1, WIDE_HEIGHT + 1)]
        # A masked load costs a slot that a multiply-add could have had, so only the ragged edge uses it.
        ragged = builder.icmp_signed("<", columns, builder.mul(vectors, e.index(e.lanes)))
        cases = {}
        for height, width in shapes:
            cases[height * 64 + width * 2] = case(height, width, False)
            cases[height * 64 + width * 2 + 1] = case(height, width, True)
        masked = builder.zext(ragged, e.i64)
        choice = builder.add(builder.add(builder.mul(rows, e.index(64)), builder.mul(vectors, e.index(2))), masked)
        _switch(builder, choice, cases)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def rank_one_tile(typingctx, rows, vectors, a, a_row, b, c, c_row, columns, scale, keep):
    """C = scale a b + keep C for any number of rows, with one column a and one row b of up to WIDE_VECTORS vectors.

    Bound by memory: every row of C passes through the registers once, while b stays in them. An element 0 of a changes
    nothing when `keep` is 1, so its row is left alone: most pixels of a digit are 0. The others are found a vector at a
    time, because a branch on each of them would often be guessed wrong.
    """
    element = _element(scale)
    signature = types.void(*([types.intp] * 8), element, element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        rows, vectors, a, a_row, b, c, c_row, columns, scale, keep = arguments
        a, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c))
        zero, one = ir.Constant(e.scalar, 0.0), ir.Constant(e.scalar, 1.0)
        reads, adds = builder.fcmp_unordered("!=", keep, zero), builder.fcmp_ordered("==", keep, one)
        keeps = e.splat(keep)

        def case(width, ragged):
            def emit():
                masks = [e.mask(columns, v) if ragged else None for v in range(width)]
                theirs = [e.load(e.at(b, e.index(v * e.lanes)), masks[v]) for v in range(width)]

                def row(i):
                    factor = e.splat(builder.fmul(scale, builder.load(e.at(a, builder.mul(a_row, i)))))
                    here = e.at(c, builder.mul(c_row, i))
                    for v in range(width):
                        place = e.at(here, e.index(v * e.lanes))
                        old = builder.select(reads, builder.fmul(keeps, e.load(place, masks[v])), e.zero)
                        e.store(e.fma(factor, theirs[v], old), place, masks[v])

                def several(first, _):
                    there = e.mask(builder.sub(rows, first), 0)
                    busy = builder.fcmp_unordered("!=", e.load(e.at(a, first), there), e.zero)
                    e.each_bit(builder.and_(there, busy), lambda bit: row(builder.add(first, bit)))
                    return []

                with builder.if_else(builder.and_(adds, builder.icmp_signed("==", a_row, e.index(1)))) as (some, all_):
                    with some:
                        e.loop(e.index(0), rows, e.lanes, [], several)
                    with all_:
                        e.loop(e.index(0), rows, 1, [], lambda i, _: row(i) or [])

            return emit

        ragged = builder.zext(builder.icmp_signed("<", columns, builder.mul(vectors, e.index(e.lanes))), e.i64)
        choice = builder.add(builder.mul(vectors, e.index(2)), ragged)
        _switch(builder, choice, {w * 2 + r: case(w, r) for w in range(1, WIDE_VECTORS + 1) for r in (0, 1)})
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def panel_tile(
    typingctx, rows, vectors, x, x_row, inputs, h, h_row, units, b, start, start_row, c, c_row, columns, like
):
    """C = S + X B[:inputs] + H B[inputs:] for one tile, of which `columns` columns exist: two products in one chain of sums.

    B is a panel, rows of VECTORS vectors. S, whose rows are `start_row` apart, may be C itself or, with 0, one row for all.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 14), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        rows, vectors, x, x_row, inputs, h, h_row, units, b, start, start_row, c, c_row, columns, _ = arguments
        x, h, b, start, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (x, h, b, start, c))
        pitch = e.index(VECTORS * e.lanes)

        def case(height, width):
            def emit():
                masks = [e.mask(columns, v) for v in range(width)]

                def place(base, row, i, v):
                    return e.at(base, builder.add(builder.mul(row, e.index(i)), e.index(v * e.lanes)))

                def step(a, row_of, b):
                    def add(k, acc):
                        a_k, b_k = e.at(a, k), e.at(b, builder.mul(pitch, k))
                        row = [e.load(e.at(b_k, e.index(v * e.lanes))) for v in range(width)]
                        total = []
                        for i in range(height):
                            value = e.splat(builder.load(row_of(a_k, i)))
                            total += [e.fma(value, row[v], acc[i * width + v]) for v in range(width)]
                        return total

                    return add

                total = [e.load(place(start, start_row, i, v), masks[v]) for i in range(height) for v in range(width)]
                total = e.loop(e.index(0), inputs, 1, total, step(x, e.row_offsets(x_row, height), b))
                below = e.at(b, builder.mul(pitch, inputs))
                total = e.loop(e.index(0), units, 1, total, step(h, e.row_offsets(h_row, height), below))
                for i in range(height):
                    for v in range(width):
                        e.store(total[i * width + v], place(c, c_row, i, v), masks[v])

            return emit

        shapes = [(height, width) for width in range(1, VECTORS + 1) for height in range(1, HEIGHT + 1)]
        choice = builder.add(builder.mul(rows, e.index(8)), vectors)
        _switch(builder, choice, {height * 8 + width: case(height, width) for height, width in shapes})
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def window_tile(
    typingctx, rows, vectors, a, a_row, b, table, depth, runs, jump, c, c_row, spots, bias, keep, rectify, like
):
    """C = A B + bias, or A B + C where `keep` is 1; row k of B stands `table[k]` elements further on: no panel needed.

    The sums go over `runs` runs of `depth` rows of B and columns of A, `jump` apart.

    `rows` rows, and one, two or (up to FEW_ROWS) four vectors. For each of them `spots` holds three integers: elements
    from `b` to it, elements from `c` to where its sums go, and how many of its lanes count. All lanes are read. `bias`
    points to a number for each row, or is 0; with `rectify` 1 numbers below 0 become 0.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 15), element)

    def codegen(context, builder, signature, arguments):
        def case(height, width):
            def emit(builder, arguments):
                _emit_windows(_Emitter(builder, element), height, width, *arguments)

            return lambda: _apart(builder, f"windows_{height}_{width}", arguments, emit)

        shapes = [(h, v) for v in (1, 2) for h in range(1, HEIGHT + 1)] + [(h, 4) for h in range(1, FEW_ROWS + 1)]
        choice = builder.add(builder.mul(arguments[0], ir.Constant(arguments[0].type, 8)), arguments[1])
        _switch(builder, choice, {h * 8 + v: case(h, v) for h, v in shapes})
        return context.get_dummy_value()

    return signature, codegen


def _emit_windows(
    e: _Emitter, height, width, rows, vectors, a, a_row, b, table, depth, runs, jump, c, c_row, spots, bias, keep, rectify, like
):  # fmt: skip
    """One loop over the runs, and over k in each, with height x width accumulators."""
    builder = e.builder
    a, b, c, biases = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c, bias))
    table, spots = (builder.inttoptr(address, e.i64.as_pointer()) for address in (table, spots))
    floor = e.floor(rectify)
    biases, next_bias = e.given(biases, builder.icmp_signed("!=", bias, e.index(0)))
    row_of = e.row_offsets(a_row, height)
    spot = [[builder.load(e.at(spots, e.index(3 * v + i))) for i in range(3)] for v in range(width)]
    sources, targets = [e.at(b, s[0]) for s in spot], [(e.at(c, s[1]), e.mask(s[2], 0)) for s in spot]
    places, begun = [], []
    for i in range(height):
        added = e.splat(builder.load(e.at(biases, builder.mul(next_bias, e.index(i)))))
        for target, mask in targets:
            places.append((e.at(target, builder.mul(c_row, e.index(i))), mask))
            begun.append(added)
    # Not a masked load that reads nothing: the sums would wait for memory that is only to be written.
    with builder.if_else(builder.icmp_signed("!=", keep, e.index(0))) as (adds, begins):
        with adds:
            there, kept = [e.load(*place) for place in places], builder.block
        with begins:
            empty = builder.block
    total = []
    for old, new in zip(there, begun, strict=True):
        total.append(builder.phi(e.vector))
        total[-1].add_incoming(old, kept)
        total[-1].add_incoming(new, empty)

    def step(k, acc):
        offset, a_k = builder.load(e.at(table, k)), e.at(a, k)
        row = [e.load(e.at(sources[v], offset)) for v in range(width)]
        total = []
        for i in range(height):
            value = e.splat(builder.load(row_of(a_k, i)))
            total += [e.fma(value, row[v], acc[i * width + v]) for v in range(width)]
        return total

    def run(r, acc):
        first = builder.mul(r, jump)
        return e.loop(first, builder.add(first, depth), 1, acc, step)

    for value, place in zip(e.loop(e.index(0), runs, 1, total, run), places, strict=True):
        e.store(builder.select(builder.fcmp_ordered("<", value, floor), floor, value), *place)


def _emit_lane_sums(e: _Emitter, vectors):
    """One vector whose lane i is the sum of the lanes of vectors[i]: neighbours are added until one vector is left."""
    vectors = list(vectors) + [e.zero] * (e.lanes - len(vectors))
    even, odd = ([ir.Constant(e.i32, 2 * i + first) for i in range(e.lanes)] for first in (0, 1))
    kind = ir.VectorType(e.i32, e.lanes)
    while len(vectors) > 1:
        vectors = [
            e.builder.fadd(
                e.builder.shuffle_vector(left, right, ir.Constant(kind, even)),
                e.builder.shuffle_vector(left, right, ir.Constant(kind, odd)),
            )
            for left, right in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]


def _emit_dot(e: _Emitter, rows, columns, a, a_row, b, b_row, depth, c, c_row, scale, keep):
    """One loop over k, a vector of k at a time, with rows x columns accumulators."""
    builder = e.builder
    whole = builder.sub(depth, builder.srem(depth, e.index(e.lanes)))
    a_rows = [e.at(a, builder.mul(a_row, e.index(i))) for i in range(rows)]
    b_rows = [e.at(b, builder.mul(b_row, e.index(j))) for j in range(columns)]

    def step(k, acc, mask):
        ours = [e.load(e.at(row, k), mask) for row in a_rows]
        theirs = [e.load(e.at(row, k), mask) for row in b_rows]
        return [e.fma(ours[i], theirs[j], acc[i * columns + j]) for i in range(rows) for j in range(columns)]

    total = e.loop(e.index(0), whole, e.lanes, [e.zero] * (rows * columns), lambda k, acc: step(k, acc, None))
    mask = e.mask(builder.sub(depth, whole), 0)
    total = e.loop(whole, depth, e.lanes, total, lambda k, acc: step(k, acc, mask))
    reads = builder.fcmp_unordered("!=", keep, ir.Constant(e.scalar, 0.0))
    for first in range(0, rows * columns, e.lanes):
        group = total[first : first + e.lanes]
        sums = builder.fmul(e.splat(scale), _emit_lane_sums(e, group))
        for lane in range(len(group)):
            i, j = divmod(first + lane, columns)
            here = e.at(c, builder.add(builder.mul(c_row, e.index(i)), e.index(j)))
            value = builder.extract_element(sums, ir.Constant(e.i32, lane))
            with builder.if_else(reads) as (accumulate, overwrite):
                with accumulate:
                    builder.store(builder.fadd(value, builder.fmul(keep, builder.load(here))), here)
                with overwrite:
                    builder.store(value, here)


@intrinsic
def dot_tile(typingctx, rows, columns, a, a_row, b, b_row, depth, c, c_row, scale, keep):
    """C = scale A transpose(B) + keep C for `rows` rows (1 to DOT_ROWS) and `columns` columns (1 or DOT_COLUMNS)."""
    element = _element(scale)
    signature = types.void(*([types.intp] * 9), element, element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        rows, columns, a, a_row, b, b_row, depth, c, c_row, scale, keep = arguments
        a, b, c = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (a, b, c))

        def case(height, width):
            return lambda: _emit_dot(e, height, width, a, a_row, b, b_row, depth, c, c_row, scale, keep)

        cases = {
            height * 64 + width: case(height, width) for height in range(1, DOT_ROWS + 1) for width in (1, DOT_COLUMNS)
        }
        _switch(builder, builder.add(builder.mul(rows, e.index(64)), columns), cases)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def blend_rows(typingctx, target, target_row, source, source_row, rows, columns, scale, keep):
    """target[i, j] = scale * source[i, j] + keep * target[i, j] for rows that lie apart; with keep 0, target is not read."""
    element = _element(scale)
    signature = types.void(*([types.intp] * 6), element, element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        target, target_row, source, source_row, rows, columns, scale, keep = arguments
        target, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (target, source))
        scales, keeps = e.splat(scale), e.splat(keep)
        reads = e.splat(
            builder.fcmp_unordered("!=", keep, ir.Constant(e.scalar, 0.0)), ir.VectorType(ir.IntType(1), e.lanes)
        )

        def row(i, _):
            theirs, ours = e.at(source, builder.mul(source_row, i)), e.at(target, builder.mul(target_row, i))

            def vector(j, _):
                mask, here = e.mask(builder.sub(columns, j), 0), e.at(ours, j)
                old = e.load(here, builder.and_(mask, reads))
                e.store(e.fma(keeps, old, builder.fmul(scales, e.load(e.at(theirs, j), mask))), here, mask)
                return []

            e.loop(e.index(0), columns, e.lanes, [], vector)
            return []

        e.loop(e.index(0), rows, 1, [], row)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pack_panel(typingctx, panel, b, b_row, depth, columns, like):
    """Copy `depth` rows of `columns` columns of B into rows of VECTORS whole vectors, zeros behind the last column."""
    element = _element(like)
    signature = types.void(*([types.intp] * 5), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        panel, b, b_row, depth, columns, _ = arguments
        panel, b = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (panel, b))
        masks = [e.mask(columns, v) for v in range(VECTORS)]
        everything = ir.Constant(masks[0].type, [1] * e.lanes)

        def copy(k, _):
            source, target = e.at(b, builder.mul(b_row, k)), e.at(panel, builder.mul(k, e.index(VECTORS * e.lanes)))
            for v in range(VECTORS):
                offset = e.index(v * e.lanes)
                e.store(e.load(e.at(source, offset), masks[v]), e.at(target, offset), everything)
            return []

        e.loop(e.index(0), depth, 1, [], copy)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pack_turned_panel(typingctx, panel, pitch, b, b_row, depth, columns, like):
    """Fill such a panel, whose rows are `pitch` apart, from a B stored (columns, depth).

    Squares of one vector a side are turned in registers, and so many rows are written as whole squares have.

    Row and column numbers past the edge are held at the last one: what they bring in is never stored to C.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 6), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        panel, pitch, b, b_row, depth, columns, _ = arguments
        panel, b = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (panel, b))
        last = builder.sub(columns, e.index(1))
        everything = ir.Constant(ir.VectorType(ir.IntType(1), e.lanes), [1] * e.lanes)
        for v in range(VECTORS):
            rows = []
            for lane in range(e.lanes):
                number = e.index(v * e.lanes + lane)
                number = builder.select(builder.icmp_signed("<", number, last), number, last)
                rows.append(e.at(b, builder.mul(b_row, number)))

            def turn(k, _, rows=rows, v=v):
                mask = e.mask(builder.sub(depth, k), 0)
                for lane, vector in enumerate(_emit_transpose(e, [e.load(e.at(row, k), mask) for row in rows])):
                    row = builder.mul(builder.add(k, e.index(lane)), pitch)
                    e.store(vector, e.at(panel, builder.add(row, e.index(v * e.lanes))), everything)
                return []

            e.loop(e.index(0), depth, e.lanes, [], turn)
        return context.get_dummy_value()

    return signature, codegen


@register_jitable
def pack_panel_transposed(panel, b, b_row, depth, columns, like):
    """Fill a panel of VECTORS whole vectors from a B stored (columns, depth)."""
    pack_turned_panel(panel, VECTORS * vector_lanes(like), b, b_row, depth, columns, like)


def _emit_transpose(e: _Emitter, vectors):
    """Rows to columns: interleaving each vector with the one half-way down, as often as lanes can be halved."""
    half = e.lanes // 2
    kind = ir.VectorType(e.i32, e.lanes)
    low = ir.Constant(kind, [lane // 2 + (lane % 2) * e.lanes for lane in range(e.lanes)])
    high = ir.Constant(kind, [half + lane // 2 + (lane % 2) * e.lanes for lane in range(e.lanes)])
    for _ in range(e.lanes.bit_length() - 1):
        vectors = [
            e.builder.shuffle_vector(vectors[i], vectors[i + half], order) for i in range(half) for order in (low, high)
        ]
    return vectors


def _stack_room(vectors: int):
    @intrinsic
    def room(typingctx, like):
        element = _element(like)

        def codegen(context, builder, signature, arguments):
            e = _Emitter(builder, element)
            with builder.goto_entry_block():
                room = builder.alloca(ir.ArrayType(e.vector, vectors))
                room.align = 64
            return builder.ptrtoint(room, e.i64)

        return types.intp(element), codegen

    return room


stack_panel = _stack_room(DEPTH * VECTORS)  # address of room for DEPTH rows of VECTORS vectors on the stack
stack_wide_panel = _stack_room(DEPTH * (WIDE_PANEL + 1))  # the same for DEPTH rows of WIDE_PANEL + 1 vectors


@intrinsic
def stack_integers(typingctx):
    """Address of room for TABLE whole numbers on the stack, to be filled with `put`."""

    def codegen(context, builder, signature, arguments):
        i64 = ir.IntType(64)
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(i64, TABLE))
        return builder.ptrtoint(room, i64)

    return types.intp(), codegen


@intrinsic
def put(typingctx, address, index, value):
    """integers[index] = value."""

    def codegen(context, builder, signature, arguments):
        address, index, value = arguments
        builder.store(value, builder.gep(builder.inttoptr(address, value.type.as_pointer()), [index]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def get(typingctx, address, index):
    """integers[index]."""

    def codegen(context, builder, signature, arguments):
        address, index = arguments
        return builder.load(builder.gep(builder.inttoptr(address, index.type.as_pointer()), [index]))

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def put_number(typingctx, address, index, value):
    """numbers[index] = value, in elements of the type of the value."""
    element = _element(value)

    def codegen(context, builder, signature, arguments):
        address, index, value = arguments
        builder.store(value, builder.gep(builder.inttoptr(address, value.type.as_pointer()), [index]))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, element), codegen


@intrinsic
def gather_rows(typingctx, panel, pitch, source, table, rows, pieces, runs, like):
    """One vector of every row of a panel, put together from up to `pieces` runs of neighbouring elements.

    Row r starts `table[r]` elements behind `source`; run p fills the lanes of the bits `runs[MOST_PIECES + p]` with
    what stands there `runs[p]` elements further on. Lanes that no run fills are 0. With 0 pieces one run fills all lanes.
    """
    element = _element(like)
    signature = types.void(*([types.intp] * 7), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        panel, pitch, source, table, rows, pieces, runs, _ = arguments
        panel, source = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (panel, source))
        table, runs = (builder.inttoptr(address, e.i64.as_pointer()) for address in (table, runs))
        lanes_of = ir.VectorType(ir.IntType(1), e.lanes)
        everything = ir.Constant(lanes_of, [1] * e.lanes)

        def case(count):
            def emit():
                offsets = [builder.load(e.at(runs, e.index(p))) for p in range(max(1, count))]
                bits = [builder.load(e.at(runs, e.index(MOST_PIECES + p))) for p in range(count)]
                masks = [builder.bitcast(builder.trunc(b, ir.IntType(e.lanes)), lanes_of) for b in bits]

                def row(r, _):
                    start = e.at(source, builder.load(e.at(table, r)))
                    value = e.load(e.at(start, offsets[0])) if not count else e.zero
                    for offset, mask in zip(offsets, masks, strict=False):
                        value = e.load(e.at(start, offset), mask, value)
                    e.store(value, e.at(panel, builder.mul(pitch, r)), everything)
                    return []

                e.loop(e.index(0), rows, 1, [], row)

            return emit

        _switch(builder, pieces, {count: case(count) for count in PIECES if count <= e.lanes})
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at an address that will be read soon."""

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, types.float32)
        e.prefetch(builder.inttoptr(arguments[0], e.scalar.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def vector_lanes(typingctx, like):
    """Elements of one vector register for elements like `like`."""
    element = _element(like)
    return types.intp(element), lambda context, builder, signature, arguments: ir.Constant(
        ir.IntType(64), lanes(element)
    )


@intrinsic
def element_bytes(typingctx, like):
    """Bytes of one element like `like`."""
    element = _element(like)
    return types.intp(element), lambda context, builder, signature, arguments: ir.Constant(
        ir.IntType(64), element.bitwidth // 8
    )
