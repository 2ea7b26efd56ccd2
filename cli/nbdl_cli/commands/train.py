"""`nbdl train`: train a demo or your own data, and watch it learn."""

import click

from nbdl_cli.options import (
    budget_options,
    data_options,
    descent_options,
    json_option,
    machine_options,
    method_options,
    model_options,
)


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@click.option("--text", type=click.Path(), metavar="FILE", help="A text to learn to write like; see nbdl generate.")
@click.option(
    "--steps", type=int, metavar="N", help="Length of a sequence: characters read at a time, numbers in a row."
)
@model_options
@method_options
@click.option("--learning-rate", "--lr", "rate", type=float, metavar="RATE", help="Length of a step downhill.")
@descent_options
@budget_options
@click.option("--patience", type=click.IntRange(min=1), metavar="N", help="Stop after N epochs without improvement.")
@machine_options
@click.option("--save", type=click.Path(dir_okay=False), metavar="FILE", help="Keep the network (.safetensors).")
@click.option("--resume", type=click.Path(), metavar="FILE", help="Go on with a saved run, bit for bit.")
@click.option("--log", type=click.Path(dir_okay=False), metavar="FILE", help="Write a JSON line for each epoch.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only the result.")
@click.option("--profile", is_flag=True, help="Show where the time of a step goes.")
def command(threads, save, resume, log, as_json, quiet, profile, patience, **wishes):
    """Train a network and watch it learn.

    DEMO is one of those that `nbdl models` lists: digits (when left out), spiral, digits-cnn, tones-cnn, mnist-lenet ...

    \b
    nbdl train                               handwritten digits
    nbdl train spiral --layers 32,tanh       another network
    nbdl train --dataset my.csv --label price
    nbdl train --text my.txt --save writer.safetensors
    """
    from nbdl_cli.experiment import Wishes
    from nbdl_cli.run import Run

    Run(
        Wishes(**wishes),
        threads=threads,
        save=save,
        resume=resume,
        log=log,
        as_json=as_json,
        quiet=quiet,
        profile=profile,
        patience=patience,
    ).go()
