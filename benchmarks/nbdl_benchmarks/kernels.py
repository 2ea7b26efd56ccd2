"""`python -m nbdl_benchmarks kernels`: matrix products against NumPy and PyTorch, as shares of the measured peak."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from nbdl_benchmarks.harness import compare, environment
from nbdl_benchmarks.report import draw, machine

SHAPES = [  # m, k, n: a cube, and the products of MLP 784-128-10 forward and backward
    (512, 512, 512),
    (256, 256, 256),
    (128, 784, 128),
    (32, 784, 128),
    (784, 128, 128),
    (1, 784, 128),
    (128, 128, 10),
]
SECONDS = 0.05  # of one contender's turn
WARM_UP = 20
TOLERANCE = 1e-5  # of the product: sums of up to 784 products of standard normals


def run(
    torch: bool, threads: int, rounds: int, console: Console, shapes: Sequence[tuple[int, int, int]] = SHAPES
) -> dict[str, Any]:
    """Time every shape, draw a table for each, and return all numbers as plain data."""
    document: dict[str, Any] = {
        "schema": "nbdl.benchmark.kernels/2",
        "environment": environment(threads),
        "products": [],
    }
    machine(console, document["environment"])
    builders = ["build_nbdl", "build_nbdl_transposed", "build_numpy", *(["build_torch"] if torch else [])]
    for m, k, n in shapes:
        comparison = compare(
            [(f"nbdl_benchmarks.peers.products:{builder}", (m, k, n)) for builder in builders],
            threads=threads,
            rounds=rounds,
            seconds=SECONDS,
            warm_up=WARM_UP,
            tolerance=TOLERANCE,
        )
        flops = 2 * m * k * n
        title = f"{m} × {k} × {n}, {flops / comparison.timings[0].quartiles[1] / 1e9:.0f} GFLOP/s"
        draw(console, title, comparison, flops, comparison.peaks)
        document["products"].append({"shape": [m, k, n], "flops": flops, **asdict(comparison)})
    return document
