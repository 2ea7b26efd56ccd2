"""`python -m nbdl_benchmarks allocations`: what 1000 training steps leave behind in memory."""

import tracemalloc
from typing import Any

import numpy as np
from rich.console import Console

from nbdl_benchmarks.peers.nbdl_mlp import build
from nbdl_benchmarks.work import make

STEPS = 1000


def run(console: Console) -> dict[str, Any]:
    """Trace 1000 steps at batch 1 and 32: bytes that grew, and bytes of NumPy arrays still held."""
    document: dict[str, Any] = {"schema": "nbdl.benchmark.allocations/1", "cases": []}
    for batch in (1, 32):
        contender = build(make("mlp", batch, "random"))
        contender.run(100)
        tracemalloc.start()
        contender.run(10)
        before = tracemalloc.take_snapshot()
        base = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        contender.run(STEPS)
        highest = tracemalloc.get_traced_memory()[1]
        after = tracemalloc.take_snapshot()
        tracemalloc.stop()
        arrays = after.filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
        held = sum(s.size for s in arrays.statistics("filename"))
        grown = sum(d.size_diff for d in after.compare_to(before, "lineno") if "tracemalloc" not in str(d.traceback))
        found = {"batch": batch, "grown_bytes": grown, "array_bytes": held, "highest_over_start": highest - base}
        document["cases"].append(found)
        console.print(
            f"batch {batch}: {STEPS} steps grew by {grown} bytes, hold {held} bytes of arrays, and never held more than "
            f"{highest - base} bytes above the start"
        )
    return document
