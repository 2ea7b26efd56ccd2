"""python -m nbdl_benchmarks training | comparison | accuracy | kernels | convolutions | allocations"""

import json
import os
from importlib.util import find_spec

import click
from rich.console import Console

from nbdl.errors import NbdlError
from nbdl.files import write_atomically
from nbdl_benchmarks.cores import ALL

PEERS = ("torch", "torch-by-hand", "jax", "jax-scan", "sklearn")
CONVOLUTIONS = ("forward", "dX", "dW")
NETS = ("mlp", "xor", "lenet", "cifar", "simplernn", "lstm", "gru")


@click.group()
def group() -> None:
    """Time nbdl beside its peers. They come with: pip install 'nbdl[peers]'."""


_threads = click.option("--threads", type=click.IntRange(1, len(ALL)), default=min(2, len(ALL)), show_default=True)
_rounds = click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True)
_json = click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False),
    callback=lambda context, parameter, value: _writable(value),
    help="Write all numbers to this file.",
)


def _writable(json_file: str | None) -> str | None:
    """Refuse before the minutes of timing, and not after them, a file that cannot be written."""
    folder = os.path.dirname(json_file) or "." if json_file else "."
    if json_file and not os.access(folder, os.W_OK):
        raise click.BadParameter(f"{json_file} cannot be written: {folder} is not a folder that you may write to.")
    return json_file


def _installed(console: Console, name: str, module: str) -> bool:
    if find_spec(module) is None:
        console.print(f"{name} is not installed: pip install 'nbdl\\[peers]'")
        return False
    return True


def _keep(document: dict, json_file: str | None) -> None:
    if json_file:
        write_atomically(json_file, json.dumps(document, indent=1).encode())


@group.command()
@_threads
@_rounds
@_json
@click.option(
    "--net",
    type=click.Choice([*NETS, "all"]),
    default="all",
    show_default=True,
    help="Dense layers on MNIST's shape and on XOR, LeNet-5, four convolutions on CIFAR-10's shape, or a recurrent layer.",
)
@click.option(
    "--data",
    type=click.Choice(["random", "real"]),
    default="random",
    show_default=True,
    help="Bytes none of which is special, or MNIST (four pixels in five are 0) and CIFAR-10.",
)
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Those to time, comma-separated.")
def training(threads: int, rounds: int, json_file: str | None, net: str, data: str, peers: str) -> None:
    """A full training step: gather, forward, backward, update."""
    from nbdl_benchmarks.training import CASES, PEERS, run

    console, wanted = Console(highlight=False), [name for name in peers.split(",") if name]
    for name in wanted:
        if name not in PEERS:
            raise click.UsageError(f"peer {name!r} is unknown; choose from {', '.join(PEERS)}.")
    installed = [name for name in wanted if _installed(console, name, PEERS[name][1])]
    cases = [case for case in CASES if net in (case[0], "all")]
    _keep(run(installed, threads, rounds, data, console, cases), json_file)


@group.command()
@_threads
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Times that all is done.")
@_json
@click.option("--data", type=click.Choice(["random", "real"]), default="random", show_default=True, help="Or MNIST.")
@click.option("--rates", default="0.01,0.1", show_default=True, help="Learning rates of every method.")
@click.option("--epochs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--samples", type=click.IntRange(min=256), help="Of the data set  [default: all of them]")
def comparison(
    threads: int, rounds: int, json_file: str | None, data: str, rates: str, epochs: int, samples: int | None
) -> None:
    """Stochastic, mini-batch and batch descent: the same comparison done by nbdl and by torch."""
    from nbdl_benchmarks.comparison import run

    console = Console(highlight=False)
    try:
        numbers = [float(rate) for rate in rates.split(",")]
    except ValueError:
        raise click.UsageError(f"--rates {rates!r}: expected numbers with commas between them.") from None
    if _installed(console, "torch", "torch"):
        _keep(run(numbers, epochs, samples, threads, rounds, data, console), json_file)


@group.command()
@_threads
@_json
@click.option(
    "--target", type=click.FloatRange(0.1, 1), default=0.99, show_default=True, help="Share of the test digits."
)
@click.option("--epochs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
def accuracy(threads: int, json_file: str | None, target: float, epochs: int, seeds: int) -> None:
    """LeNet-5 on MNIST: seconds until 99 % of the test digits are read."""
    from nbdl_benchmarks.accuracy import run

    console = Console(highlight=False)
    if _installed(console, "torch", "torch"):
        _keep(run(target, epochs, seeds, threads, console), json_file)


@group.command()
@_threads
@_rounds
@_json
def kernels(threads: int, rounds: int, json_file: str | None) -> None:
    """Matrix products, as shares of this machine's measured peak."""
    from nbdl_benchmarks.kernels import run

    console = Console(highlight=False)
    _keep(run(_installed(console, "torch", "torch"), threads, rounds, console), json_file)


@group.command()
@_threads
@_rounds
@_json
@click.option(
    "--kernel", "kernels", type=click.Choice(CONVOLUTIONS), multiple=True, help="Only this one; may be repeated."
)
def convolutions(threads: int, rounds: int, json_file: str | None, kernels: tuple[str, ...]) -> None:
    """Forward, dX and dW of twenty convolutions."""
    from nbdl_benchmarks.convolutions import run

    console = Console(highlight=False)
    torch = _installed(console, "torch", "torch")
    _keep(run(torch, threads, rounds, console, kernels or CONVOLUTIONS), json_file)


@group.command()
@_json
def allocations(json_file: str | None) -> None:
    """What 1000 training steps leave in memory."""
    from nbdl_benchmarks.allocations import run

    _keep(run(Console(highlight=False)), json_file)


def main() -> None:
    """Run the command; exit codes as of nbdl: 0 fine, 1 an error, 2 wrong usage, 130 interrupted."""
    try:
        group(standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except NbdlError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
