"""`nbdl landscape`: the cost over a plane of weights, and the paths of the three methods down it."""

import click

from nbdl_cli.options import (
    METHODS,
    budget_options,
    data_options,
    json_option,
    machine_options,
    model_options,
    optimizer_options,
)


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@click.option("--method", "methods", type=METHODS, multiple=True, help="May be repeated  [default: all three]")
@click.option("--batch-size", "batch", type=int, metavar="N", help="Examples an update of mini-batch descent.")
@click.option("--learning-rate", "--lr", "--rate", "rate", type=float, metavar="RATE", help="The same for all paths.")
@optimizer_options
@budget_options
@click.option(
    "--plane",
    type=click.Choice(["weights", "principal", "random"]),
    help="What the plane is  [default: weights where there are two, else principal]",
)
@click.option("--weights", nargs=2, metavar="NAME NAME", help="The two weights, such as dense_1.w[0,0] dense_1.b[0]")
@click.option(
    "--start", type=float, nargs=2, metavar="X Y", help="Where the paths start, as values of the two weights."
)
@click.option("--x", "x_range", type=float, nargs=2, metavar="LOW HIGH", help="What the picture shows across.")
@click.option("--y", "y_range", type=float, nargs=2, metavar="LOW HIGH", help="What it shows upwards.")
@click.option(
    "--grid", type=click.IntRange(5, 401), metavar="N", help="Costs computed across  [default: by the network]"
)
@click.option(
    "--samples", type=click.IntRange(min=1), metavar="N", help="Examples behind a cost  [default: up to 1000]"
)
@machine_options
@click.option("--svg", "svg_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write it as a picture.")
@json_option
def command(threads, svg_file, as_json, methods, plane, weights, start, x_range, y_range, grid, samples, **wishes):
    """See the cost as a landscape, and how stochastic, mini-batch and batch descent come down it.

    Without DEMO: a straight line through points, y = w x + b. Its cost over w and b is a bowl. Larger networks are shown
    in the plane in which their paths move most (principal), in two random directions through the best end (random), or
    over two of their weights.

    \b
    nbdl landscape                           the bowl
    nbdl landscape --rate 1.2                too high a rate: who is thrown out first?
    nbdl landscape moons --svg moons.svg     a network with 337 weights
    """
    from nbdl_cli.landscape import Wanted, run

    wanted = Wanted(methods, plane, weights, start, x_range, y_range, grid, samples)
    run(wanted, threads, svg_file, as_json, wishes)
