"""One `nbdl train` from start to end: plan, compile, train, save, report."""

import json
import time
from contextlib import nullcontext
from dataclasses import asdict, fields
from typing import Any

import click

from nbdl.errors import NbdlError
from nbdl_cli.compiling import compiling
from nbdl_cli.experiment import Experiment, Wishes, environment, plan
from nbdl_cli.interrupt import Interruptible
from nbdl_cli.places import check_place

SAVE_EVERY = 10.0  # seconds between two saves of a long run
SCHEMA = "nbdl.train/1"


class Run:
    """The state of one command; `go` does everything."""

    def __init__(
        self,
        wishes: Wishes,
        *,
        threads: int | None,
        save: str | None,
        resume: str | None,
        log: str | None,
        as_json: bool,
        quiet: bool,
        profile: bool,
        patience: int | None,
    ):
        from nbdl_cli import console

        self.wishes, self.save, self.resume, self.log = wishes, save, resume, log
        self.as_json, self.quiet, self.profile, self.patience = as_json, quiet, profile, patience
        self._threads_wanted = threads
        self.out, self.err = console.out(), console.err()
        self.talks = not (as_json or quiet)
        self.status = None

    def go(self) -> None:
        from nbdl.history import History
        from nbdl.training import Diverged, set_threads

        checkpoint = self._read_checkpoint()
        self.threads = set_threads(self._threads_wanted)
        self._check_places()
        self.history = History.from_data(checkpoint.extra["history"]) if checkpoint else History()
        self.experiment = self._plan()
        self.model = self.experiment.model()
        if self.talks:
            from nbdl_cli import report

            self.out.print(report.header(self.experiment))
        self._prepare(checkpoint)
        self._log_line({"schema": SCHEMA, **self.experiment.summary()}, first=checkpoint is None)
        diverged = None
        with Interruptible() as interrupt:
            try:
                self._train(interrupt)
            except Diverged as error:
                diverged = error
        if interrupt.asked:
            self._stop_for_interrupt()
        if diverged is not None:
            self._report_diverged(diverged)
        self.training.fetch()
        if self.stopping is not None:
            self.stopping.restore(self.model)
            self.training.send()
        if self.save:
            self._save()
        self._report()

    # -- before ------------------------------------------------------------------------------------------------------

    def _read_checkpoint(self):
        if not self.resume:
            return None
        from nbdl import load_checkpoint

        checkpoint = load_checkpoint(self.resume)
        if "wishes" not in checkpoint.extra:
            raise NbdlError(f"{self.resume} was not written by `nbdl train --save`, so it cannot be resumed here.")
        kept = Wishes(**checkpoint.extra["wishes"])
        free = {"epochs", "updates", "examples", "seconds", "backend"}
        defaults = Wishes()
        changed = [
            field.name
            for field in fields(Wishes)
            if field.name not in free
            and getattr(self.wishes, field.name) not in (getattr(defaults, field.name), getattr(kept, field.name))
        ]
        if changed:
            raise NbdlError(
                f"a resumed run keeps its settings: leave out {', '.join(changed)}, or start anew without --resume."
            )
        budget = {n: getattr(self.wishes, n) for n in ("epochs", "updates", "examples", "seconds")}
        if all(value is None for value in budget.values()):
            budget = {name: getattr(kept, name) for name in budget}
        self.wishes = Wishes(**{**asdict(kept), **budget, "backend": self.wishes.backend})
        return checkpoint

    def _check_places(self) -> None:
        """Find out now, not after the training, that a file cannot be written."""
        check_place("--save", self.save)
        check_place("--log", self.log)

    def _plan(self) -> Experiment:
        from nbdl_cli.download import progress

        with progress(self.err if self.talks else None) as report:
            return plan(self.wishes, report)

    def _prepare(self, checkpoint) -> None:
        from nbdl import EarlyStopping
        from nbdl.compiling import at_once
        from nbdl.kernel import compilations

        start = time.perf_counter()
        first = len(compilations)
        with compiling(self.err, self.talks) as announce:
            self.training, self.validation, self.testing = at_once(lambda: self._bound(announce), announce)
        self.compile_seconds = time.perf_counter() - start
        compiled = [c for c in compilations[first:] if not c.cached]
        self.stopping = EarlyStopping(self.patience) if self.patience else None
        if checkpoint:
            checkpoint.restore(self.training)
            self._restore_stopping(checkpoint)
        if self.talks:
            from nbdl_cli import report

            if compiled:
                seconds = f"{self.compile_seconds:.1f} s"
                self.err.print(
                    f" compiled {len(compiled)} kernels for this processor in {seconds}; kept for the next time",
                    style="dim",
                )
            self.out.print(report.model_table(self.model, self.training))
            if checkpoint:
                self.out.print(f" resumed after {self.training.updates} updates", style="dim")

    def _bound(self, announce):
        """The training and the evaluations on the two other splits, where they hold something."""
        data, experiment = self.experiment.dataset, self.experiment
        splits = data.validation, data.test
        evaluations = (experiment.evaluation(self.model, split, announce) if len(split) else None for split in splits)
        return experiment.training(self.model, announce), *evaluations

    # -- during ------------------------------------------------------------------------------------------------------

    def _train(self, interrupt: Interruptible) -> None:
        saved = time.monotonic()
        if self._already_done():
            return
        with self._screen() as screen:
            for epoch in self.history.record(self.training, self.validation, lambda step: interrupt.asked):
                self._log_line(asdict(epoch))
                screen(epoch)
                if self.save and time.monotonic() - saved > SAVE_EVERY:
                    self._save()
                    saved = time.monotonic()
                if self.stopping is not None:
                    self.training.fetch()
                    if self.stopping.stops(epoch.score, self.model):
                        return

    def _already_done(self) -> bool:
        from nbdl import Step

        t = self.training
        here = Step(t.epoch, t.updates, t.examples, t.seconds, 0.0, 0.0, t.position == 0)
        return t.updates > 0 and t.budget.spent(here)

    def _screen(self):
        """Something that shows an epoch: lines and a progress bar, or a living map, or nothing."""
        if not self.talks:
            return nullcontext(lambda epoch: None)
        from nbdl_cli.live import Screen

        return Screen(self.experiment, self.model, self.out, self.err)

    def _log_line(self, data: dict[str, Any], first: bool = False) -> None:
        if not self.log:
            return
        with open(self.log, "w" if first else "a", encoding="utf-8") as file:
            file.write(json.dumps(data) + "\n")

    # -- after -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        from nbdl import save_checkpoint

        assert self.save
        extra: dict[str, Any] = {
            "wishes": asdict(self.wishes),
            "experiment": self.experiment.summary(),
            "history": self.history.as_data(),
        }
        tensors = {}
        if self.stopping is not None and self.stopping.kept is not None:
            extra["stopping"] = {"best": self.stopping.best, "waited": self.stopping.waited}
            tensors["extra/best"] = self.stopping.kept
        save_checkpoint(self.save, self.training, extra, tensors)

    def _restore_stopping(self, checkpoint) -> None:
        if self.stopping is not None and "stopping" in checkpoint.extra:
            kept = checkpoint.extra["stopping"]
            self.stopping.best, self.stopping.waited = kept["best"], kept["waited"]
            self.stopping.kept = checkpoint.states["extra/best"]

    def _stop_for_interrupt(self) -> None:
        done = f"after {self.training.updates} updates (epoch {self.training.epoch + 1})"
        if self.save:
            self._save()
            again = f"nbdl train --resume {self.save} --save {self.save}"
            self.err.print(f"interrupted {done}; saved to {self.save}. Go on with: {again}", soft_wrap=True)
        else:
            self.err.print(f"interrupted {done}; nothing was saved (--save FILE would have).", soft_wrap=True)
        raise click.exceptions.Exit(130)

    def _report_diverged(self, error) -> None:
        if self.as_json:
            from nbdl_cli.console import emit_json

            emit_json({**self._document(None), "diverged": {"kind": error.kind, "update": error.update}})
        words = str(error).removeprefix("training diverged")
        self.err.print(f"[bold red]training diverged[/]{words}", soft_wrap=True)
        raise click.exceptions.Exit(3)

    def _document(self, result) -> dict[str, Any]:
        seconds, training = self.training.seconds, self.training
        test = None
        if result is not None:
            test = {"loss": result.loss, "accuracy": result.accuracy}
            test |= {"mean_absolute_error": result.mean_absolute_error, "r2": result.r2}
        return {
            "schema": SCHEMA,
            "experiment": self.experiment.summary(),
            "parameters": self.model.parameter_count,
            "epochs": [asdict(epoch) for epoch in self.history.epochs],
            "test": test,
            "updates": training.updates,
            "examples": training.examples,
            "compile_seconds": self.compile_seconds,
            "train_seconds": seconds,
            "samples_per_second": training.examples / seconds if seconds else None,
            "flops_per_second": training.flops * training.examples / training.batch / seconds if seconds else None,
            "environment": environment(self.threads, self.experiment.backend),
            "diverged": None,
        }

    def _report(self) -> None:
        result = self.testing.run() if self.testing is not None else None
        if self.as_json:
            from nbdl_cli.console import emit_json

            emit_json(self._document(result))
            return
        from nbdl_cli import report

        if self.quiet:
            if result is not None:
                self.out.print(report.result_lines(result, self.experiment))
            return
        from nbdl_cli.drawing.sample import PICTURED

        width, data = self.out.width, self.experiment.dataset
        if len(self.history.epochs) > 1:
            self.out.print(report.curve(self.history.epochs, width))
        if data.kind == "points":
            self.out.print(report.decision_map(self.experiment, self.model, width, 18))
        elif data.kind == "curve" and data.outputs == 1:
            self.out.print(report.fit_plot(self.experiment, self.model))
        elif data.kind in ("text", "sequence", "series"):
            self._report_sequences(result)
        if result is not None:
            if data.kind in (*PICTURED, "sound"):
                report.show(
                    self.out, report.confusion(result, self.experiment), report.mistakes(result, self.experiment, width)
                )
            self.out.print()
            self.out.print(report.result_lines(result, self.experiment))
        self.out.print(report.speed(self.training, self.compile_seconds, self._peak()))
        if self.profile:
            from nbdl_cli.profile import profile_table

            self.out.print(profile_table(self.training, self._peak(), self.out.width))
        if self.save:
            asks = "generate" if data.kind == "text" else "predict"
            self.out.print(f" saved {self.save}; try: nbdl {asks} {self.save}", style="dim", soft_wrap=True)

    def _report_sequences(self, result) -> None:
        """What the network writes, answers or foretells."""
        from nbdl_cli import sequences

        data = self.experiment.dataset
        if data.kind == "text":
            self.out.print(sequences.sample_text(self.model, data))
            if data.name == "number-names":
                self.out.print(sequences.spelling(self.model, data))
        elif result is not None and data.kind == "series":
            for plot in sequences.series_plots(result, self.experiment):
                self.out.print(plot)
        elif result is not None and data.task == "regression" and data.outputs == 1:
            self.out.print(sequences.answers(result, data))

    def _peak(self) -> float | None:
        if self.experiment.backend in ("cuda", "numpy"):
            return None
        from nbdl.kernels.peak import fma_peak

        if not hasattr(self, "_peak_rate"):
            self._peak_rate = fma_peak(1 if self.experiment.backend == "serial" else self.threads)
        return self._peak_rate
