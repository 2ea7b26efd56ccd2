"""Contenders in processes of their own, asked in turn: A B C, A B C, ...

A shared machine drifts by tens of per cent from one second to the next. Asked in turn, all contenders meet the same
drift, and the ratio within a round is what counts. A worker that waits is stopped (SIGSTOP), so that its spinning threads
cannot take cores from the one that is being timed.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbdl.errors import NbdlError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Worker:
    """A Python process that runs `module` with arguments and answers one JSON line for each line it is sent."""

    def __init__(self, name: str, arguments: Sequence[str], threads: int):
        environment = {**os.environ, **{name: str(threads) for name in THREADS}}
        environment["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
        environment["JAX_PLATFORMS"] = "cpu"
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbdl_benchmarks.worker", *arguments, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.about = self._answer()
        self._stop()

    def ask(self, **question: Any) -> dict[str, Any]:
        """Wake the worker, ask, wait for its answer and stop it again."""
        assert self.process.stdin
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self._stop()
        return answer

    def _stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout and self.process.stderr
        line = self.process.stdout.readline()
        if not line:
            last = self.process.stderr.read().strip().rsplit("\n", 1)[-1]
            raise NbdlError(f"the process of {self.name} ended: {last}")
        return json.loads(line)

    def close(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


@dataclass
class Timing:
    """Seconds a step of one contender, one number a round."""

    name: str
    version: str
    seconds: list[float] = field(default_factory=list)

    @property
    def quartiles(self) -> tuple[float, float, float]:
        low, middle, high = np.quantile(self.seconds, (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)

    def ratio(self, other: "Timing") -> tuple[float, float, float]:
        """How many times the other's time is ours, round by round: quartiles and median."""
        low, middle, high = np.quantile(np.array(other.seconds) / np.array(self.seconds), (0.25, 0.5, 0.75))
        return float(low), float(middle), float(high)


def rounds(workers: Sequence[Worker], steps: dict[str, int], count: int) -> list[Timing]:
    """Time all workers for `count` rounds, in turn, after one round that does not count."""
    timings = [Timing(worker.about["name"], worker.about["version"]) for worker in workers]
    for number in range(count + 1):
        for worker, timing in zip(workers, timings, strict=True):
            seconds = worker.ask(run=steps[timing.name])["seconds"]
            if number:
                timing.seconds.append(seconds / steps[timing.name])
    return timings


def environment(threads: int) -> dict[str, Any]:
    """The machine on which the numbers were taken."""
    import platform

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
        "simd": SIMD,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }
