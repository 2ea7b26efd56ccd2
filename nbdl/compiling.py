"""Many kernels compiled at once: each in another process, into the disk cache, from which this process then loads them.

Numba compiles one function at a time in a process. On the first run of a machine a network of twenty kernels would keep one
core busy for half a minute and leave the others idle.
"""

import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nbdl.kernel import Compilation, Kernel, compilations, planned, registry
from nbdl.kernels import shared

FEWEST = 4  # kernels that are not yet there, from which on it is worth starting other processes
MOST = 8  # processes: each takes some 150 MB

Built = TypeVar("Built")

WORKER = "import sys; sys.path[:] = {path!r}; from nbdl.compiling import work; work()"


class Job(NamedTuple):
    """One thing to compile: a kernel's variant for some types or, without a variant, a block of shared machine code."""

    name: str
    variant: str
    types: Any  # of the arguments, or the element type of a block
    needs: tuple["Job", ...] = ()

    @property
    def title(self) -> tuple[str, str]:
        """How it is called where compilations are listed."""
        return (self.name, self.variant) if self.variant else (f"{self.name} tiles", self.types.name)

    @property
    def weight(self) -> int:
        """A guess at how long it takes: longer code does, and a parallel loop is a function of its own."""
        if not self.variant:
            return 0
        return len(registry[self.name].cpu.__code__.co_code) * (2 if self.variant == "parallel" else 1)


def at_once(build: Callable[[], Built], announce: Callable[[str], None] | None = None) -> Built:
    """build(), with the kernels that are bound in it compiled at once, if they are many and there are cores for them.

    Where kernels are missing it runs twice: the first time they are only noted, and what it gives is thrown away.
    Whatever goes wrong in the other processes is left to `Kernel.bind`, which compiles what it does not find.
    """
    count = min(MOST, _cores())
    if count < 2 or multiprocessing.parent_process() is not None or planned.get() is not None:
        return build()
    plan: list = []
    before = planned.set(plan)
    try:
        built, jobs = build(), _jobs(plan)
    finally:
        planned.reset(before)
    if not jobs:
        return built
    del built
    if len(jobs) >= FEWEST:
        _run(jobs, min(count, len(jobs)), announce or (lambda name: None))
    return build()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _jobs(plan: Sequence[tuple[Kernel, str, Any]]) -> list[Job]:
    """Blocks first, then kernels, the longest first."""
    blocks: dict[tuple[str, np.dtype], Job] = {}
    kernels: dict[tuple, Job] = {}
    for kernel, variant, types in plan:
        needs: list[Job] = []
        for element in kernel.elements(types):
            for name in shared.needed(kernel.blocks):
                if (name, element) in blocks or shared.is_missing(name, element):
                    everywhere = () if name in shared.needed(()) else tuple(job for job in needs if not job.needs)
                    needs.append(blocks.setdefault((name, element), Job(name, "", element, everywhere)))
        kernels[kernel.name, variant, types] = Job(kernel.name, variant, types, tuple(needs))
    return [*blocks.values(), *sorted(kernels.values(), key=lambda job: -job.weight)]


def _run(jobs: list[Job], count: int, announce: Callable[[str], None]) -> None:
    start, left, done = time.perf_counter(), list(jobs), set[Job]()
    total, found = len(jobs), list[tuple[Job, float]]()
    changed, events = threading.Condition(), queue.SimpleQueue[str | None]()
    workers: list[subprocess.Popen] = []

    def following() -> Job | None:
        """The next job whose blocks are there, as soon as there is one."""
        with changed:
            while left:
                for job in left:
                    if done.issuperset(job.needs):
                        left.remove(job)
                        return job
                changed.wait()
            return None

    def feed(worker: Any) -> None:
        try:
            while (job := following()) is not None:
                events.put("{} ({})".format(*job.title))
                try:
                    pickle.dump(job._replace(needs=()), worker.stdin)
                    worker.stdin.flush()
                    found.append((job, pickle.load(worker.stdout)))
                finally:
                    with changed:
                        done.add(job)
                        changed.notify_all()
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            pass  # this worker is gone; what it should have compiled will be missed and compiled later
        finally:
            events.put(None)

    feeders: list[threading.Thread] = []
    try:
        for _ in range(count):
            workers.append(_start())
            feeders.append(threading.Thread(target=feed, args=[workers[-1]], daemon=True))
            feeders[-1].start()
        working, begun = count, 0
        while working:
            event = events.get()
            if event is None:
                working -= 1
            else:
                begun += 1
                announce(f"{event}, {begun} of {total}")
    except OSError:
        pass  # no process can be started here
    finally:
        with changed:
            left.clear()
            changed.notify_all()
        for worker in workers:
            worker.kill()
        for feeder in feeders:
            feeder.join()
        for worker in workers:
            worker.communicate()
    # They overlap: what is recorded adds up to the time that passed.
    share = (time.perf_counter() - start) / max(sum(seconds for _, seconds in found), 1e-9)
    compilations.extend(Compilation(*job.title, seconds * share, False) for job, seconds in found)


def _start() -> subprocess.Popen:
    """A process that compiles what it is told, from the very files of this one: the cache goes by their paths."""
    pipe, code = subprocess.PIPE, WORKER.format(path=[path or os.getcwd() for path in sys.path])
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def work() -> None:
    """What such a process does: compile what it is told, one job after the other, until its input ends."""
    import nbdl.kernels  # noqa: F401  registers every kernel

    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        start = time.perf_counter()
        if job.variant:
            registry[job.name].compiled(job.variant, job.types)
        else:
            everywhere = shared.needed(())
            shared.publish(job.types, [job.name] if job.name in everywhere else [*everywhere, job.name])
        pickle.dump(time.perf_counter() - start, replies)
        replies.flush()
