"""Small contenders, honest and otherwise, that the tests have built in worker processes."""

import os
import sys
import threading

import numpy as np

from nbdl.errors import NbdlError
from nbdl_benchmarks.harness import THREADS, Contender


def counting(step: float, name: str = "counting", numbers: int = 3) -> Contender:
    """Adds `step` to its numbers at every step."""
    total = np.zeros(numbers)

    def run(count: int) -> None:
        for _ in range(count):
            np.add(total, step, out=total)

    return Contender(name, "1", run, lambda: [total])


def talkative() -> Contender:
    """Prints where answers are expected, and more to stderr than a pipe would hold."""
    quiet = counting(1.0)

    def run(count: int) -> None:
        print("a library's banner")
        sys.stderr.write("warning\n" * 50_000)
        quiet.run(count)

    return Contender("talkative", "1", run, quiet.result)


def spinning() -> Contender:
    """Keeps a thread busy between its turns, as OpenMP does for a while."""
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
    return counting(1.0)


def settings() -> Contender:
    """Its result are the cores it may use and the thread counts that its libraries were told."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return Contender(
        "settings", "1", lambda count: None, lambda: [np.array([cores, *(int(os.environ[n]) for n in THREADS)])]
    )


def refusing() -> Contender:
    raise NbdlError("there is no such data.\nPut it there by hand.")


def failing() -> Contender:
    raise RuntimeError("not today")


def failing_later() -> Contender:
    def run(count: int) -> None:
        raise RuntimeError("not this time")

    return Contender("failing later", "1", run, lambda: [np.zeros(1)])


def faster_rate(net: str, batch: int, data: str) -> Contender:
    """nbdl with a learning rate 5 % too high."""
    from nbdl_benchmarks.peers import nbdl_training

    nbdl_training.RATE *= 1.05
    return nbdl_training.build(net, batch, data)


def reordered(net: str, batch: int, data: str) -> Contender:
    """nbdl on the same samples in another order."""
    from nbdl_benchmarks import work
    from nbdl_benchmarks.peers import nbdl_training

    def backwards(*arguments):
        made = work.make(*arguments)
        return work.Work(made.net, batch, made.inputs[::-1].copy(), made.targets[::-1].copy(), made.scale)

    nbdl_training.make = backwards
    return nbdl_training.build(net, batch, data)
