"""The measured peak of this machine: fused multiply-adds in registers, nothing loaded, nothing stored.

Every "share of peak" that nbdl prints is a share of this number, measured on the spot and not read off a data sheet.
"""

import time
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import config, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from nbdl.kernel import _many, cache_on_disk, compile_, twin
from nbdl.kernels.tile import SIMD, lanes

CHAINS = {"avx512": 24, "neon": 24}.get(SIMD, 12)  # independent sums, enough to fill the pipelines, few enough to stay
ROUNDS = 40_000


@intrinsic
def _chains(typingctx, rounds, factor):
    """Run all chains for so many rounds of x = x * factor + factor and return one number that depends on them all."""
    signature = types.float32(types.intp, types.float32)

    def codegen(context, builder, signature, arguments):
        rounds, factor = arguments
        width = lanes(types.float32)
        vector, i64, i32 = ir.VectorType(ir.FloatType(), width), ir.IntType(64), ir.IntType(32)
        name = f"llvm.fma.v{width}f32"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        undefined = ir.Constant(vector, ir.Undefined)
        one = builder.insert_element(undefined, factor, ir.Constant(i32, 0))
        splat = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(i32, width), [0] * width))
        before, body, done = builder.block, builder.append_basic_block("fma"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(i64)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        following = [builder.call(fma, [x, splat, splat]) for x in sums]
        step = builder.add(k, ir.Constant(i64, 1))
        k.add_incoming(ir.Constant(i64, 0), before)
        k.add_incoming(step, body)
        for number, (x, y) in enumerate(zip(sums, following, strict=True)):
            x.add_incoming(ir.Constant(vector, [float(number)] * width), before)
            x.add_incoming(y, body)
        builder.cbranch(builder.icmp_signed("<", step, rounds), body, done)
        builder.position_at_end(done)
        total = following[0]
        for y in following[1:]:
            total = builder.fadd(total, y)
        return builder.extract_element(total, ir.Constant(i32, 0))

    return signature, codegen


def _run(results, rounds, factor):
    for worker in prange(results.size):
        results[worker] = _chains(rounds, factor)


_compiled: list = []


def fma_peak(threads: int) -> float:
    """Float32 operations a second of so many threads at once: the best of several runs of a few milliseconds."""
    if not _compiled:
        numba.get_num_threads()
        dispatcher = numba.njit(parallel=True)(twin(_run, "fma_peak", threads=_many))
        cache_on_disk(dispatcher)
        results = np.zeros(1, np.float32)
        signature = (numba.typeof(results), types.intp, types.float32)
        compile_(dispatcher, signature, "fma_peak", "parallel")
        compiled: Any = dispatcher.overloads[signature]
        _compiled.append(compiled.entry_point)
    kept = numba.get_num_threads()
    most = int(getattr(config, "NUMBA_NUM_THREADS"))  # noqa: B009  not in its type stubs
    numba.set_num_threads(min(threads, most))
    try:
        results, best = np.zeros(threads, np.float32), float("inf")
        deadline = time.perf_counter() + 0.1
        while time.perf_counter() < deadline:
            start = time.perf_counter()
            _compiled[0](results, ROUNDS, np.float32(0.5))
            best = min(best, time.perf_counter() - start)
    finally:
        numba.set_num_threads(kept)
    return threads * ROUNDS * CHAINS * 2 * lanes(types.float32) / best
