"""`python -m nbdl_benchmarks allocations`: what 1000 training steps leave behind in memory."""

import tracemalloc
from typing import Any

import numpy as np
from rich.console import Console

from nbdl import linking
from nbdl_benchmarks.peers.nbdl_training import build

STEPS = 1000


def run(console: Console) -> dict[str, Any]:
    """Trace 1000 steps at batch 1 and 32: bytes that grew, bytes in NumPy arrays, and the most that was ever held."""
    document: dict[str, Any] = {"schema": "nbdl.benchmark.allocations/1", "steps": STEPS, "cases": []}
    for batch in (1, 32):
        found = {"batch": batch, **trace(build("mlp", batch, "random").run)}
        document["cases"].append(found)
        console.print(
            "batch {batch}: {steps} steps grew by {grown_bytes} bytes, hold {array_bytes} bytes of arrays, and never "
            "held more than {highest_over_start} bytes above the start".format(steps=STEPS, **found)
        )
    return document


def trace(steps) -> dict[str, int]:
    """What `steps(count)` allocates once it is warm. An array that lives only for a step shows in the highest mark."""
    steps(linking.AFTER + 100)
    tracemalloc.start()
    steps(10)
    before = tracemalloc.take_snapshot()
    base = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    steps(STEPS)
    highest = tracemalloc.get_traced_memory()[1]
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    arrays = after.filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    return {
        "grown_bytes": sum(d.size_diff for d in after.compare_to(before, "lineno") if "tracemalloc" not in str(d)),
        "array_bytes": sum(s.size for s in arrays.statistics("filename")),
        "highest_over_start": highest - base,
    }
