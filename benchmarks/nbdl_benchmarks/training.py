"""`python -m nbdl_benchmarks training`: one full training step of nbdl and its peers, side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from nbdl_benchmarks.harness import compare, environment
from nbdl_benchmarks.report import draw, machine
from nbdl_benchmarks.work import NETS

CASES = [
    ("mlp", 1),
    ("mlp", 32),
    ("mlp", 128),
    ("xor", 1),
    ("lenet", 1),
    ("lenet", 32),
    ("lenet", 128),
    ("cifar", 32),
    *((kind, batch) for kind in ("simplernn", "lstm", "gru") for batch in (1, 32, 128)),
]
SECONDS = 0.15  # of one contender's turn
PEERS = {  # name of --peers: builder, and the library that it needs
    "torch": ("torch_training:build", "torch"),
    "torch-by-hand": ("torch_training:build_manual", "torch"),
    "jax": ("jax_training:build", "jax"),
    "jax-scan": ("jax_training:build_scan", "jax"),
    "sklearn": ("sklearn_training:build", "sklearn"),
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
        builders = ["nbdl_training:build", *(PEERS[p][0] for p in peers if p != "sklearn" or net == "mlp")]
        comparison = compare(
            [(f"nbdl_benchmarks.peers.{builder}", (net, batch, data)) for builder in builders],
            threads=threads,
            rounds=rounds,
            seconds=SECONDS,
            warm_up=NETS[net].checked,
            tolerance=NETS[net].tolerance,
        )
        kind = f", {data if NETS[net].dataset else 'random'} data" if net != "xor" else ""
        draw(console, f"{NETS[net].title}, batch {batch}{kind}", comparison)
        document["cases"].append({"net": net, "batch": batch, **asdict(comparison)})
    return document
