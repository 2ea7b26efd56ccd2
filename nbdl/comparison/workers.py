"""Where runs are done: in this process, in processes beside it, or on a Dask cluster. All are concurrent.futures."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from nbdl.errors import NbdlError
from nbdl.program import Announce

PATIENCE = 10  # seconds that a Dask scheduler has to answer


@dataclass(frozen=True)
class Workers:
    """How to start an executor and how to stop one at once; how many runs it takes at a time and their threads.

    `start` is called again after a worker was lost. `contended` says that runs share a machine.
    """

    start: Callable[[], Executor]
    stop: Callable[[Any], None]
    slots: int
    threads: int | None
    contended: bool


class Inline(Executor):
    """Runs a task when it is submitted, in this process."""

    def __init__(self, announce: Announce = None):
        self._announce = announce

    def submit(self, function, /, *arguments, **options) -> Future:
        future: Future = Future()
        future.set_result(function(*arguments, **options, announce=self._announce))
        return future


def inline(threads: int | None = None, announce: Announce = None) -> Workers:
    """One run after the other in this process: the seconds of a run are its own."""
    return Workers(lambda: Inline(announce), lambda executor: None, 1, threads, False)


def processes(jobs: int, threads: int, *, script: bool = True) -> Workers:
    """`jobs` processes that share `threads` threads evenly, at least one each.

    `script` says that they import the script that Python was started with, where layers of your own may be defined. It
    must then start nothing by itself: see `if __name__ == "__main__"`.
    """

    def start() -> Executor:
        return _Processes(jobs, script)

    return Workers(start, _stop_processes, jobs, max(1, threads // jobs), jobs > 1)


class _Processes(ProcessPoolExecutor):
    def __init__(self, jobs: int, script: bool):
        # Spawned, not forked: a process that has started OpenMP threads must not be forked.
        context = multiprocessing.get_context("spawn")
        super().__init__(jobs, mp_context=context, initializer=_begin, initargs=(os.getpid(),))
        self._script = script

    def submit(self, function, /, *arguments, **options) -> Future:
        if self._script:
            return super().submit(function, *arguments, **options)
        # A spawned process imports again whatever is __main__ here, so for the moment nothing is.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return super().submit(function, *arguments, **options)
        finally:
            sys.modules["__main__"] = main


def _begin(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.3)
    os._exit(1)


def _stop_processes(executor: ProcessPoolExecutor) -> None:
    """End the workers in the middle of their runs; `shutdown` would wait for them."""
    working = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in working:
        with suppress(OSError, ValueError):
            process.kill()


def dask(address: str, threads: int | None = None) -> Workers:
    """The workers of the Dask scheduler at `tcp://host:port`, through the executor of `distributed`.

    `threads` are those of each run; None means as many as a worker has.
    """
    try:
        from distributed import Client
    except ImportError:
        raise NbdlError("a Dask executor needs `distributed`; install it with: pip install 'nbdl[dask]'") from None

    def client() -> Any:
        try:
            return Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error).split("\n")[0][:200]
            raise NbdlError(f"no Dask scheduler answers at {address} ({reason}); is it running?") from None

    def start() -> Executor:
        connected = client()
        executor = connected.get_executor(pure=False)
        executor.connected = connected
        return executor

    def stop(executor: Any) -> None:
        with suppress(Exception):
            executor.shutdown(wait=False)
        with suppress(Exception):
            executor.connected.close(timeout=2)

    first = client()
    try:
        workers = first.scheduler_info(n_workers=-1)["workers"].values()
    finally:
        first.close()
    if not workers:
        raise NbdlError(f"the Dask scheduler at {address} has no workers; start one with: dask worker {address}")
    # A process does one run at a time, with all the threads that its worker was given.
    share = threads or min(worker["nthreads"] for worker in workers)
    return Workers(start, stop, len(workers), share, len(workers) > 1)
