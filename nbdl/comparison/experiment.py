"""The protocol: tune every contender on validation, then run it from fresh seeds, and test it once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import nbdl
from nbdl.comparison import statistics, tuning
from nbdl.comparison.contenders import Contender
from nbdl.comparison.engine import Engine
from nbdl.comparison.ledger import Ledger
from nbdl.comparison.problem import Problem
from nbdl.comparison.runs import Outcome, Run
from nbdl.comparison.spec import Spec
from nbdl.comparison.statistics import Pair, Reach, Summary
from nbdl.comparison.tuning import Sensitivity
from nbdl.comparison.workers import Workers


def version() -> str:
    """The version with a digest of the library's source: other code may give other numbers."""
    digest, root = sha256(), Path(nbdl.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{nbdl.__version__}+{digest.hexdigest()[:8]}"


@dataclass
class Comparison:
    """An experiment under way: its runs so far, those that are known to follow, and what they say.

    `again` holds kinds of failure whose runs are done anew although the ledger has them.
    """

    spec: Spec
    problem: Problem
    again: tuple[str, ...] = ()
    outcomes: dict[Run, Outcome] = field(default_factory=dict)
    repeated: int = 0  # runs that the ledger knew already

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a ledger must agree with: the spec, the data and the version; not the target, which changes no run."""
        about = {name: value for name, value in self.spec.as_data().items() if name != "target"}
        return {**about, "problem": self.problem.digest, "version": version()}

    def tuning_runs(self, contender: Contender) -> list[Run]:
        """The runs of the grid so far, with the rates beyond its edges that the results have asked for."""
        if not contender.tune:
            return []
        runs = [Run(contender.at(rate), seed, False) for seed in self.spec.tuning_seeds for rate in self.spec.rates]
        while all(run in self.outcomes for run in runs):
            found = tuning.sensitivity([self.outcomes[run] for run in runs])
            rate = tuning.next_rate(found, self.spec.rates)
            if rate is None:
                break
            runs += [Run(contender.at(rate), seed, False) for seed in self.spec.tuning_seeds]
        return runs

    def reported_runs(self, contender: Contender) -> list[Run]:
        """The runs from fresh seeds; none before the tuning is over."""
        if contender.tune:
            runs = self.tuning_runs(contender)
            if any(run not in self.outcomes for run in runs):
                return []
            contender = contender.at(self.sensitivities[contender].best.rate)
        return [Run(contender, seed, True) for seed in self.spec.seeds]

    @property
    def todo(self) -> list[Run]:
        """The runs that can be done now: seed by seed, so that the table fills evenly."""
        known = [
            run
            for contender in self.spec.contenders
            for run in (*self.tuning_runs(contender), *self.reported_runs(contender))
        ]
        return sorted((run for run in known if run not in self.outcomes), key=lambda run: (run.tested, run.seed))

    def expected(self, contender: Contender) -> int:
        """How many runs this contender takes, as far as one can know now."""
        return len(self.tuning_runs(contender)) + len(self.spec.seeds)

    def run(self, workers: Workers, ledger: Ledger | None = None) -> Iterator[Outcome]:
        """Do what is left, and yield each outcome when it is in the ledger."""
        identity = sha256(f"{self.problem.digest} {version()}".encode()).hexdigest()

        def recall() -> None:
            """Take what the ledger knows. What is found may settle the tuning and so name further runs."""
            while ledger is not None:
                kept = [(run, ledger.outcomes.get(run.key(identity))) for run in self.todo]
                found = {run: one for run, one in kept if one is not None and one.failure not in self.again}
                if not found:
                    return
                self.outcomes.update(found)
                self.repeated += len(found)

        recall()
        with Engine(self.problem, workers) as engine:
            while todo := self.todo:
                for outcome in engine.perform(todo):
                    if ledger is not None:
                        ledger.keep(outcome.run.key(identity), outcome)
                    self.outcomes[outcome.run] = outcome
                    yield outcome
                recall()

    # -- what came out ---------------------------------------------------------------------------------------------

    @property
    def sensitivities(self) -> dict[Contender, Sensitivity]:
        """The tuning of each contender that is tuned, as far as it has come."""
        found = {}
        for contender in self.spec.contenders:
            done = [self.outcomes[run] for run in self.tuning_runs(contender) if run in self.outcomes]
            if done:
                found[contender] = tuning.sensitivity(done)
        return found

    def reported(self, contender: Contender) -> list[Outcome]:
        """The tested runs of a contender, in the order of their seeds."""
        return [self.outcomes[run] for run in self.reported_runs(contender) if run in self.outcomes]

    @cached_property
    def groups(self) -> list[list[Outcome]]:
        """The tested runs of all contenders, once all is done."""
        return [self.reported(contender) for contender in self.spec.contenders]

    @cached_property
    def summaries(self) -> list[Summary]:
        found = []
        for contender, group in zip(self.spec.contenders, self.groups, strict=True):
            runs = [*self.tuning_runs(contender), *self.reported_runs(contender)]
            found.append(statistics.summarize(group, sum(self.outcomes[run].compile_seconds for run in runs)))
        return found

    @cached_property
    def best(self) -> int:
        """Which contender has the best median on the test samples."""
        return min(range(len(self.summaries)), key=lambda n: self.summaries[n].rank)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The best contender against each of the others, in their order."""
        best = self.groups[self.best]
        return [statistics.pair(best, group) for n, group in enumerate(self.groups) if n != self.best]

    @cached_property
    def target(self) -> float:
        """The score to reach: as given, or the median that the best baseline (plain sgd, if there is one) ends with."""
        if self.spec.target != "auto":
            return float(self.spec.target)
        baselines = [s for s in self.summaries if s.contender.optimizer.name == "sgd"] or self.summaries
        return max(s.validation[1] for s in baselines)

    @cached_property
    def reaches(self) -> list[Reach]:
        return [statistics.reach(group, self.target) for group in self.groups]
