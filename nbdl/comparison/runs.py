"""One run: a contender from one seed, and how it ended. This is all that a worker process needs to know."""

import hashlib
import json
import math
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nbdl.comparison.contenders import Contender
from nbdl.comparison.problem import Problem
from nbdl.errors import NbdlError
from nbdl.evaluation import Evaluation
from nbdl.history import Epoch, History
from nbdl.losses import loss
from nbdl.model import Sequential
from nbdl.program import Announce
from nbdl.training import Budget, Diverged, Step, Training, set_threads

LOST = ("nonfinite", "blow-up", "timeout", "error")  # such a run has no result: its loss counts as infinite
FAILURES = (*LOST, "stalled")  # a stalled run came to its end and is judged by what it reached
TIMINGS = ("seconds", "compile_seconds", "wall_seconds", "contended")  # what may differ when a run is repeated
BLIND = 0.99  # a loss above this share of the best answer that ignores the inputs is no learning


@dataclass(frozen=True)
class Run:
    """A contender with a learning rate, a seed, and whether the test samples may be looked at when it is over."""

    contender: Contender
    seed: int
    tested: bool

    def key(self, identity: str) -> str:
        """What the ledger knows it by; `identity` stands for the problem and the version."""
        about = [self.contender.as_data(), self.seed, self.tested, identity]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its epochs on every clock, and its test, or how it failed and at which update.

    `samples` are there to learn from, so many are one epoch. `seconds` are of training only, `compile_seconds` of getting
    kernels ready, `wall_seconds` of everything. `contended` says that other runs shared the machine, so that its seconds
    are longer than they need be.
    """

    run: Run
    epochs: list[Epoch] = field(default_factory=list)
    updates: int = 0
    examples: int = 0
    samples: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    wall_seconds: float = 0.0
    contended: bool = False
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_r2: float | None = None
    failure: str | None = None
    failure_update: int | None = None
    message: str | None = None

    @property
    def passes(self) -> float:
        """Epochs in examples: 0.5 where the run saw half of the samples."""
        return self.examples / max(1, self.samples)

    @property
    def lost(self) -> bool:
        return self.failure in LOST

    @property
    def validation_score(self) -> float:
        """Accuracy or R² on validation at the end; minus infinity for a lost run."""
        return -math.inf if self.lost or not self.epochs else score(self.epochs[-1])

    @property
    def validation_loss(self) -> float:
        at_end = None if self.lost or not self.epochs else self.epochs[-1].validation_loss
        return math.inf if at_end is None else at_end

    @property
    def test_score(self) -> float:
        """Accuracy or R² on the test samples; minus infinity for a lost run."""
        found = self.test_accuracy if self.test_accuracy is not None else self.test_r2
        return -math.inf if self.lost or found is None else found

    def as_data(self) -> dict[str, Any]:
        """Plain data that `Outcome.from_data` takes back."""
        run = {"contender": self.run.contender.as_data(), "seed": self.run.seed, "tested": self.run.tested}
        return {**run, **{name: value for name, value in asdict(self).items() if name != "run"}}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Outcome":
        data = dict(data)
        run = Run(Contender.from_data(data.pop("contender")), data.pop("seed"), data.pop("tested"))
        epochs = [Epoch(**epoch) for epoch in data.pop("epochs")]
        return cls(run, epochs, **data)


def score(epoch: Epoch) -> float:
    """Accuracy or R² on validation, of which larger is better."""
    found = epoch.validation_accuracy if epoch.validation_accuracy is not None else epoch.validation_r2
    return -math.inf if found is None or math.isnan(found) else found


def untimed(run: dict[str, Any]) -> dict[str, Any]:
    """The data of an outcome without what may differ when its run is repeated."""
    epochs = [{name: v for name, v in epoch.items() if name != "seconds"} for epoch in run["epochs"]]
    return {**{name: value for name, value in run.items() if name not in TIMINGS}, "epochs": epochs}


_alone = threading.Lock()  # one run at a time in a process: a Dask worker may have several threads
_problems: dict[str, Problem] = {}
_warm: set[tuple] = set()


def execute(
    run: Run, digest: str, problem: Problem | None, threads: int | None, contended: bool, announce: Announce = None
) -> Outcome | None:
    """Do one run in this process. None says: I do not have that problem yet, send it along.

    So the data travel once to each worker, whatever kind of executor it belongs to. Whatever goes wrong inside the run is
    an outcome of kind `error`, not an exception.
    """
    with _alone:
        if problem is not None:
            _problems.clear()
            _problems[digest] = problem
        if digest not in _problems:
            return None
        if threads is not None:
            set_threads(min(threads, _most_threads()))
        start = time.perf_counter()
        try:
            outcome = _Attempt(_problems[digest], run, announce).outcome()
        except Exception as error:
            outcome = Outcome(run, failure="error", failure_update=0, message=_said(error))
        return replace(outcome, contended=contended, wall_seconds=time.perf_counter() - start)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, NbdlError) else f"{type(error).__name__}: {error}"


def _most_threads() -> int:
    import numba

    return int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009  not in its type stubs


class _Attempt:
    def __init__(self, problem: Problem, run: Run, announce: Announce):
        from nbdl.kernel import compilations

        self.problem, self.run, self.announce = problem, run, announce
        before = len(compilations)
        self.learn, self.check = problem.split(run.seed)
        self.model = Sequential(problem.layers, problem.input_shape, seed=run.seed)
        self.training = self._training(problem.budget)
        self.validation = self._evaluation(self.check) if len(self.check) else None
        self.test = self._evaluation(problem.test) if run.tested and len(problem.test) else None
        self._warm_up()
        self.compile_seconds = sum(c.seconds for c in compilations[before:])

    def _training(self, budget: Budget) -> Training:
        p, contender = self.problem, self.run.contender
        return Training(
            self.model,
            self.learn,
            loss(p.loss),
            contender.optimizer,
            batch=contender.batch,
            budget=budget,
            schedule=contender.schedule,
            clip=p.clip,
            seed=self.run.seed,
            backend=p.backend,
            announce=self.announce,
        )

    def _evaluation(self, data) -> Evaluation:
        return Evaluation(
            self.model, data, loss(self.problem.loss), backend=self.problem.backend, announce=self.announce
        )

    def _warm_up(self) -> None:
        """Two updates that do not count, once for each kind of step: machine code runs slower the first time."""
        kind = (self.problem.digest, self.run.contender.batch, self.run.contender.optimizer.name)
        if kind in _warm:
            return
        _warm.add(kind)
        try:
            for _ in self._training(Budget(updates=2)).steps():
                pass
        except Diverged:
            pass
        if self.validation is not None:
            self.validation.run()
        self.model.initialize(self.run.seed)
        self.training.send()

    def outcome(self) -> Outcome:
        training, history = self.training, History()
        end: dict[str, Any] = {}
        try:
            end = self._train(history)
            if not end:
                training.fetch()
                end = self._judge(history)
        except Diverged as error:
            end = {"failure": error.kind, "failure_update": error.update}
        except Exception as error:
            message = _said(error)
            end = {"failure": "error", "failure_update": training.updates, "message": message}
        return Outcome(
            self.run,
            history.epochs,
            training.updates,
            training.examples,
            len(self.learn),
            training.seconds,
            self.compile_seconds,
            **end,
        )

    def _train(self, history: History) -> dict[str, Any]:
        limit, start = self.problem.timeout, time.perf_counter()
        late = False

        def tick(step: Step) -> bool:
            nonlocal late
            late = limit is not None and time.perf_counter() - start > limit
            return late

        for epoch in history.record(self.training, self.validation, tick if limit is not None else None):
            if epoch.validation_loss is not None and not math.isfinite(epoch.validation_loss):
                history.epochs.pop()
                return {"failure": "nonfinite", "failure_update": epoch.updates}
        return {"failure": "timeout", "failure_update": self.training.updates} if late else {}

    def _judge(self, history: History) -> dict[str, Any]:
        """The test, and whether the second half of the run was any better than not looking at the inputs."""
        found: dict[str, Any] = {}
        if self.test is not None:
            result = self.test.run()
            found = {"test_loss": result.loss, "test_accuracy": result.accuracy, "test_r2": result.r2}
        half, least = self.training.updates / 2, BLIND * self.problem.blind_loss
        second = [epoch for epoch in history.epochs if epoch.updates >= half]
        if second and all(epoch.validation_loss is not None and epoch.validation_loss >= least for epoch in second):
            found |= {"failure": "stalled", "failure_update": second[0].updates}
        return found
