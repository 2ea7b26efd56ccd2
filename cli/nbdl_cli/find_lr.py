"""The work of `nbdl find-lr`: sweep with progress, then the curve, the suggestion and its reason."""

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from nbdl_cli.experiment import Experiment, Wishes, environment, plan
from nbdl_cli.places import check_place

if TYPE_CHECKING:
    from nbdl.find_lr import Point, Suggestion
    from nbdl_cli.drawing.plot import Series

SCHEMA = "nbdl.find-lr/1"
CEILING = 1.3  # of the first loss: what rises further is off the picture, so that the fall is not lost in it
DOTS = 400  # as many losses of single batches can be told apart


def run(
    low: float,
    high: float,
    updates: int | None,
    threads: int | None,
    csv_file: str | None,
    svg_file: str | None,
    as_json: bool,
    wishes: dict[str, Any],
) -> None:
    from nbdl.files import write_atomically
    from nbdl.find_lr import suggest, sweep, usual_updates
    from nbdl.training import set_threads
    from nbdl_cli import console
    from nbdl_cli.download import progress

    out, err = console.out(), console.err()
    check_place("--csv", csv_file)
    check_place("--svg", svg_file)
    threads = set_threads(threads)
    with progress(None if as_json else err) as report:
        experiment = plan(Wishes(**wishes), report)
    data, batch = experiment.data(experiment.dataset.train), experiment.batch
    if updates is None:
        updates = usual_updates(len(data) if batch == "full" else int(batch))
    bar = Progress(
        TextColumn(" {task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} updates"),
        console=err,
        transient=True,
        disable=as_json or not err.is_terminal,
    )
    points: list[Point] = []
    with bar:
        task = bar.add_task("sweeping", total=updates)
        for point in sweep(
            experiment.model(),
            data,
            experiment.loss,
            experiment.optimizer,
            batch=batch,
            low=low,
            high=high,
            updates=updates,
            clip=experiment.clip,
            seed=experiment.seed,
            backend=experiment.backend,
            announce=lambda name: bar.update(task, description=f"compiling {name}"),
        ):
            points.append(point)
            bar.update(task, completed=point.update, description=f"rate {point.rate:.1e}")
    found = suggest(points, updates)
    if csv_file:
        write_atomically(csv_file, _csv(points).encode())
    if svg_file:
        write_atomically(svg_file, _picture(experiment, points, found).encode())
    if as_json:
        about = experiment.summary()
        for name in ("schedule", "budget"):
            about.pop(name)
        about["optimizer"].pop("learning_rate")
        console.emit_json(
            {
                "schema": SCHEMA,
                "experiment": about,
                "from": low,
                "to": high,
                "updates": updates,
                "points": [point._asdict() for point in points],
                "suggestion": vars(found),
                "environment": environment(threads, experiment.backend),
            }
        )
        return
    _draw(out, experiment, points, found, wishes)
    for path in filter(None, (csv_file, svg_file)):
        out.print(f" wrote {path}", style="dim", soft_wrap=True)


def _csv(points: "list[Point]") -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("update", "learning_rate", "loss", "smoothed_loss"))
    writer.writerows(points)
    return text.getvalue()


def _title(experiment: Experiment) -> str:
    batch = "all examples" if experiment.batch == "full" else f"{experiment.batch} examples"
    return f"loss against learning rate: {experiment.demo.name}, {experiment.optimizer.name}, {batch} an update"


def _curves(points: "list[Point]") -> "list[Series]":
    """The losses and their smooth mean, up to the ceiling."""
    from nbdl_cli.drawing.plot import Series

    ceiling = CEILING * max(point.smoothed for point in points[:20] if math.isfinite(point.smoothed))
    rates = [point.rate for point in points]
    jumps = [point.loss if point.loss <= ceiling else None for point in points]
    smooth = [min(point.smoothed, ceiling) for point in points]
    last = next((n + 1 for n, value in enumerate(smooth) if n >= 20 and value >= ceiling), len(smooth))
    diverged = last < len(smooth) or not math.isfinite(points[-1].smoothed)
    every = -(-last // DOTS)
    return [
        Series(
            "each batch" if every == 1 else f"one batch in {every}", rates[:last:every], jumps[:last:every], dots=True
        ),
        Series("smoothed", rates[:last], smooth[:last], diverged=diverged),
    ]


def _draw(
    out: Console, experiment: Experiment, points: "list[Point]", found: "Suggestion", wishes: dict[str, Any]
) -> None:
    from nbdl_cli.drawing.plot import LinePlot, Series

    series = _curves(points)
    if found.rate is not None:
        heights = [y for one in series for y in one.y if y is not None]
        series.append(Series(f"suggested {found.rate:g}", [found.rate] * 2, [min(heights), max(heights)]))
    out.print(LinePlot(series, title=_title(experiment), x_label="learning rate", log_x=True, height=14))
    out.print()
    if found.rate is None:
        out.print(Text.assemble((" no rate to suggest: ", "bold"), f"{found.reason}."))
        return
    out.print(Text.assemble((f" suggested learning rate {found.rate:g}: ", "bold"), f"{found.reason}."))
    out.print(f" try: {_command(wishes, found.rate)}", style="dim", soft_wrap=True)


def _command(wishes: dict[str, Any], rate: float) -> str:
    """The training with this rate, with the same options."""
    from shlex import quote

    usual = vars(Wishes())
    given = [
        f"--{'batch-size' if name == 'batch' else name.replace('_', '-')} {quote(str(value))}"
        for name, value in wishes.items()
        if name != "demo" and value != usual[name]
    ]
    return " ".join(["nbdl train", *filter(None, [wishes["demo"]]), *given, f"--lr {rate:g}"])


def _picture(experiment: Experiment, points: "list[Point]", found: "Suggestion") -> str:
    from nbdl_cli.drawing.svg import LineChart, Mark

    marks = [] if found.rate is None else [Mark(found.rate, None, f"suggested {found.rate:g}", "line")]
    words = f"{found.rate:g}: {found.reason}" if found.rate is not None else f"no rate to suggest: {found.reason}"
    return LineChart(_curves(points), _title(experiment), words, "learning rate", "loss", log_x=True, marks=marks).svg()
