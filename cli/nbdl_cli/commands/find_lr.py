"""`nbdl find-lr`: a sweep of the learning rate, its curve, and the rate that it suggests."""

import click

from nbdl_cli.options import (
    data_options,
    json_option,
    machine_options,
    method_options,
    model_options,
    optimizer_options,
)


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@method_options
@optimizer_options
@click.option("--from", "low", type=float, default=1e-6, show_default=True, metavar="RATE", help="First rate.")
@click.option("--to", "high", type=float, default=10, show_default=True, metavar="RATE", help="Last rate.")
@click.option("--updates", type=int, metavar="N", help="Updates of the sweep  [default: 300; small batches more]")
@machine_options
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write a row for each update.")
@click.option(
    "--svg", "svg_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write the curve as a picture."
)
@json_option
def command(low, high, updates, threads, csv_file, svg_file, as_json, **wishes):
    """Find a learning rate: let it grow with every update and watch the loss.

    Too small a rate changes nothing, a good one makes the loss fall, too large a one makes it rise. The rate suggested
    lies midway between the rate where the loss falls fastest and a tenth of the rate where it is lowest.

    \b
    nbdl find-lr                             handwritten digits
    nbdl find-lr moons --optimizer adam      another optimizer wants another rate
    """
    from nbdl_cli.find_lr import run

    run(low, high, updates, threads, csv_file, svg_file, as_json, wishes)
