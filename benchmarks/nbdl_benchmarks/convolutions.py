"""`python -m nbdl_benchmarks convolutions`: the three kernels of twenty convolutions against PyTorch's."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from nbdl_benchmarks.harness import compare, environment, quartiles
from nbdl_benchmarks.report import disturbances, machine


class Shape(NamedTuple):
    """Square pictures and filters."""

    batch: int
    channels: int
    filters: int
    size: int
    kernel: int
    stride: int
    padding: int

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.filters * self.out**2 * self.channels * self.kernel**2

    def __str__(self) -> str:
        step = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.batch} × {self.channels}→{self.filters}, {self.kernel}×{self.kernel}{step} on {self.size}²"


SHAPES = [
    Shape(*numbers)
    for numbers in [
        (32, 1, 6, 28, 5, 1, 2),  # LeNet-5's
        (32, 6, 16, 14, 5, 1, 0),
        (32, 3, 32, 32, 3, 1, 1),  # the CIFAR net's
        (32, 32, 32, 32, 3, 1, 1),
        (32, 32, 64, 16, 3, 1, 1),
        (32, 64, 64, 16, 3, 1, 1),
        (32, 128, 128, 8, 3, 1, 1),
        (32, 64, 64, 32, 1, 1, 0),
        (32, 256, 256, 7, 1, 1, 0),
        (32, 32, 64, 32, 3, 2, 1),
        (32, 3, 16, 64, 7, 2, 3),
        (32, 16, 32, 28, 5, 2, 2),
        (1, 1, 6, 28, 5, 1, 2),
        (1, 6, 16, 14, 5, 1, 0),
        (1, 3, 64, 64, 7, 2, 3),
        (1, 64, 64, 32, 3, 1, 1),
        (1, 256, 256, 7, 3, 1, 1),
        (1, 32, 32, 64, 3, 1, 1),
        (1, 128, 256, 14, 1, 2, 0),
        (1, 16, 32, 32, 5, 1, 2),
    ]
]
KERNELS = ("forward", "dX", "dW")
SECONDS = 0.03  # of one contender's turn
WARM_UP = 10
TOLERANCE = 1e-4  # of the result


def run(
    torch: bool,
    threads: int,
    rounds: int,
    console: Console,
    kernels: Sequence[str] = KERNELS,
    shapes: Sequence[Shape] = SHAPES,
) -> dict[str, Any]:
    """Time these kernels of every shape, draw one table, and return all numbers as plain data."""
    document: dict[str, Any] = {
        "schema": "nbdl.benchmark.convolutions/1",
        "environment": environment(threads),
        "kernels": [],
    }
    machine(console, document["environment"])
    table = Table(
        title="µs, share of the peak (of the windows' sums, whatever the algorithm), and how many times that PyTorch takes: "
        "as it comes, with channels last",
        title_justify="left",
    )
    table.add_column("batch × channels→filters, kernel/stride on size")
    for kernel in kernels:
        table.add_column(kernel, justify="right")
    ratios: dict[str, list[list[float]]] = {kernel: [] for kernel in kernels}
    busy: list[float] = []
    together: list[float] = []
    builders = ["build_nbdl", *(["build_torch", "build_torch_channels_last"] if torch else [])]
    for shape in shapes:
        cells = []
        for kernel in kernels:
            comparison = compare(
                [(f"nbdl_benchmarks.peers.convolutions:{builder}", (list(shape), kernel)) for builder in builders],
                threads=threads,
                rounds=rounds,
                seconds=SECONDS,
                warm_up=WARM_UP,
                tolerance=TOLERANCE,
            )
            ours, *others = comparison.timings
            share = quartiles(shape.flops / np.array(ours.seconds) / np.array(comparison.peaks))[1]
            cell = f"[b]{1e6 * ours.quartiles[1]:.0f}[/] {100 * share:.0f} %"
            if others:
                ratios[kernel].append([other.times(ours)[1] for other in others])
                cell += "".join(f" {ratio:.2f}×" for ratio in ratios[kernel][-1])
            cells.append(cell)
            busy += comparison.others
            together += comparison.together
            document["kernels"].append(
                {"shape": shape._asdict(), "kernel": kernel, "flops": shape.flops, **asdict(comparison)}
            )
        console.print(f"{shape}: " + " | ".join(f"{k} {c}" for k, c in zip(kernels, cells, strict=True)))
        table.add_row(str(shape), *cells)
    console.print(table)
    for kernel, found in ratios.items():
        for what, several in (("PyTorch", [one[:1] for one in found]), ("the faster of its two layouts", found)):
            least = [min(one) for one in several if one]
            if least:
                ahead = sum(ratio > 1 for ratio in least)
                console.print(
                    f"{kernel}: ahead of {what} on {ahead} of {len(least)}, at the least {min(least):.2f} times"
                )
    disturbances(console, busy, together)
    return document
