"""The moving part of `nbdl train`: a line for some epochs, a bar below them, and a map that bends as the network learns."""

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nbdl_cli import report
from nbdl_cli.console import unicode_ok
from nbdl_cli.sequences import sample_line

if TYPE_CHECKING:
    from nbdl import Sequential
    from nbdl.history import Epoch
    from nbdl_cli.experiment import Experiment

LINES = 12  # epochs printed, at the most, of a long run
FRAMES = 12.0  # frames a second of the map: more than an eye needs would only cost training time
SHORTEST = 1.5  # seconds that the map of a quick training is stretched to, so that an eye can follow it


class Screen:
    """Call it with each epoch. In a pipe it prints lines only; the map is drawn live only on a terminal."""

    def __init__(self, experiment: "Experiment", model: "Sequential", out: Console, err: Console):
        self.experiment, self.model, self.out = experiment, model, out
        self.live_map = experiment.dataset.kind == "points" and out.is_terminal and not out.is_dumb_terminal
        self.total = experiment.budget.epochs
        every = -(-self.total // LINES) if self.total else 1
        self.every = every
        self.progress = Progress(
            TextColumn(" {task.description}"),
            BarColumn(bar_width=None if out.width < 60 else 30),
            TextColumn("{task.completed}/{task.total} epochs" if self.total else "{task.completed} epochs"),
            TimeRemainingColumn(),
            console=out,
            expand=False,
        )
        self.task = self.progress.add_task("learning", total=self.total)
        animated = out.is_terminal and not out.is_dumb_terminal
        self.live = Live(console=out, transient=True, auto_refresh=False) if animated else None
        self.drawn = 0.0

    def __enter__(self):
        if self.live is not None:
            self.live.__enter__()
        self.pause = SHORTEST / self.total if self.live_map and self.total else 0.0
        return self

    def __exit__(self, *error):
        if self.live is not None:
            self.live.__exit__(*error)

    def __call__(self, epoch: "Epoch") -> None:
        self.progress.update(self.task, completed=epoch.epoch)
        last = self.total is not None and epoch.epoch >= self.total
        if epoch.epoch == 1 or epoch.epoch % self.every == 0 or last:
            line = report.epoch_line(epoch, self.experiment, self.out.width)
            place = self.live.console if self.live is not None else self.out
            place.print(f" {line}", highlight=False)
            if self.experiment.dataset.kind == "text":
                place.print(sample_line(self.model, self.experiment.dataset, self.out.width, unicode_ok(self.out)))
        now = time.monotonic()
        if self.live is not None and (now - self.drawn > 1 / FRAMES or last):
            self.drawn = now
            if self.live_map:
                rows = max(6, min(18, self.out.height - 6))
                drawing = report.decision_map(self.experiment, self.model, self.out.width, rows)
                self.live.update(Group(drawing, self.progress), refresh=True)
            else:
                self.live.update(self.progress, refresh=True)
        if self.pause and epoch.seconds < SHORTEST:
            time.sleep(self.pause)
