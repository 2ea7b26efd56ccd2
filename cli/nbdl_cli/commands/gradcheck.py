"""`nbdl gradcheck`: is the backward pass right? Measured, not believed."""

import click

from nbdl_cli.options import data_options, json_option, model_options

LIMIT = 1e-4


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@click.option("--backend", type=click.Choice(["numpy", "serial", "parallel"]), default="serial", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance.")
@json_option
def command(as_json, **wishes):
    """Compare each gradient with the slope measured by moving one number a little up and down (in float64)."""
    from nbdl import gradient_check
    from nbdl_cli import console
    from nbdl_cli.experiment import Wishes, plan

    experiment = plan(Wishes(**wishes))
    out, err = console.out(), console.err()
    if not as_json:
        err.print(" compiling the kernels in float64, where the disk cache does not have them yet ...", style="dim")
    checks = list(
        gradient_check(
            experiment.model(),
            experiment.data(experiment.dataset.train),
            experiment.loss,
            seed=experiment.seed,
            backend=experiment.backend,
        )
    )
    right = all(check.error < LIMIT for check in checks)
    if as_json:
        rows = [{"name": c.name, "checked": c.checked, "error": c.error, "right": c.error < LIMIT} for c in checks]
        console.emit_json({"schema": "nbdl.gradcheck/1", "limit": LIMIT, "right": right, "checks": rows})
    else:
        from rich.table import Table

        table = Table(title=f"gradients of {experiment.demo.name}", title_justify="left")
        table.add_column("of the cost with respect to", overflow="fold")
        for name in ("checked", "by backpropagation", "measured", "largest error"):
            table.add_column(name, justify="right")
        for c in checks:
            most = abs(c.gradient).argmax()
            style = "" if c.error < LIMIT else "bold red"
            example = (f"{c.gradient[most]:.8f}", f"{c.measured[most]:.8f}")
            table.add_row(c.name, str(c.checked), *example, f"{c.error:.1e}", style=style)
        out.print(table)
        verdict = "[green]right[/]: " if right else "[bold red]wrong[/]: "
        out.print(f" {verdict}an error below {LIMIT:.0e} is rounding; more is a mistake (or a kink of ReLU).")
    if not right:
        raise click.exceptions.Exit(1)
