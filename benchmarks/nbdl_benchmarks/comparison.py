"""`python -m nbdl_benchmarks comparison`: a comparison of stochastic, mini-batch and batch descent, done twice over.

nbdl and torch train the same network from the same first weights over the same shuffles, run by run in turn, and their
seconds of training are held side by side: those of one run, and those of the whole comparison.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nbdl.errors import NbdlError
from nbdl_benchmarks import cores
from nbdl_benchmarks.harness import Worker, environment, quartiles
from nbdl_benchmarks.report import machine
from nbdl_benchmarks.work import NETS, make

BATCHES = (1, 32, 256, None)  # None: all samples
GRAIN = 256  # of the number of samples, so that nobody has to deal with a short last batch
BUILDERS = ("nbdl_training:build_runs", "torch_training:build_runs")
APART = 0.02  # of the mean loss of a run: float32 in another order, over thousands of updates
WARM_UP = 20  # updates of each batch size, before anything is timed


def run(
    rates: Sequence[float],
    epochs: int,
    samples: int | None,
    threads: int,
    rounds: int,
    data: str,
    console: Console,
    net: str = "mlp",
) -> dict[str, Any]:
    """Do the comparison `rounds` times with each library in turn, draw a table, and return all numbers."""
    about = environment(threads)
    machine(console, about)
    n = len(make(net, GRAIN, data).inputs)
    n = n if samples is None else min(n, samples - samples % GRAIN)
    sizes = [batch or n for batch in BATCHES]
    cases = [(batch, rate, epochs * (n // batch)) for batch in sizes for rate in rates]
    warm = [(batch, 1e-3, min(WARM_UP, 3 if batch == n else WARM_UP)) for batch in sizes]
    seconds, losses = _timed(net, n, data, [*warm, *(cases * rounds)], len(warm), threads)
    shape = (rounds, len(cases), len(BUILDERS))
    spent, reached = np.array(seconds).reshape(shape), np.array(losses).reshape(shape)
    for (batch, rate, _), (ours, theirs) in zip(cases, reached[0], strict=True):
        if np.isfinite(ours) and not abs(theirs - ours) <= APART * abs(ours):
            raise NbdlError(f"torch trains otherwise: batch {batch}, rate {rate:g}: loss {theirs:.4g}, not {ours:.4g}.")
    _draw(console, f"{NETS[net].title}, {n} samples, {epochs} epochs, {data} data", cases, n, spent, reached)
    rows = [
        {
            "batch": batch,
            "rate": rate,
            "updates": updates,
            "nbdl": spent[:, k, 0].tolist(),
            "torch": spent[:, k, 1].tolist(),
        }
        for k, (batch, rate, updates) in enumerate(cases)
    ]
    return {"schema": "nbdl.benchmark.comparison/1", "environment": about, "net": net, "samples": n, "runs": rows}


def _timed(
    net: str, n: int, data: str, runs: Sequence[tuple[int, float, int]], warm: int, threads: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds and mean loss of every run but the first `warm`, by each library."""
    seconds, losses = [], []
    with ExitStack() as running:
        running.enter_context(cores.claimed(threads))
        workers = []
        for builder in BUILDERS:
            workers.append(Worker(f"nbdl_benchmarks.peers.{builder}", (net, n, data, runs), threads))
            running.callback(workers[-1].close)
        for number in range(len(runs)):
            times = [worker.run(1)[0] for worker in workers]
            if number >= warm:
                seconds.append(times)
                losses.append([float(worker.result()[0]) for worker in workers])
    return seconds, losses


def _draw(console: Console, title: str, cases, n: int, spent: np.ndarray, reached: np.ndarray) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("batch", overflow="fold")
    for name in ("rate", "updates", "mean loss", "nbdl s", "torch s", "torch / nbdl"):
        table.add_column(name, justify="right", overflow="fold")
    for k, (batch, rate, updates) in enumerate(cases):
        ours, theirs = np.median(spent[:, k], axis=0)
        table.add_row(
            "all" if batch == n else str(batch), f"{rate:g}", str(updates), f"{reached[0, k, 0]:.4g}", f"{ours:.3g}",
            f"{theirs:.3g}", _times(spent[:, k]), end_section=k == len(cases) - 1,
        )  # fmt: skip
    whole = spent.sum(axis=1)
    ours, theirs = np.median(whole, axis=0)
    table.add_row("the whole comparison", "", "", "", f"{ours:.3g}", f"{theirs:.3g}", _times(whole), style="bold")
    console.print(table)


def _times(pairs: np.ndarray) -> str:
    """How many times nbdl's seconds torch took, round by round: the median, and the quartiles where they differ."""
    low, middle, high = quartiles(pairs[:, 1] / pairs[:, 0])
    return f"{middle:.1f}" if len(pairs) == 1 else f"{middle:.1f} [{low:.1f}, {high:.1f}]"
