"""Runs done on whatever workers there are: each once, each remembered, a lost worker's again."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

from nbdl.comparison.problem import Problem
from nbdl.comparison.runs import Outcome, Run, execute
from nbdl.comparison.workers import Workers
from nbdl.errors import NbdlError

TRIES = 3  # workers that a run may lose before it is its own fault


class Engine:
    """Keeps one executor busy; use it in a `with`, so that no worker is left behind."""

    def __init__(self, problem: Problem, workers: Workers):
        self.problem, self.workers = problem, workers
        self._executor: Executor | None = None
        self._worked = False  # whether any run has ever come back

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def perform(self, runs: Sequence[Run]) -> Iterator[Outcome]:
        """Yield the outcomes as they come. Whichever worker does a run, and in whatever order, its numbers are the same."""
        waiting, suspects = deque(runs), deque[Run]()
        flying: dict[Future, Run] = {}
        losses: Counter[Run] = Counter()
        while waiting or suspects or flying:
            # After a loss those in the air then are done one at a time: so the run that takes its worker down is found.
            while not flying and suspects:
                self._submit(suspects.popleft(), flying)
            while waiting and not suspects and len(flying) < self.workers.slots:
                self._submit(waiting.popleft(), flying)
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                run = flying.pop(future, None)
                if run is None:
                    continue
                try:
                    outcome = future.result()
                except Exception as error:
                    lost = [run, *flying.values()]
                    flying.clear()
                    self._stop()
                    losses.update(lost)
                    for one in lost:
                        if losses[one] < TRIES:
                            suspects.append(one)
                        else:
                            yield self._given_up(one, error)
                    break
                if outcome is None:
                    self._submit(run, flying, self.problem)
                else:
                    self._worked = True
                    yield outcome

    def _submit(self, run: Run, flying: dict[Future, Run], problem: Problem | None = None) -> None:
        if self._executor is None:
            self._executor = self.workers.start()
        arguments = (run, self.problem.digest, problem, self.workers.threads, self.workers.contended)
        try:
            future = self._executor.submit(execute, *arguments)
        except Exception as error:  # the pool broke between two runs
            future = Future()
            future.set_exception(error)
        flying[future] = run

    def _stop(self) -> None:
        if self._executor is not None:
            self.workers.stop(self._executor)
            self._executor = None

    def _given_up(self, run: Run, error: Exception) -> Outcome:
        if not self._worked:
            raise NbdlError(f"no worker lives long enough to do a run: {type(error).__name__}: {error}") from error
        what: dict[str, Any] = {"failure": "error", "failure_update": 0}
        return Outcome(run, **what, message=f"{TRIES} workers were lost with it: {type(error).__name__}: {error}")
