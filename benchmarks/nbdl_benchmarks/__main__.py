"""python -m nbdl_benchmarks training | kernels | allocations"""

import json
import os
from importlib.util import find_spec

import click
from rich.console import Console

from nbdl.errors import NbdlError
from nbdl.files import write_atomically

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PEERS = {"torch": "torch", "jax": "jax", "jax-scan": "jax", "sklearn": "sklearn"}


@click.group()
def group() -> None:
    """Time nbdl beside its peers. They come with: pip install 'nbdl[peers]'."""


_threads = click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
_rounds = click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True)
_json = click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write all numbers to this file.")


def hold(threads: int) -> None:
    """Keep this process, and every library it is about to import, to so many threads on as many cores."""
    for name in THREADS:
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _keep(document: dict, json_file: str | None) -> None:
    if json_file:
        write_atomically(json_file, json.dumps(document, indent=1).encode())


@group.command()
@_threads
@_rounds
@_json
@click.option("--data", type=click.Choice(["random", "mnist"]), default="random", show_default=True)
@click.option("--peers", default=",".join(PEERS), show_default=True)
def training(threads: int, rounds: int, json_file: str | None, data: str, peers: str) -> None:
    """A full training step: gather, forward, backward, update."""
    from nbdl_benchmarks.training import run

    console, wanted = Console(width=110), [name for name in peers.split(",") if name]
    for name in wanted:
        if name not in PEERS:
            raise click.UsageError(f"peer {name!r} is unknown; choose from {', '.join(PEERS)}.")
        if find_spec(PEERS[name]) is None:
            console.print(f"{name} is not installed: pip install 'nbdl[peers]'")
    _keep(run([n for n in wanted if find_spec(PEERS[n])], threads, rounds, data, console), json_file)


@group.command()
@_threads
@_rounds
@_json
def kernels(threads: int, rounds: int, json_file: str | None) -> None:
    """Matrix products, as shares of this machine's measured peak."""
    hold(threads)
    from nbdl_benchmarks.kernels import run

    _keep(run(threads, rounds, Console(width=110)), json_file)


@group.command()
@_json
def allocations(json_file: str | None) -> None:
    """What 1000 training steps leave in memory."""
    from nbdl_benchmarks.allocations import run

    _keep(run(Console(width=110)), json_file)


if __name__ == "__main__":
    try:
        group()
    except NbdlError as error:
        raise SystemExit(f"error: {error}") from None
