"""`--profile`: each kernel call of a step, timed in its place in the step."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nbdl_cli.drawing import figures

if TYPE_CHECKING:
    from nbdl import Training
    from nbdl.kernel import Call

ROUNDS = 200


def measure(training: "Training") -> "list[tuple[Call, float]]":
    """Median seconds of each call over many steps on the same batch. The network is put back afterwards."""
    import numpy as np

    calls = training.calls
    training.rewind()
    arenas = [arena for arena in (training.parameters, training.buffers, *training.state) if arena.size]
    kept = [arena.flat.copy() for arena in arenas]
    times = np.empty((ROUNDS, len(calls) + 1))
    for row in times:
        for number, call in enumerate(calls):
            row[number] = perf_counter()
            call.run(*call.arguments)
        row[-1] = perf_counter()
    for arena, values in zip(arenas, kept, strict=True):
        arena.flat[:] = values
    return [(call, float(s)) for call, s in zip(calls, np.median(np.diff(times, axis=1), axis=0), strict=True)]


def profile_table(training: "Training", peak: float | None, width: int) -> Table:
    """Where the time of one step goes, call by call, beside what the machine could do."""
    spent = measure(training)
    total = sum(seconds for _, seconds in spent)
    narrow = width < 76
    frame: dict[str, Any] = {"box": None, "padding": (0, 1, 0, 0)} if width < 100 else {}
    title = f"one step of {training.batch} examples: {figures.seconds(total)}"
    table = Table(title=title, title_justify="left", **frame)
    for name in ("call",) if narrow else ("layer", "kernel", "variant"):
        table.add_column(name, overflow="fold")
    rates = () if narrow else ("GFLOP/s", "GB/s", *(("of peak",) if peak else ()))
    for name in ("time", "share", *rates):
        table.add_column(name, justify="right")
    for call, seconds in spent:
        name = call.kernel.name
        broken = figures.broken(name, 18 if width >= 90 else 12)
        row = [f"{call.label}\n{name}"] if narrow else [call.label, broken, call.variant]
        row += [figures.seconds(seconds), figures.percent(seconds / total)]
        if not narrow:
            row += [f"{call.flops / seconds / 1e9:.1f}", f"{call.bytes / seconds / 1e9:.1f}"]
        if peak and not narrow:
            row.append(figures.percent(call.flops / seconds / peak))
        table.add_row(*row)
    return table
