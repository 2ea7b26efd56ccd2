"""`nbdl gradient-flow`: how far back in time a gradient reaches, and what clipping does."""

import click

from nbdl_cli.options import json_option


@click.command()
@click.option("--steps", type=click.IntRange(4, 1000), default=60, show_default=True, help="Length of the sequence.")
@click.option("--units", type=click.IntRange(1, 512), default=32, show_default=True, help="Units of each layer.")
@click.option("--gain", type=float, default=1.0, show_default=True, help="Factor on the first recurrent weights.")
@click.option("--clip", type=float, default=1.0, show_default=True, metavar="NORM", help="Longest gradient allowed.")
@click.option("--rate", type=float, default=0.1, show_default=True, help="Learning rate of the two short trainings.")
@click.option("--updates", type=click.IntRange(min=2), default=150, show_default=True, help="Their updates.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance.")
@click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Write the first picture.")
@json_option
def command(steps, units, gain, clip, rate, updates, seed, svg, as_json):
    """See gradients vanish and explode on their way back through time, and what clipping does.

    A simple recurrent network, an LSTM and a GRU read one sequence. The cost hangs on the last state alone; drawn is how
    strongly it hangs on the state after each step before. A gain below 1 makes the gradient vanish, one above 1 can make
    it explode: then a simple network is trained with and without clipping.

    \b
    nbdl gradient-flow                       an orthogonal start: neither
    nbdl gradient-flow --gain 0.7            it vanishes
    nbdl gradient-flow --gain 2              it explodes
    """
    from nbdl_cli.gradient_flow import run

    run(steps, units, gain, clip, rate, updates, seed, svg, as_json)
