"""One `nbdl compare-optimizers` from start to end: plan, run, remember, report."""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from nbdl.errors import NbdlError
from nbdl_cli.comparison import export, plan
from nbdl_cli.comparison.charts import charts
from nbdl_cli.comparison.sheets import NARROW, sheets
from nbdl_cli.experiment import environment

if TYPE_CHECKING:
    from nbdl.comparison import Comparison, Workers
    from nbdl_cli.comparison.live import Screen

RETRIED = ("error", "timeout")  # the failures that may turn out otherwise; the others would only be repeated


class Flow:
    """The state of one command; `go` does everything."""

    def __init__(
        self,
        options: dict[str, Any],
        *,
        spec_file: str | None,
        from_file: str | None,
        jobs: int,
        executor: str | None,
        threads: int | None,
        ledger: str | None,
        fresh: bool,
        retry_failed: bool,
        exports: tuple[str, ...],
        as_json: bool,
    ):
        from nbdl_cli import console

        self.options, self.spec_file, self.from_file = options, spec_file, from_file
        self.jobs, self.executor, self.ledger_path, self.fresh = jobs, executor, ledger, fresh
        self.again = RETRIED if retry_failed else ()
        self.exports, self.as_json, self._threads_wanted = exports, as_json, threads
        self.out, self.err = console.out(), console.err()

    def go(self) -> None:
        from nbdl.comparison import Comparison, Ledger
        from nbdl.training import set_threads
        from nbdl_cli.comparison.live import Screen

        export.check(self.exports)
        self.threads = set_threads(self._threads_wanted)
        self.plan = self._plan()
        comparison = Comparison(self.plan.spec, self.plan.problem, self.again)
        workers, path = self._workers(), self._ledger_path(comparison)
        with Ledger(path, comparison.identity, self.fresh) as ledger:
            if ledger.torn and not self.as_json:
                self.err.print(
                    f" torn lines of the ledger left out: {ledger.torn}; their runs are done again", style="dim"
                )
            screen = Screen(comparison, workers.slots, self.err, silent=self.as_json)
            try:
                with screen:
                    self._run(comparison, workers, ledger, screen)
            except (KeyboardInterrupt, NbdlError):
                done, (_, total) = ledger.on_disk(), screen.counts()
                again = "the same command" + " without --fresh" * self.fresh
                self.err.print(f"{done} of {total} runs are in {path}; {again} goes on from there", soft_wrap=True)
                raise
        if self.plan.repeats is not None and self.ledger_path is None:
            path.unlink()
        errors = [one.message for one in comparison.outcomes.values() if one.failure == "error"]
        if len(errors) == len(comparison.outcomes):
            raise NbdlError(f"every run ended in an error: {errors[0]} Do them anew with --retry-failed.")
        self._report(comparison, path)

    def _plan(self) -> plan.Plan:
        from nbdl_cli.download import progress

        with progress(None if self.as_json else self.err) as report:
            if self.from_file:
                return plan.from_json(self.from_file, report)
            if self.spec_file:
                return plan.from_toml(self.spec_file, report)
            return plan.from_options(self.options, report)

    def _workers(self) -> "Workers":
        from nbdl.comparison import workers

        self.announced: list = []
        if self.executor is not None:
            scheme, separator, place = self.executor.partition("://")
            if scheme != "dask" or not separator or not place:
                raise NbdlError(f"--executor {self.executor!r}: expected dask://HOST:PORT.")
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # tells of lost workers in tracebacks
            return workers.dask(f"tcp://{place}", self._threads_wanted)
        if self.jobs > 1:
            return workers.processes(self.jobs, self.threads, script=False)

        def announce(kernel: str) -> None:
            for tell in self.announced:
                tell(kernel)

        return workers.inline(self.threads, announce)

    def _ledger_path(self, comparison: "Comparison") -> Path:
        """As given, or a file in the cache that belongs to this experiment alone."""
        if self.ledger_path:
            return Path(self.ledger_path)
        from nbdl_datasets import cache_folder

        known = json.dumps(comparison.identity, sort_keys=True).encode()
        again = "-again" if self.plan.repeats is not None else ""
        return cache_folder() / "comparisons" / f"{hashlib.sha256(known).hexdigest()[:16]}{again}.jsonl"

    def _run(self, comparison: "Comparison", workers: "Workers", ledger, screen: "Screen") -> None:
        self.announced.append(screen.announce)
        for outcome in comparison.run(workers, ledger):
            screen(outcome)

    # -- after -----------------------------------------------------------------------------------------------------

    def _report(self, comparison: "Comparison", path: Path) -> None:
        from nbdl_cli.console import emit_json

        jobs = f"Dask at {self.executor[7:]}" if self.executor else f"{self.jobs} job{'s' * (self.jobs > 1)}"
        machine = {
            **environment(self.threads, self.plan.experiment.backend),
            "cores": os.cpu_count(),
            "jobs": jobs,
            "contended": any(s.contended for s in comparison.summaries),
        }
        experiment = self.plan.experiment.summary()
        for name in ("method", "batch", "optimizer", "schedule", "seed", "budget"):
            experiment.pop(name)
        document = export.document(comparison, experiment, machine)
        for name in self.exports:
            export.write(name, comparison, document)
        if self.as_json:
            emit_json(document)
            return
        self._draw(comparison, document)
        out = self.out
        if comparison.repeated:
            of = f"{comparison.repeated} of {len(comparison.outcomes)} runs"
            out.print(f" {of} were in {path} already (--fresh does them anew)", style="dim", soft_wrap=True)
        for name in self.exports:
            out.print(f" wrote {name}", style="dim", soft_wrap=True)
        if self.plan.repeats is not None:
            self._compare_with_before(out, document)

    def _draw(self, comparison: "Comparison", document: dict[str, Any]) -> None:
        out = self.out
        out.print(Text(export.title(comparison), style="bold"))
        for fact in export._facts(comparison, document)[:2]:
            out.print(Text(f" {fact}"))
        out.print(
            Text(" seed by seed the same split, first weights and shuffles for all", style="dim"),
        )
        for sheet in sheets(comparison, out.width >= NARROW):
            out.print()
            out.print(sheet.rich(out.width))
        for chart in charts(comparison):
            out.print()
            out.print(chart.plot())
        out.print()
        for sentence in document["verdict"]:
            out.print(Text.assemble((" ● ", "green"), sentence))

    def _compare_with_before(self, out: Console, document: dict[str, Any]) -> None:
        """Whether a repetition gave the same numbers as the document that it repeats."""
        from nbdl.comparison.runs import untimed
        from nbdl_cli.console import plain

        before = self.plan.repeats
        assert before is not None
        if before["version"] != document["version"]:
            out.print(f" repeated with nbdl {document['version']}, where it was {before['version']}", style="dim")
        old = [untimed(run) for run in before["runs"]]
        new = [untimed(run) for run in plain(document["runs"])]
        other = sum(a != b for a, b in zip(old, new, strict=False)) + abs(len(old) - len(new))
        if not other:
            out.print(f" repeated: all {len(new)} runs gave the same numbers, timings aside", style="green")
        elif "seconds" in document["spec"]["budget"]:
            out.print(" repeated: with a budget of seconds no two runs take the same number of updates", style="dim")
        else:
            out.print(
                f" repeated: {other} of {len(new)} runs gave other numbers than in {self.from_file}", style="yellow"
            )
