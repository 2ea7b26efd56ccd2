"""`nbdl compare-optimizers`: stochastic, mini-batch and batch gradient descent, side by side."""

import click

from nbdl_cli.options import (
    OPTIMIZERS,
    budget_options,
    data_options,
    json_option,
    machine_options,
    model_options,
)

RATES = "0.01,0.03,0.1,0.3,1"


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@click.option("--methods", default="stochastic,mini-batch,batch", show_default=True, metavar="LIST")
@click.option("--batch-sizes", default="32", show_default=True, metavar="LIST", help="Mini-batch sizes.")
@click.option("--rates", default=RATES, show_default=True, metavar="LIST", help="Learning rates to try.")
@click.option("--optimizer", type=OPTIMIZERS, multiple=True, help="May be repeated  [default: sgd]")
@click.option("--seeds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Runs of each contender.")
@budget_options
@machine_options
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write a row for each epoch.")
@json_option
def command(methods, batch_sizes, rates, optimizer, seeds, threads, csv_file, as_json, **wishes):
    """Compare the three methods over a grid of learning rates.

    Every contender starts from the same first weights and sees the same shuffles, seed by seed. One epoch is one pass
    over the data for all of them, but n updates for stochastic and one for batch descent: the table shows both clocks.
    """
    from nbdl_cli.compare import run

    run(methods, batch_sizes, rates, optimizer or ("sgd",), seeds, threads, csv_file, as_json, wishes)
