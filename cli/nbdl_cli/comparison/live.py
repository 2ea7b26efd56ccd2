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
from nbdl_cli.drawing.palette import mark

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
        self.drawn = self.begun = time.monotonic()
        self.compiling = ""
        self.walls: dict[Contender, list[float]] = {}
        self.lost: dict[Contender, dict[str, int]] = {}
        self.families: dict[Contender, Contender] = {}

    def __enter__(self) -> "Screen":
        if self.live is not None:
            self.live.__enter__()
        return self

    def __exit__(self, *error) -> None:
        if self.live is not None:
            self.live.__exit__(*error)

    def announce(self, kernel: str) -> None:
        self.compiling = f"compiling {kernel} for this processor (once)"
        self._draw()

    def __call__(self, outcome: "Outcome") -> None:
        family = self._family(outcome.run.contender)
        self.walls.setdefault(family, []).append(outcome.wall_seconds)
        if outcome.failure:
            lost = self.lost.setdefault(family, {})
            lost[outcome.failure] = lost.get(outcome.failure, 0) + 1
        self.compiling = ""
        now = time.monotonic()
        if self.live is not None and now - self.drawn > 1 / FRAMES:
            self._draw()
        elif self.live is None and not self.silent and now - self.drawn > SPOKEN:
            self.drawn = now
            done, total = self.counts()
            self.console.print(f" {done} of {total} runs, about {figures.seconds(self.left())} left", style="dim")

    def _family(self, contender: "Contender") -> "Contender":
        """The contender of the spec that this one is a learning rate of."""
        if contender not in self.families:
            rate = contender.optimizer.learning_rate
            self.families[contender] = next(
                c for c in self.comparison.spec.contenders if (c.at(rate) if c.tune else c) == contender
            )
        return self.families[contender]

    def counts(self) -> tuple[int, int]:
        """Runs that are done, and all that are known to be needed."""
        return len(self.comparison.outcomes), sum(map(self.comparison.expected, self.comparison.spec.contenders))

    def left(self) -> float:
        """Seconds, from what the runs of each contender took so far."""
        every = [wall for walls in self.walls.values() for wall in walls]
        usual = sum(every) / max(1, len(every))
        seconds = 0.0
        for contender in self.comparison.spec.contenders:
            walls = self.walls.get(contender, [])
            done = sum(run in self.comparison.outcomes for run in self._runs(contender))
            seconds += (self.comparison.expected(contender) - done) * (sum(walls) / len(walls) if walls else usual)
        return seconds / self.slots

    def _runs(self, contender: "Contender") -> list:
        return [*self.comparison.tuning_runs(contender), *self.comparison.reported_runs(contender)]

    def _draw(self) -> None:
        self.drawn = time.monotonic()
        if self.live is None:
            return
        done, total = self.counts()
        bar = Table.grid(padding=(0, 1))
        words = self.compiling or f"about {figures.seconds(self.left())} left"
        bar.add_row(
            " ", ProgressBar(total, done, width=max(8, min(40, self.console.width // 3))), f"{done}/{total} runs"
        )
        self.live.update(Group(self._table(), bar, Text(f"  {words}", style="dim")), refresh=True)

    def _table(self) -> Table:
        from nbdl.comparison.statistics import spread
        from nbdl.comparison.verdict import score

        c = self.comparison
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name, side in (("", "left"), ("contender", "left"), ("tuned", "right"), ("rate", "right")):
            table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
        for name in ("tested", "test %" if c.problem.classifies else "test R²", "failed"):
            table.add_column(name, justify="right", overflow="fold")
        tunings = c.sensitivities
        for number, contender in enumerate(c.spec.contenders):
            tuning = c.tuning_runs(contender)
            tuned = sum(run in c.outcomes for run in tuning)
            reported = c.reported(contender)
            lost = self.lost.get(contender, {})
            table.add_row(
                mark(number),
                contender.label,
                f"{tuned}/{len(tuning)}" if tuning else "–",
                f"{tunings[contender].best.rate:g}" if contender in tunings else "",
                f"{len(reported)}/{len(c.spec.seeds)}",
                score(spread([o.test_score for o in reported], True)[1], c.problem.classifies) if reported else "",
                counted(lost, tuned + len(reported)) if lost else "",
            )
        return table
