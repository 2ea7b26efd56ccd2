"""The work of `nbdl compare-optimizers`: plan, run with progress, and draw the table and the curves."""

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nbdl.errors import NbdlError
from nbdl_cli.drawing import figures
from nbdl_cli.experiment import Wishes, environment, plan

if TYPE_CHECKING:
    from nbdl.comparison import Outcome, Summary
    from nbdl_cli.experiment import Experiment

SCHEMA = "nbdl.compare/1"
EPOCHS = 10


def numbers(text: str, kind: type, option: str) -> list:
    """A list of numbers typed with commas."""
    try:
        found = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found:
        what = "whole numbers" if kind is int else "numbers"
        raise NbdlError(f"{option} {text!r}: expected {what} with commas between them.")
    return found


def run(
    methods: str,
    batch_sizes: str,
    rates: str,
    optimizers: tuple[str, ...],
    seeds: int,
    threads: int | None,
    csv_file: str | None,
    as_json: bool,
    wishes: dict[str, Any],
) -> None:
    from nbdl import Budget
    from nbdl.comparison import Problem, compare, grid, summarize
    from nbdl.files import write_atomically
    from nbdl.optimizers import optimizer
    from nbdl.training import set_threads
    from nbdl_cli import console

    out, err = console.out(), console.err()
    threads = set_threads(threads)
    given = any(wishes[name] is not None for name in ("epochs", "updates", "examples", "seconds"))
    experiment = plan(Wishes(**wishes))
    data = experiment.dataset
    contenders = grid(
        [name.strip() for name in methods.split(",") if name.strip()],
        numbers(batch_sizes, int, "--batch-sizes"),
        [optimizer(name) for name in optimizers],
        numbers(rates, float, "--rates"),
    )
    for contender in contenders:
        if contender.batch != "full" and not 1 <= int(contender.batch) <= len(data.train):
            raise NbdlError(
                f"the batch size is {contender.batch}; expected a whole number from 1 to {len(data.train)}."
            )
    problem = Problem(
        experiment.layers,
        data.input_shape,
        experiment.data(data.train),
        experiment.data(data.validation),
        experiment.data(data.test),
        experiment.loss,
        experiment.budget if given else Budget(epochs=EPOCHS),
        experiment.backend,
        experiment.clip,
    )
    chosen = list(range(experiment.seed, experiment.seed + seeds))
    outcomes = []
    bar = Progress(
        TextColumn(" {task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} runs"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=as_json or not err.is_terminal,
    )
    with bar:
        task = bar.add_task("comparing", total=len(contenders) * seeds)

        def announce(name: str) -> None:
            bar.update(task, description=f"compiling {name}")

        for outcome in compare(problem, contenders, chosen, announce):
            outcomes.append(outcome)
            bar.update(task, advance=1, description=f"{outcome.contender.label}")
    summaries = summarize(outcomes)
    if csv_file:
        write_atomically(csv_file, _csv(outcomes).encode())
    if as_json:
        budget = {name: value for name, value in vars(problem.budget).items() if value is not None}
        about = {**experiment.summary(), "budget": budget, "seeds": chosen}
        for name in ("method", "batch", "optimizer", "schedule", "seed"):
            about.pop(name)
        console.emit_json(
            {
                "schema": SCHEMA,
                "experiment": about,
                "contenders": [_summary_data(s) for s in summaries],
                "runs": [_outcome_data(o) for o in outcomes],
                "environment": environment(threads, experiment.backend),
            }
        )
        return
    _draw(out, experiment, problem.budget, summaries, outcomes, chosen)


def _contender_data(contender) -> dict[str, Any]:
    from nbdl.optimizers import describe

    return {
        "method": contender.method,
        "batch": contender.batch,
        "optimizer": describe(contender.optimizer),
        "schedule": contender.schedule,
    }


def _summary_data(s: "Summary") -> dict[str, Any]:
    names = ("lower_quartile", "median", "upper_quartile")
    return {
        **_contender_data(s.contender),
        "runs": s.runs,
        "diverged": s.diverged,
        "diverged_kinds": list(s.kinds),
        "updates": s.updates,
        "examples": s.examples,
        **{name: dict(zip(names, getattr(s, name), strict=True)) for name in ("seconds", "loss", "score")},
    }


def _outcome_data(o: "Outcome") -> dict[str, Any]:
    return {**asdict(o), "contender": _contender_data(o.contender)}


def _csv(outcomes: "list[Outcome]") -> str:
    text = io.StringIO()
    columns = ["method", "batch", "optimizer", "learning_rate", "seed", "diverged", "diverged_update"]
    clocks = ["epoch", "updates", "examples", "seconds", "train_loss", "validation_loss", "validation_accuracy"]
    writer = csv.writer(text)
    writer.writerow([*columns, *clocks])
    for o in outcomes:
        c = o.contender
        start = [c.method, c.batch, c.optimizer.name, c.optimizer.learning_rate, o.seed, o.diverged, o.diverged_update]
        for epoch in o.epochs:
            writer.writerow([*start, *(getattr(epoch, name) for name in clocks)])
        if not o.epochs:
            writer.writerow([*start, *[None] * len(clocks)])
    return text.getvalue()


def table(summaries: "list[Summary]", accuracy: bool, width: int) -> Table:
    """One row a contender; the best of each method is marked."""
    narrow = width < 90
    drawn = Table(pad_edge=False, padding=(0, 1))
    for name in ("method", "batch", "rate"):
        drawn.add_column(name, overflow="fold")
    for name in ("updates", *(() if narrow else ("examples",)), "seconds", "loss"):
        drawn.add_column(name, justify="right")
    drawn.add_column("test %" if accuracy else "test R²", justify="right", overflow="fold")
    drawn.add_column("diverged", justify="right", overflow="fold")
    best = {method: min((s for s in summaries if s.contender.method == method), key=lambda s: s.rank)
            for method in {s.contender.method for s in summaries}}  # fmt: skip
    several = len({s.contender.optimizer.name for s in summaries}) > 1
    before = None
    for s in summaries:
        c = s.contender
        if before not in (None, c.method):
            drawn.add_section()
        first = c.method if c.method != before else ""
        before = c.method
        score = (lambda x: f"{100 * x:.1f}") if accuracy else (lambda x: f"{x:.3f}")
        spread = "" if s.runs == 1 or narrow else f" [{score(s.score[0])}, {score(s.score[2])}]"
        loss = "∞" if s.loss[1] == float("inf") else f"{s.loss[1]:.4g}"
        rate = f"{c.optimizer.learning_rate:g}" + (f" {c.optimizer.name}" if several else "")
        cells = [first, "all" if c.batch == "full" else str(c.batch), rate, f"{s.updates}"]
        cells += [] if narrow else [f"{s.examples}"]
        kinds = f" {', '.join(s.kinds)}" if s.kinds and not narrow else ""
        lost = f"{s.diverged}/{s.runs}{kinds}" if s.diverged else "–"
        cells += [figures.seconds(s.seconds[1]), loss, f"{score(s.score[1])}{spread}", lost]
        drawn.add_row(*cells, style="bold green" if s is best[c.method] and not s.diverged else "")
    return drawn


def _draw(out: Console, experiment: "Experiment", budget, summaries, outcomes, seeds) -> None:
    from nbdl_cli.drawing.plot import LinePlot, Series

    accuracy = experiment.dataset.task == "classification"
    spent = ", ".join(f"{value:g} {name}" for name, value in vars(budget).items() if value is not None)
    out.print(
        Text.assemble(
            ("gradient descent three ways", "bold"),
            f" on {experiment.dataset.name}: {spent} each, seeds {seeds[0]} to {seeds[-1]}, the same first weights and "
            "shuffles for all; medians, quartiles in brackets, the best rate of each method in bold",
        )
    )
    out.print(table(summaries, accuracy, out.width))
    best: dict[str, Any] = {}
    for s in sorted(summaries, key=lambda s: s.rank):
        best.setdefault(s.contender.method, s)
    plots = []
    for clock, log in (("epoch", False), ("updates", True), ("seconds", True)):
        series = []
        for s in best.values():
            run = next((o for o in outcomes if o.contender == s.contender and o.epochs), None)
            if run is not None:
                xs = [getattr(e, clock) for e in run.epochs]
                series.append(Series(s.contender.label, xs, [e.train_loss for e in run.epochs]))
        label = {"epoch": "epochs", "updates": "updates", "seconds": "seconds of training"}[clock]
        plots.append(LinePlot(series, title=f"cost against {label}", x_label=label, log_x=log, height=8))
    out.print(Group(*plots))
    out.print(
        " One epoch is one pass over the data: many small steps for stochastic descent, one large step for batch"
        " descent. Compare the same cost on all three clocks before calling one of them fast."
    )
