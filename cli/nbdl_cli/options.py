"""Options that several commands share, so that they read the same everywhere."""

from collections.abc import Callable

import click

METHODS = click.Choice(["stochastic", "mini-batch", "batch"])
BACKENDS = click.Choice(["auto", "numpy", "serial", "parallel", "cuda"])
OPTIMIZERS = click.Choice(["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
LOSSES = click.Choice(["softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"])


def _stack(*options: Callable) -> Callable:
    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


data_options = _stack(
    click.option(
        "--dataset", metavar="NAME|FILE", help="Data to learn from: a name, or a .csv, .npz, idx or .txt file."
    ),
    click.option("--label", metavar="COLUMN", help="Column of a .csv file to predict  [default: the last]"),
    click.option("--test", metavar="FILE", help="File with the test samples  [default: a part of the data]"),
)
model_options = _stack(
    click.option("--layers", metavar="LIST", help="Hidden layers, such as 128,relu,dropout:0.2,64,relu"),
    click.option("--loss", type=LOSSES, help="Cost function  [default: by the data]"),
)
budget_options = _stack(
    click.option("--epochs", type=int, metavar="N", help="Stop after N passes over the data."),
    click.option("--updates", type=int, metavar="N", help="Stop after N weight updates."),
    click.option("--examples", type=int, metavar="N", help="Stop after N examples."),
    click.option("--seconds", type=float, metavar="S", help="Stop after S seconds of training."),
)
optimizer_options = _stack(
    click.option("--optimizer", type=OPTIMIZERS, help="How a gradient becomes an update."),
    click.option("--momentum", type=float, metavar="M", help="Share of the velocity kept (momentum, nesterov)."),
    click.option("--weight-decay", type=float, metavar="D", help="Pull of the weights towards 0."),
    click.option("--clip", type=float, metavar="NORM", help="Longest gradient allowed."),
)
descent_options = _stack(
    optimizer_options,
    click.option(
        "--schedule", metavar="NAME", help="constant, step:EVERY:FACTOR, exponential, cosine, warmup, one-cycle"
    ),
)
method_options = _stack(
    click.option("--method", type=METHODS, help="How many examples an update: one, some, all."),
    click.option("--batch-size", "batch", metavar="N|full", help="Examples an update, instead of --method."),
)
machine_options = _stack(
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance."),
    click.option("--threads", type=int, metavar="N", help="CPU threads  [default: all cores]"),
    click.option("--backend", type=BACKENDS, default="auto", show_default=True, help="What runs the kernels."),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
