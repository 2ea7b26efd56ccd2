"""Timings as a table: medians, the quartiles below them, and how far the odd ones out lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nbdl_benchmarks.harness import Comparison, quartiles

NARROW = 72  # columns of a terminal below which the rarer numbers are left to --json
QUIET = 0.05  # share of the cores that others may take
APART = 0.75  # of what each core does alone; with less they are not cores of their own


def machine(console: Console, environment: dict[str, Any]) -> None:
    """Say in a line where the numbers come from."""
    console.print(
        "{processor}, {simd}, {threads} of {cores} cores. Medians, with quartiles below.".format(**environment)
    )


def draw(
    console: Console, title: str, comparison: Comparison, flops: int = 0, peaks: Sequence[float] | None = None
) -> None:
    """A row a contender, the first being nbdl; with the peak of every round, as a share of it as well."""
    timings, wide = comparison.timings, console.width >= NARROW
    table = Table(title=title, title_justify="left")
    table.add_column("library\nversion", overflow="fold")
    for name in ["µs a step", *(["of peak"] if peaks else []), *(["fastest\nslowest"] if wide else []), "times nbdl"]:
        table.add_column(name, justify="right", overflow="fold")
    for timing in timings:
        row = [f"{timing.name}\n[dim]{timing.version}[/]", _cell([1e6 * s for s in timing.quartiles])]
        if peaks:
            low, middle, high = quartiles(100 * flops / np.array(timing.seconds) / np.array(peaks))
            row.append(f"{middle:.0f} %\n[dim]{low:.0f}–{high:.0f}[/]")
        if wide:
            row.append(f"{_short(1e6 * min(timing.seconds))}\n{_short(1e6 * max(timing.seconds))}")
        row.append("" if timing is timings[0] else _cell(timing.times(timings[0])))
        table.add_row(*row)
    console.print(table)
    disturbances(console, comparison.others, comparison.together)


def disturbances(console: Console, others: Sequence[float], together: Sequence[float]) -> None:
    """Say what stood in the way of a measurement, round by round, if anything did."""
    taken = quartiles(others)[1]
    if taken > QUIET:
        console.print(f"[yellow]Other processes took {100 * taken:.0f} % of these cores: not a quiet measurement.[/]")
    shared = [share for share in together if share < APART]
    if shared:
        console.print(
            f"[yellow]In {len(shared)} of {len(together)} rounds the cores did {100 * quartiles(shared)[1]:.0f} % of what "
            "each does alone: they were two threads of one core, or their clock was lower together.[/]"
        )


def _cell(values: Sequence[float]) -> str:
    low, middle, high = (_short(value) for value in values)
    return f"[b]{middle}[/]\n[dim]{low}–{high}[/]"


def _short(value: float) -> str:
    """Three digits or all before the point: 0.57, 7.71, 19.8, 1473."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
