"""`python -m nbdl_benchmarks training`: one full training step of nbdl and its peers, side by side."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nbdl.errors import NbdlError
from nbdl_benchmarks.harness import Timing, Worker, environment, rounds

CASES = [("mlp", 1), ("mlp", 32), ("mlp", 128), ("xor", 1)]
SECONDS = 0.15  # of one contender's turn
CHECKED = 20  # steps after which all contenders must hold the same weights


def run(peers: list[str], threads: int, count: int, data: str, console: Console) -> dict[str, Any]:
    """Time every case, draw a table for each, and return all numbers as plain data."""
    document: dict[str, Any] = {
        "schema": "nbdl.benchmark.training/1",
        "data": data,
        "environment": environment(threads),
    }
    document["cases"] = []
    for net, batch in CASES:
        timings = _case(net, batch, data, peers, threads, count, console)
        document["cases"].append(
            {
                "net": net,
                "batch": batch,
                "timings": [{"name": t.name, "version": t.version, "seconds": t.seconds} for t in timings],
            }
        )
    return document


def _case(
    net: str, batch: int, data: str, peers: list[str], threads: int, count: int, console: Console
) -> list[Timing]:
    names = ["nbdl", *(p for p in peers if not (p == "jax-scan" and batch != 1))]
    if net == "xor":
        names = [name for name in names if name != "sklearn"]
    workers: list[Worker] = []
    try:
        for name in names:
            workers.append(Worker(name, [name, net, str(batch), data], threads))
        steps, reference = {}, None
        for worker in workers:
            worker.ask(run=CHECKED)
            weights = np.concatenate(worker.ask(weights=True)["weights"])
            reference = weights if reference is None else reference
            apart = float(np.abs(weights - reference).max())
            if apart > 1e-4:
                raise NbdlError(
                    f"{worker.name} computes something else: after {CHECKED} steps weights differ by {apart:.1e}."
                )
            seconds = worker.ask(run=CHECKED)["seconds"]
            steps[worker.about["name"]] = max(CHECKED, int(SECONDS / (seconds / CHECKED)))
        timings = rounds(workers, steps, count)
    finally:
        for worker in workers:
            worker.close()
    sizes = "784-128-10" if net == "mlp" else "2-8-1 XOR"
    on = f", {data} data" if net == "mlp" else ""
    console.print(_table(f"MLP {sizes}, batch {batch}, {threads} threads{on}", timings))
    return timings


def _table(title: str, timings: list[Timing]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("library", "version"):
        table.add_column(name)
    for name in ("µs a step", "quartiles", "fastest–slowest", "times nbdl", "quartiles"):
        table.add_column(name, justify="right")
    ours = timings[0]
    for t in timings:
        low, middle, high = (1e6 * s for s in t.quartiles)
        ratio = ours.ratio(t)
        row = [
            t.name,
            t.version,
            f"{middle:.1f}",
            f"{low:.1f}–{high:.1f}",
            f"{1e6 * min(t.seconds):.1f}–{1e6 * max(t.seconds):.1f}",
        ]
        row += ["", ""] if t is ours else [f"{ratio[1]:.2f}", f"{ratio[0]:.2f}–{ratio[2]:.2f}"]
        table.add_row(*row)
    return table
