"""`python -m nbdl_benchmarks training`: one full training step of nbdl and its peers, side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from nbdl_benchmarks.harness import compare, environment
from nbdl_benchmarks.report import draw, machine

CASES = [("mlp", 1), ("mlp", 32), ("mlp", 128), ("xor", 1)]
SECONDS = 0.15  # of one contender's turn
CHECKED = 20  # steps after which all contenders must hold the same weights
TOLERANCE = 1e-5  # the peers are within 1e-7; the same samples in another order are 1e-4 off
PEERS = {  # name of --peers: builder, and the library that it needs
    "torch": ("torch_mlp:build", "torch"),
    "torch-by-hand": ("torch_mlp:build_manual", "torch"),
    "jax": ("jax_mlp:build", "jax"),
    "jax-scan": ("jax_mlp:build_scan", "jax"),
    "sklearn": ("sklearn_mlp:build", "sklearn"),
}


def run(
    peers: Sequence[str],
    threads: int,
    rounds: int,
    data: str,
    console: Console,
    cases: Sequence[tuple[str, int]] = CASES,
) -> dict[str, Any]:
    """Time every case, draw a table for each, and return all numbers as plain data."""
    document: dict[str, Any] = {
        "schema": "nbdl.benchmark.training/1",
        "data": data,
        "environment": environment(threads),
        "cases": [],
    }
    machine(console, document["environment"])
    for net, batch in cases:
        builders = ["nbdl_mlp:build", *(PEERS[p][0] for p in peers if not (p == "sklearn" and net == "xor"))]
        comparison = compare(
            [(f"nbdl_benchmarks.peers.{builder}", (net, batch, data)) for builder in builders],
            threads=threads,
            rounds=rounds,
            seconds=SECONDS,
            warm_up=CHECKED,
            tolerance=TOLERANCE,
        )
        title = f"MLP 784-128-10, batch {batch}, {data} data" if net == "mlp" else f"MLP 2-8-1 on XOR, batch {batch}"
        draw(console, title, comparison)
        document["cases"].append({"net": net, "batch": batch, **asdict(comparison)})
    return document
