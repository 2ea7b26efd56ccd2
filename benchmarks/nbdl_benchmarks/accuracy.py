"""`python -m nbdl_benchmarks accuracy`: how long LeNet-5 learns until it reads 99 % of MNIST's test digits.

nbdl and torch train the network of `nbdl train mnist-lenet` from the same first weights over the same shuffles, with Adam
and the same learning rate at every update. Both are asked for their test accuracy after each epoch, off the clock.
"""

from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from nbdl_benchmarks import cores
from nbdl_benchmarks.harness import Worker, environment
from nbdl_benchmarks.report import machine

BUILDERS = ("nbdl_training:build_accuracy", "torch_training:build_accuracy")


def run(target: float, epochs: int, seeds: int, threads: int, console: Console) -> dict[str, Any]:
    """Train with each library in turn, an epoch at a time, draw a table, and return all numbers."""
    about = environment(threads)
    machine(console, about)
    table = Table(
        title=f"LeNet-5 on MNIST: seconds of training until {target:.1%} of the test digits", title_justify="left"
    )
    for name in (
        "seed",
        "nbdl epoch",
        "nbdl s",
        "nbdl at the end",
        "torch epoch",
        "torch s",
        "torch at the end",
        "torch / nbdl",
    ):
        table.add_column(name, justify="right", overflow="fold")
    rows = []
    for seed in range(seeds):
        found = _trained(epochs, seed, threads)
        cells, times = [], []
        for seconds, scores in found:
            epoch = next((k for k, score in enumerate(scores) if score >= target), None)
            times += [] if epoch is None else [seconds[epoch]]
            cells += ["never", ""] if epoch is None else [str(epoch + 1), f"{seconds[epoch]:.2f}"]
            cells.append(f"{scores[-1]:.2%}")
        ratio = f"{times[1] / times[0]:.1f}" if len(times) == len(BUILDERS) else ""
        table.add_row(str(seed), *cells, ratio)
        names = ("nbdl", "torch")
        rows.append({"seed": seed} | {n: {"seconds": s, "accuracy": a} for n, (s, a) in zip(names, found, strict=True)})
    console.print(table)
    return {"schema": "nbdl.benchmark.accuracy/1", "environment": about, "target": target, "runs": rows}


def _trained(epochs: int, seed: int, threads: int) -> list[tuple[list[float], list[float]]]:
    """For each library the seconds of training so far, and the test accuracy, at the end of every epoch."""
    found: list[tuple[list[float], list[float]]] = [([], []) for _ in BUILDERS]
    with ExitStack() as running:
        running.enter_context(cores.claimed(threads))
        workers = []
        for builder in BUILDERS:
            workers.append(Worker(f"nbdl_benchmarks.peers.{builder}", (epochs, seed), threads))
            running.callback(workers[-1].close)
        for _ in range(epochs):
            for worker, (seconds, scores) in zip(workers, found, strict=True):
                seconds.append(worker.run(1)[0] + (seconds[-1] if seconds else 0.0))
                scores.append(float(worker.result()[0]))
    return found
