"""A comparison under way: a table that fills, and how long it will still take."""

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nbdl_cli.comparison.sheets import counted
from nbdl_cli.drawing import figures
from nbdl_cli.drawing.palette import letters

if TYPE_CHECKING:
    from nbdl.comparison import Comparison, Contender, Outcome

FRAMES = 5.0  # a second
SPOKEN = 30.0  # seconds between two lines where there is no terminal


class Screen:
    """Call it with each outcome; `announce(kernel)` says what is compiled. Silent screens draw nothing."""

    def __init__(self, comparison: "Comparison", slots: int, console: Console, silent: bool):
        self.comparison, self.slots, self.console, self.silent = comparison, slots, console, silent
        moving = console.is_terminal and not console.is_dumb_terminal and not silent
        self.live = Live(console=console, transient=True, auto_refresh=False) if moving else None
        self.drawn, self.pause = time.monotonic(), 1 / FRAMES
        self.compiling = ""

    def __enter__(self) -> "Screen":
        if self.live is not None:
            self.live.__enter__()
            self._draw()
        return self

    def __exit__(self, *error) -> None:
        if self.live is not None:
            self.live.__exit__(*error)

    def announce(self, kernel: str) -> None:
        self.compiling = f"compiling (once): {kernel}"
        self._draw()

    def __call__(self, outcome: "Outcome") -> None:
        self.compiling = ""
        waited = time.monotonic() - self.drawn
        if self.live is not None and waited > self.pause:
            self._draw()
        elif self.live is None and not self.silent and waited > SPOKEN:
            self.drawn = time.monotonic()
            done, total = self.counts()
            self.console.print(f" {done} of {total} runs, about {figures.seconds(self.left())} left", style="dim")

    def counts(self) -> tuple[int, int]:
        """Runs that are done, and all that are known to be needed."""
        return len(self.comparison.outcomes), sum(map(self.comparison.expected, self.comparison.spec.contenders))

    def left(self) -> float:
        """Seconds, from what the runs of each contender took so far."""
        everything = self.comparison.outcomes.values()
        usual = sum(outcome.wall_seconds for outcome in everything) / max(1, len(everything))
        seconds = 0.0
        for contender in self.comparison.spec.contenders:
            done = self._done(contender)
            mean = sum(outcome.wall_seconds for outcome in done) / len(done) if done else usual
            seconds += (self.comparison.expected(contender) - len(done)) * mean
        return seconds / self.slots

    def _done(self, contender: "Contender") -> "list[Outcome]":
        c = self.comparison
        runs = (*c.tuning_runs(contender), *c.reported_runs(contender))
        return [c.outcomes[run] for run in runs if run in c.outcomes]

    def _draw(self) -> None:
        if self.live is None:
            return
        start = time.monotonic()
        done, total = self.counts()
        words = self.compiling or f"about {figures.seconds(self.left())} left"
        bar = Table.grid(padding=(0, 1))
        width = max(8, min(40, self.console.width // 3))
        bar.add_row(" ", ProgressBar(total, done, width=width), f"{done}/{total} runs")
        # The table last: where it is higher than the screen, its end is cut off.
        self.live.update(Group(bar, Text(f"  {words}", style="dim"), self._table()), refresh=True)
        self.drawn = time.monotonic()
        self.pause = max(1 / FRAMES, 20 * (self.drawn - start))  # a table of a thousand runs takes its time

    def _table(self) -> Table:
        from nbdl.comparison.statistics import failures, spread
        from nbdl.comparison.verdict import score

        c = self.comparison
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name, side in (("", "left"), ("contender", "left"), ("tuned", "right"), ("rate", "right")):
            table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
        for name in ("tested", "test %" if c.problem.classifies else "test R²", "failed"):
            table.add_column(name, justify="right", overflow="fold")
        tunings = c.sensitivities
        for number, contender in enumerate(c.spec.contenders):
            done, tuning, reported = self._done(contender), c.tuning_runs(contender), c.reported(contender)
            scores = [outcome.test_score for outcome in reported]
            table.add_row(
                letters(number),
                contender.label,
                f"{len(done) - len(reported)}/{len(tuning)}" if tuning else "–",
                f"{tunings[contender].best.rate:g}" if contender in tunings else "",
                f"{len(reported)}/{len(c.spec.seeds)}",
                score(spread(scores, high_is_good=True)[1], c.problem.classifies) if scores else "",
                counted(failures(done), len(done)) if done else "",
            )
        return table
