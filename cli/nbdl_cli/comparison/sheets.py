"""The tables of a comparison as plain words, so that a terminal, Markdown and HTML show the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nbdl.comparison.statistics import LEAST_SEEDS, coverage
from nbdl.comparison.verdict import between, plural, score
from nbdl_cli.drawing import figures
from nbdl_cli.drawing.palette import letters
from nbdl_cli.drawing.spark import Sparkline

if TYPE_CHECKING:
    from nbdl.comparison import Comparison
    from nbdl.comparison.statistics import Interval, Spread

NARROW = 76
CONTENDED = "* runs shared the machine: these seconds are longer than a run alone would take"


@dataclass(frozen=True)
class Sheet:
    """A table: columns (of which the first `words` hold words), rows, notes below it, and the rows to point out."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    best: Sequence[int] = ()
    words: int = 2
    sparks: Sequence[Sequence[float]] = ()  # a small curve behind each row, in a terminal only

    def rich(self, width: int) -> RenderableType:
        gap = 2 if width >= NARROW else 1
        table = Table(box=None, padding=(0, gap, 0, 0), header_style="bold")
        widths = self._widths(width - 1 - gap * len(self.columns)) if width < NARROW else [None] * len(self.columns)
        for number, name in enumerate(self.columns):
            side = "left" if number < max(1, self.words) else "right"
            table.add_column(name, justify=side, overflow="fold", width=widths[number])  # type: ignore[arg-type]
        sparks = self.sparks if width >= NARROW else ()
        if sparks:
            table.add_column("low … high", overflow="fold")
        for number, row in enumerate(self.rows):
            curve = [Sparkline(sparks[number])] if sparks else []
            table.add_row(*map(Text, row), *curve, style="bold green" if number in self.best else "")
        notes = [Text(f" {note}", style="dim") for note in self.notes]
        return Group(Text(f" {self.title}", style="bold"), Padding(table, (0, 0, 0, 1)), *notes)

    def _widths(self, room: int) -> list[int]:
        """As wide as the longest word of each column, and wider where there is room and need; Rich would cut words."""
        cells = list(zip(self.columns, *self.rows, strict=True))
        widths = [max(len(word) for cell in column for word in (*cell.split(), "")) for column in cells]
        wanted = [max(map(len, column)) for column in cells]
        while sum(widths) > room:
            widths[widths.index(max(widths))] -= 1
        while sum(widths) < room and widths != wanted:
            number = min((n for n in range(len(widths)) if widths[n] < wanted[n]), key=lambda n: widths[n] / wanted[n])
            widths[number] += 1
        return widths

    def markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

        rule = ["---" if n < self.words else "---:" for n in range(len(self.columns))]
        rows = [[f"**{c}**" if n in self.best and c else c for c in row] for n, row in enumerate(self.rows)]
        notes = [f"\n{note}" for note in self.notes]
        return "\n".join([f"## {self.title}\n", line(self.columns), line(rule), *map(line, rows), *notes, ""])

    def html(self) -> str:
        def cells(row: Sequence[str], tag: str) -> str:
            return "".join(
                f"<{tag}{'' if n < self.words else ' class=number'}>{escape(cell)}</{tag}>"
                for n, cell in enumerate(row)
            )

        rows = [
            f"<tr{' class=best' if n in self.best else ''}>{cells(row, 'td')}</tr>" for n, row in enumerate(self.rows)
        ]
        notes = "".join(f"<p class=note>{escape(note)}</p>" for note in self.notes)
        head = f"<thead><tr>{cells(self.columns, 'th')}</tr></thead>"
        table = f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"
        return f"<h2>{escape(self.title)}</h2>\n<div class=wide>{table}</div>{notes}\n"


def sheets(comparison: "Comparison", wide: bool = True) -> list[Sheet]:
    """All tables in the order in which they are read; `wide` has room for quartiles."""
    found = [results(comparison, wide), clocks(comparison, wide)]
    if math.isfinite(comparison.target):
        found.append(targets(comparison, wide))
    if comparison.pairs:
        found.append(pairs(comparison, wide))
    if comparison.sensitivities:
        found.append(sensitivity(comparison, wide))
    return found


def results(comparison: "Comparison", wide: bool) -> Sheet:
    """What every contender came to on the test samples."""
    accuracy = comparison.problem.classifies
    rows = []
    for number, s in enumerate(comparison.summaries):
        rows.append(
            [
                letters(number),
                s.contender.label,
                _score(s.score, accuracy, wide),
                _spread(s.loss, lambda v: f"{v:.4g}", wide),
                counted(s.failures, s.runs),
            ]
        )
    name = "test %" if accuracy else "test R²"
    seeds = plural(len(comparison.spec.seeds), "seeds")
    notes = [f"medians of {seeds} with quartiles" if wide else f"medians of {seeds}", *errors(comparison)]
    return Sheet("result", ["", "contender", name, "training loss", "failed"], rows, notes, [comparison.best])


def errors(comparison: "Comparison") -> list[str]:
    """What the runs that ended in an error said, each message once."""
    found: dict[str, str] = {}
    for number, contender in enumerate(comparison.spec.contenders):
        for run in (*comparison.tuning_runs(contender), *comparison.reported_runs(contender)):
            outcome = comparison.outcomes[run]
            if outcome.message is not None:
                found.setdefault(f"error: {outcome.message}", f"{letters(number)}, seed {run.seed}")
    return [f"{message} ({where})" for message, where in found.items()]


def clocks(comparison: "Comparison", wide: bool) -> Sheet:
    """What every contender spent, on every clock."""
    rows, contended = [], any(s.contended for s in comparison.summaries)
    for number, s in enumerate(comparison.summaries):
        star = "*" if s.contended else ""
        rows.append(
            [
                letters(number),
                passes(s.epochs[1]),
                *(f"{getattr(s, clock)[1]:.0f}" for clock in ("updates", "examples")),
                _spread(s.seconds, figures.seconds, wide) + star,
                figures.seconds(s.compile_seconds) if s.compile_seconds else "–",
            ]
        )
    columns = ["", "epochs", "updates", "examples", "seconds", "compile"]
    notes = ["seconds of training alone: evaluation is off the clock; compile is of all runs, and on no clock"]
    return Sheet("clocks", columns, rows, notes + [CONTENDED] * contended, words=1)


def targets(comparison: "Comparison", wide: bool) -> Sheet:
    """The way to the target."""
    accuracy, contended = comparison.problem.classifies, any(s.contended for s in comparison.summaries)
    goal = score(comparison.target, accuracy) + (" %" if accuracy else " R²")
    star = "*" if contended else ""

    def seconds(value: float) -> str:
        return figures.seconds(value) + star if math.isfinite(value) else "never"

    def count(value: float) -> str:
        return f"{value:.0f}" if math.isfinite(value) else "never"

    rows = []
    for number, one in enumerate(comparison.reaches):
        row = [letters(number), f"{one.hits}/{one.runs}", seconds(one.median["seconds"]), count(one.median["updates"])]
        row += [count(one.median["examples"])] if wide else []
        rows.append([*row, seconds(one.expected["seconds"])])
    columns = ["", "hits", "seconds", "updates", *(["examples"] if wide else []), "expected time"]
    what = "the median that the best baseline ends with" if comparison.spec.target == "auto" else "as asked for"
    notes = [
        f"target: {goal} on validation, {what}; medians, where a run that never arrives is infinite",
        "expected time: all seconds spent, divided by the hits",
    ]
    best = min(range(len(rows)), key=lambda n: (comparison.reaches[n].median["seconds"], n))
    hit = [best] if math.isfinite(comparison.reaches[best].median["seconds"]) else []
    return Sheet(f"to {goal}", columns, rows, notes + [CONTENDED] * contended, hit, words=1)


def pairs(comparison: "Comparison", wide: bool) -> Sheet:
    """The best contender against each of the others, seed by seed."""
    accuracy = comparison.problem.classifies
    others = [n for n in range(len(comparison.summaries)) if n != comparison.best]
    rows = [
        [
            f"{letters(comparison.best)} – {letters(n)}" if wide else f"{letters(comparison.best)}–{letters(n)}",
            score(pair.difference.value, accuracy, signed=True),
            between(pair.difference, accuracy),
            f"{100 * pair.better.value:.0f} %" + (_percents(pair.better) if wide else ""),
        ]
        for n, pair in zip(others, comparison.pairs, strict=True)
    ]
    unit = "points" if accuracy else "R²"
    seeds = len(comparison.spec.seeds)
    notes = ["median of the differences seed by seed, bootstrap intervals of 95 %"]
    if seeds < LEAST_SEEDS:
        few = plural(seeds, "seeds")
        notes.append(
            f"{few} settle{'s' * (seeds == 1)} nothing: an interval over so few covers {coverage(seeds)} % at most"
        )
    elif coverage(seeds) < 95:
        notes.append(f"an interval over {seeds} seeds covers {coverage(seeds)} % at most")
    if len(rows) > 1:
        notes.append("each interval stands for its own pair: where there are many, some miss")
    columns = ["pair", unit, "interval", "better with probability"]
    return Sheet("differences", columns, rows, notes, words=1)


def sensitivity(comparison: "Comparison", wide: bool) -> Sheet:
    """How much every contender depends on its learning rate."""
    accuracy, rows, sparks = comparison.problem.classifies, [], []
    for number, contender in enumerate(comparison.spec.contenders):
        found = comparison.sensitivities.get(contender)
        if found is None:
            continue
        low, high = found.good
        lost: dict[str, int] = {}
        for rate in found.rates:
            for kind, times in rate.failures.items():
                lost[kind] = lost.get(kind, 0) + times
        rows.append(
            [
                letters(number),
                f"{found.best.rate:g}" + (" at the edge" if found.at_edge else ""),
                _score(found.best.score, accuracy, wide),
                f"{found.width:.1f}",
                f"{low:g} to {high:g}",
                counted(lost, sum(rate.runs for rate in found.rates)),
            ]
        )
        sparks.append([rate.score[1] for rate in found.rates])
    name = ("validation" if wide else "valid.") + (" %" if accuracy else " R²")
    columns = ["", "best rate", name, "decades", "good rates", "failed"]
    notes = [
        f"tuned on validation by the median of {plural(len(comparison.spec.tuning_seeds), 'seeds')}",
        "good: a median score of at least 90 % of the best one's, without a gap; decades: how wide that is",
    ]
    return Sheet("learning rates", columns, rows, notes, words=1, sparks=sparks)


def passes(epochs: float) -> str:
    return f"{epochs:.0f}" if epochs >= 100 or epochs == round(epochs) else f"{epochs:.3g}"


def counted(failures: dict[str, int], runs: int) -> str:
    """`2/10 nonfinite, 1/10 stalled`, or a dash."""
    return ", ".join(f"{times}/{runs} {kind}" for kind, times in failures.items()) or "–"


def _score(spread: "Spread", accuracy: bool, wide: bool) -> str:
    return _spread(spread, lambda value: score(value, accuracy), wide)


def _spread(spread: "Spread", written, wide: bool) -> str:
    low, middle, high = (written(value) if math.isfinite(value) else "lost" for value in spread)
    return f"{middle} [{low}, {high}]" if wide and not low == middle == high else middle


def _percents(interval: "Interval") -> str:
    return f" [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"
