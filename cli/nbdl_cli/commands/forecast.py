"""`nbdl forecast`: how a user's own series goes on, by a network and by the plain forecasts that it must beat."""

import click

from nbdl_cli.options import json_option


@click.command()
@click.option("--csv", "file", required=True, type=click.Path(), metavar="FILE", help="Table with the series.")
@click.option("--column", metavar="NAME", help="Column with the values  [default: the last]")
@click.option("--date", metavar="NAME", help="Column with the dates  [default: the first of dates, if any]")
@click.option(
    "--gaps", type=click.Choice(["refuse", "interpolate", "ignore"]), default="refuse", show_default=True,
    help="Missing values or dates: an error, straight lines, or as if they were not.",
)  # fmt: skip
@click.option("--horizon", type=int, metavar="N", help="How many steps ahead  [default: a season, or 12]")
@click.option("--season", type=int, metavar="N", help="Values in a season, 1 for none  [default: by the dates]")
@click.option("--steps", type=int, metavar="N", help="Values that the network looks back on  [default: by the season]")
@click.option("--layers", default="gru:24", show_default=True, metavar="LIST", help="Hidden layers.")
@click.option("--epochs", type=click.IntRange(min=1), default=200, show_default=True, help="Passes, at the most.")
@click.option("--learning-rate", "--lr", "rate", type=float, default=0.005, show_default=True, metavar="RATE")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance.")
@click.option("--threads", type=int, metavar="N", help="CPU threads  [default: all cores]")
@json_option
def command(**options):
    """Forecast a series from a table of your own: one step and many steps ahead.

    The first 70 % of the values teach the network, the next 10 % say when to stop, the last 20 % test it against two
    forecasts that cost nothing: the last value again (naive), and the last season again (seasonal naive). MASE tells how
    large an error is in units of what repeating the last season misses: below 1 is better than that.

    \b
    nbdl forecast --csv sales.csv --column sold
    nbdl forecast --csv power.csv --column load --date time --horizon 48 --season 24
    """
    from nbdl_cli.forecast import Forecast

    Forecast(**options).go()
