"""Contenders in processes of their own, asked in turn: A B C, A B C, ...

A shared machine drifts by tens of per cent from one second to the next. Asked in turn, all contenders meet the same
drift, and the ratio within a round is what counts. A worker that waits is stopped (SIGSTOP), so that its spinning threads
cannot take cores from the one that is being timed. Each OpenMP thread, PyTorch's and ours, is held to a core of its own:
without that a process that goes on after a stop can have two of them take turns on one core for seconds. In all else every
library keeps its own defaults.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.kernels.peak import fma_peak
from nbdl_benchmarks import cores

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_CORE_EACH = {"OMP_PLACES": "threads", "OMP_PROC_BIND": "true"}


@dataclass(frozen=True)
class Contender:
    """One way to do the work: `run(steps)` does so many more steps, `result()` gives the arrays they have led to."""

    name: str
    version: str
    run: Callable[[int], Any]
    result: Callable[[], list[np.ndarray]]


class Worker:
    """A process of its own that builds one contender, `module:function(*arguments)`, and answers questions about it."""

    def __init__(self, builder: str, arguments: Sequence[Any], threads: int):
        environment = {**os.environ, **ONE_CORE_EACH, **{name: str(threads) for name in THREADS}}
        environment["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
        environment["JAX_PLATFORMS"] = "cpu"
        self._builder, self._errors = builder, tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbdl_benchmarks.worker", builder, json.dumps(arguments), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        try:
            about = self._answer()
        except BaseException:
            self.close()
            raise
        self.name, self.version = about["name"], about["version"]
        self._signal(signal.SIGSTOP)

    def run(self, steps: int) -> tuple[float, float]:
        """Seconds that so many steps took, and the seconds that all its threads worked for it."""
        answer = self._ask(run=steps)
        return answer["seconds"], answer["worked"]

    def result(self) -> np.ndarray:
        """All numbers that the steps have led to so far."""
        return np.array(self._ask(result=True)["result"])

    def _ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin
        self._signal(signal.SIGCONT)
        with suppress(BrokenPipeError):  # it has ended; what it said on the way out comes with the missing answer
            print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self._answer()
        self._signal(signal.SIGSTOP)
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().rsplit("\n", 1)[-1]
            raise NbdlError(f"the process of {self._builder} ended before it answered: {last or 'it said nothing'}")
        answer = json.loads(line)
        if "error" in answer:
            raise NbdlError(answer["error"])
        return answer

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            assert stream
            with suppress(BrokenPipeError):  # a question that nobody will read
                stream.close()


@dataclass
class Timing:
    """Seconds a step of one contender, one number a round."""

    name: str
    version: str
    seconds: list[float] = field(default_factory=list)

    @property
    def quartiles(self) -> tuple[float, float, float]:
        return quartiles(self.seconds)

    def times(self, other: "Timing") -> tuple[float, float, float]:
        """How many times the other's time this one took, round by round: quartiles."""
        return quartiles(np.array(self.seconds) / np.array(other.seconds))


@dataclass
class Comparison:
    """The timings of all contenders, and of each round what the cores could do, as their clock drifts too.

    `others` is the share of the cores that other processes took; `peaks` the operations a second of all threads at once, and
    `together` the same as a share of what each does alone: one half where two are the two threads of one core.
    """

    timings: list[Timing]
    others: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


def quartiles(values: Any) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def compare(
    contenders: Sequence[tuple[str, Sequence[Any]]],
    *,
    threads: int,
    rounds: int,
    seconds: float,
    warm_up: int,
    tolerance: float,
) -> Comparison:
    """Start all contenders, hold their results against the first one's, and time them in turn.

    Each turn takes about `seconds`; before every round the peak is measured. Raises NbdlError when after `warm_up` steps
    a result is further than `tolerance`, as a share, from the first contender's: to compare different computations is
    worthless.
    """
    fma_peak(1)  # compiled before there is anything to time, or to interrupt
    with ExitStack() as running:
        running.enter_context(cores.claimed(threads))
        workers = []
        for builder, arguments in contenders:
            workers.append(Worker(builder, arguments, threads))
            running.callback(workers[-1].close)
        steps, first = [], None
        for worker in workers:
            worker.run(warm_up)
            result = worker.result()
            first = result if first is None else first
            _agree(worker.name, result, first, warm_up, tolerance)
            steps.append(max(1, round(warm_up * seconds / worker.run(warm_up)[0])))
        comparison = Comparison([Timing(worker.name, worker.version) for worker in workers])
        for worker, number in zip(workers, steps, strict=True):
            worker.run(number)
        for _ in range(rounds):
            comparison.peaks.append(fma_peak(threads))
            comparison.together.append(comparison.peaks[-1] / fma_peak(1) / threads)
            begun, busy, ours = time.perf_counter(), sum(cores.busy().values()), 0.0
            for worker, timing, number in zip(workers, comparison.timings, steps, strict=True):
                spent, worked = worker.run(number)
                timing.seconds.append(spent / number)
                ours += worked
            taken = sum(cores.busy().values()) - busy - ours
            comparison.others.append(max(0.0, taken / threads / (time.perf_counter() - begun)))
    return comparison


def _agree(name: str, result: np.ndarray, first: np.ndarray, steps: int, tolerance: float) -> None:
    if result.shape != first.shape:
        raise NbdlError(f"{name} computes something else: {result.size} numbers, where the others have {first.size}.")
    apart = float(np.linalg.norm(result - first) / np.linalg.norm(first))
    if not apart <= tolerance:
        raise NbdlError(f"{name} computes something else: after {steps} steps it is off by {apart:.1e} of it.")


def environment(threads: int) -> dict[str, Any]:
    """The machine on which the numbers are taken, and how busy it is."""
    from nbdl.kernels.tile import SIMD

    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "simd": SIMD,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "system": platform.platform(terse=True),
    }
