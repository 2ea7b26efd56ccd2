"""`python -m nbdl_benchmarks kernels`: matrix products against NumPy and PyTorch, as shares of the measured peak.

All three run in this process, in turn; each library's idle threads have gone to sleep before the next one's turn.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nbdl.kernels.matmul import matmul, matmul_transposed
from nbdl.kernels.peak import fma_peak
from nbdl.training import set_threads
from nbdl_benchmarks.harness import environment

SHAPES = [
    (512, 512, 512),
    (256, 256, 256),
    (128, 784, 128),
    (32, 784, 128),
    (784, 128, 128),
    (1, 784, 128),
    (128, 128, 10),
]


def run(threads: int, count: int, console: Console) -> dict[str, Any]:
    """Time every shape for `count` rounds, draw the table and return all numbers as plain data."""
    set_threads(threads)
    peak = fma_peak(threads)
    table = Table(
        title=f"matrix products, float32, {threads} threads, peak {peak / 1e9:.0f} GFLOP/s", title_justify="left"
    )
    table.add_column("m × k × n")
    for name in ("nbdl GFLOP/s", "of peak", "nbdl, B transposed", "numpy", "torch", "× numpy", "× torch"):
        table.add_column(name, justify="right")
    document: dict[str, Any] = {
        "schema": "nbdl.benchmark.kernels/1",
        "environment": environment(threads),
        "peak_flops": peak,
    }
    document["products"] = []
    for m, k, n in SHAPES:
        contenders = _contenders(m, k, n, threads)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(count):
            peak = max(peak, fma_peak(threads))
            for name, call in contenders.items():
                seconds[name].append(_best(call))
        flops = 2 * m * k * n
        rate = {name: flops / float(np.median(values)) for name, values in seconds.items()}
        ratio = {
            name: float(np.median(np.array(values) / np.array(seconds["nbdl"]))) for name, values in seconds.items()
        }
        cells = [
            f"{rate[name] / 1e9:.1f}" if name in rate else "–" for name in ("nbdl", "nbdl transposed", "numpy", "torch")
        ]
        cells.insert(1, f"{100 * rate['nbdl'] / peak:.0f} %")
        table.add_row(
            f"{m} × {k} × {n}", *cells, *(f"{ratio[name]:.2f}" if name in ratio else "–" for name in ("numpy", "torch"))
        )
        document["products"].append({"shape": [m, k, n], "seconds": seconds, "share_of_peak": rate["nbdl"] / peak})
    console.print(table)
    return document


def _contenders(m: int, k: int, n: int, threads: int) -> dict[str, Callable[[], Any]]:
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    c, turned = np.empty((m, n), np.float32), np.ascontiguousarray(b.T)
    ours, theirs = matmul.bind("auto", c, a, b), matmul_transposed.bind("auto", c.copy(), a, turned)
    found: dict[str, Callable[[], Any]] = {
        "nbdl": lambda: ours.run(*ours.arguments),
        "nbdl transposed": lambda: theirs.run(*theirs.arguments),
        "numpy": lambda: np.matmul(a, b, out=c),
    }
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(threads)
    x, y, z = torch.from_numpy(a), torch.from_numpy(b), torch.empty(m, n)
    found["torch"] = lambda: torch.mm(x, y, out=z)
    return found


def _best(call: Callable[[], Any]) -> float:
    """The fastest of the calls that fit in 20 ms: what the code can do when nobody interferes."""
    time.sleep(0.01)
    call()
    best, end = float("inf"), time.perf_counter() + 0.02
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
