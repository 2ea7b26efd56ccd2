"""The measured peak of this machine: fused multiply-adds in registers, nothing loaded, nothing stored.

Every "share of peak" that nbdl prints is a share of this number, measured on the spot and not read off a data sheet. It is
the hardware's, whatever NBDL_SIMD makes the kernels use. Beside `tile.py` the only file that emits LLVM.
"""

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbdl.kernel import cache_on_disk, compile_, twin

_features = binding.get_host_cpu_features()
NEON = platform.machine().lower() in ("arm64", "aarch64")
LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4  # float32 in one vector register
FUSED = NEON or _features.get("fma", False)
CHAINS = 24 if NEON or LANES == 16 else 12  # independent sums: enough to fill the pipelines, few enough for registers
ROUNDS = 40_000  # 0.1 to 0.5 ms: short beside a scheduler's time slice, long beside the call
SECONDS = 0.05


@intrinsic
def _chains(typingctx, rounds, factor):
    """Run all chains for so many rounds of x = x * factor + factor and return one number that depends on them all."""
    signature = types.float32(types.intp, types.float32)

    def codegen(context, builder, signature, arguments):
        rounds, factor = arguments
        vector, i64, i32 = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64), ir.IntType(32)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{LANES}f32"
        )
        undefined = ir.Constant(vector, ir.Undefined)
        one = builder.insert_element(undefined, factor, ir.Constant(i32, 0))
        splat = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(i32, LANES), [0] * LANES))
        before, body, done = builder.block, builder.append_basic_block("fma"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        k = builder.phi(i64)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        if FUSED:
            following = [builder.call(fma, [x, splat, splat]) for x in sums]
        else:
            following = [builder.fadd(builder.fmul(x, splat), splat) for x in sums]
        step = builder.add(k, ir.Constant(i64, 1))
        k.add_incoming(ir.Constant(i64, 0), before)
        k.add_incoming(step, body)
        for number, (x, y) in enumerate(zip(sums, following, strict=True)):
            x.add_incoming(ir.Constant(vector, [float(number)] * LANES), before)
            x.add_incoming(y, body)
        builder.cbranch(builder.icmp_signed("<", step, rounds), body, done)
        builder.position_at_end(done)
        total = following[0]
        for y in following[1:]:
            total = builder.fadd(total, y)
        return builder.extract_element(total, ir.Constant(i32, 0))

    return signature, codegen


def _run(rounds, factor):
    return _chains(rounds, factor)


@cache
def _machine_code() -> Any:
    signature = (types.intp, types.float32)
    dispatcher: Any = numba.njit(nogil=True)(twin(_run, "fma_peak"))
    cache_on_disk(dispatcher)
    compile_(dispatcher, signature, "fma_peak", "serial")
    return dispatcher.overloads[signature].entry_point


def fma_peak(threads: int) -> float:
    """Float32 operations a second of so many threads at once, at most one a core; takes about 0.05 seconds.

    Each thread times short pieces by its own clock, and its fast tenth counts: a thread that has to wait for a core
    then loses pieces and not the measurement, as it would where all threads wait for the last one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads, run = min(threads, cores), _machine_code()
    ready = Barrier(threads)

    def rate(_) -> float:
        ready.wait()
        pieces, last = [], time.perf_counter()
        end = last + SECONDS
        while last < end:
            run(ROUNDS, 0.5)
            now = time.perf_counter()
            pieces.append(now - last)
            last = now
        return 2 * CHAINS * LANES * ROUNDS / sorted(pieces)[len(pieces) // 10]

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(rate, range(threads)))
