"""`nbdl explain`: the program of a demo, call by call."""

import click

from nbdl_cli.options import data_options, descent_options, json_option, machine_options, model_options


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@click.option("--batch-size", "batch", metavar="N|full", help="Examples an update.")
@descent_options
@machine_options
@json_option
def command(threads, as_json, **wishes):
    """Show every kernel call of one training step: which variant runs on which shapes, and what it costs."""
    from nbdl.training import set_threads
    from nbdl_cli import console
    from nbdl_cli.experiment import Wishes, plan

    set_threads(threads)
    experiment = plan(Wishes(**wishes))
    training = experiment.training(experiment.model())
    phases = [
        ("gather", training.program.gather),
        ("forward", training.program.forward),
        ("loss", training.program.loss),
        ("backward", training.program.backward),
    ]
    shown = sum(len(calls) for _, calls in phases)
    phases.append(("update", training.calls[shown:]))
    rows = [
        {
            "phase": phase,
            "layer": call.label,
            "kernel": call.kernel.name,
            "variant": call.variant,
            "shapes": [list(a.shape) for a in call.arguments if hasattr(a, "shape")],
            "flops": call.flops,
            "bytes": call.bytes,
        }
        for phase, calls in phases
        for call in calls
    ]
    fused = not phases[-1][1]
    if as_json:
        document = {"schema": "nbdl.explain/1", "experiment": experiment.summary(), "calls": rows}
        console.emit_json({**document, "update_in_backward": fused, "flops": training.flops})
        return
    _draw(console.out(), experiment, training, rows, fused)


ROOM = 70  # columns that a table needs: with fewer, each call gets lines of its own


def _draw(out, experiment, training, rows, fused):
    from nbdl_cli.drawing import figures

    title = f"one step of {experiment.demo.name}, batch {training.batch}"
    if out.width < ROOM:
        out.print(f"[italic]{title}[/]")
        _draw_lines(out, rows)
    else:
        out.print(_table(title, rows, out.width))
    if fused:
        out.print(
            " The update has no line of its own: in plain gradient descent the backward pass of each layer writes"
            " w - rate × gradient straight into the weights."
        )
    if any(call.kernel.name == "winograd" for call in training.calls):
        out.print(
            " winograd and winograd_weights are convolutions with filters of 3 × 3 by Winograd's F(4×4, 3×3): 36 products where"
            " the windows take 144, and sums that differ in their last digits. Their FLOPs are those they do."
        )
    if any(call.kernel.name == "to_samples_last" for call in training.calls):
        out.print(
            " Between to_samples_last and from_samples_last the same cell of many samples fills a vector, and short lines of"
            " small maps waste none of it."
        )
    out.print(f" {figures.count(training.flops)} FLOPs a step. Shapes: outputs first, then inputs.")


def _draw_lines(out, rows):
    from rich.padding import Padding

    from nbdl_cli.drawing import figures

    before = None
    for row in rows:
        if row["phase"] != before:
            out.print(f"[bold]{row['phase']}[/]")
        before = row["phase"]
        cost = f"{figures.count(row['flops'])} FLOPs, {figures.size(row['bytes'])}, {row['variant']}"
        out.print(Padding(f"{row['layer']}: {row['kernel']}", (0, 0, 0, 1)))
        out.print(Padding(f"{_shapes(row)}\n{cost}", (0, 0, 0, 3)))


def _shapes(row):
    return " ".join("×".join(map(str, shape)) for shape in row["shapes"])


def _table(title, rows, width):
    from rich.table import Table

    from nbdl_cli.drawing import figures

    table = Table(title=title, title_justify="left", padding=(0, 1), box=None)
    for name in ("phase", "layer", "kernel", "variant"):
        table.add_column(name, overflow="fold", no_wrap=width >= 90)
    table.add_column("shapes", overflow="fold")
    for name in ("FLOPs", "bytes", *(("FLOPs a byte",) if width >= 120 else ())):
        table.add_column(name, justify="right")
    before = None
    for row in rows:
        table.add_row(
            row["phase"] if row["phase"] != before else "",
            row["layer"],
            figures.broken(row["kernel"], 18 if width >= 90 else 12),
            row["variant"],
            _shapes(row),
            figures.count(row["flops"]),
            figures.size(row["bytes"]),
            *((f"{row['flops'] / max(1, row['bytes']):.2f}",) if width >= 120 else ()),
        )
        before = row["phase"]
    return table
