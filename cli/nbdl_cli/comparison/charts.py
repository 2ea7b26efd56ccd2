"""The curves of a comparison, once for the terminal and once as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbdl_cli.drawing.palette import letters
from nbdl_cli.drawing.plot import LinePlot, Series
from nbdl_cli.drawing.svg import LineChart, Mark

if TYPE_CHECKING:
    from nbdl.comparison import Comparison

CLOCKS = {"epochs": "epochs", "updates": "updates", "examples": "examples", "seconds": "seconds of training"}
MOST = 7  # curves that colours tell apart
LOG_FROM = 10  # an axis whose largest number is so many times the smallest is logarithmic


@dataclass(frozen=True)
class Chart:
    """Series with what is written around them."""

    series: list[Series]
    title: str
    x_label: str
    y_label: str
    log_x: bool = False
    log_y: bool = False
    marks: Sequence[Mark] = ()  # where runs were lost; in a terminal a cross at the end of the curve must do

    def plot(self, height: int = 10) -> LinePlot:
        return LinePlot(
            self.series, self.title, self.x_label, self.y_label, log_x=self.log_x, log_y=self.log_y, height=height
        )

    def svg(self) -> str:
        return LineChart(
            self.series,
            self.title,
            "",
            self.x_label,
            self.y_label,
            log_x=self.log_x,
            log_y=self.log_y,
            marks=self.marks,
        ).svg()


def charts(comparison: "Comparison", all_clocks: bool = False) -> list[Chart]:
    """Loss against each clock, the sensitivity to the learning rate, and the performance profile, where there is one.

    Examples are epochs times the same number for all, so that a terminal does without them.
    """
    shown = [clock for clock in CLOCKS if all_clocks or clock != "examples"]
    found = [losses(comparison, clock) for clock in shown]
    if comparison.sensitivities:
        found.append(sensitivity(comparison))
    if len(comparison.reaches) > 1 and any(one.hits for one in comparison.reaches):
        found.append(profile(comparison))
    return found


def shown(comparison: "Comparison") -> list[int]:
    """The numbers of the contenders that are drawn: all, or the best of many."""
    ranked = sorted(range(len(comparison.summaries)), key=lambda n: comparison.summaries[n].rank)
    return sorted(ranked[:MOST])


def titled(comparison: "Comparison", words: str) -> str:
    every = len(comparison.summaries)
    return words if every <= MOST else f"{words}, the best {MOST} of {every}"


def label(comparison: "Comparison", number: int) -> str:
    return f"{letters(number)} {comparison.summaries[number].contender.label}"


def losses(comparison: "Comparison", clock: str) -> Chart:
    from nbdl.comparison.statistics import curve, failures
    from nbdl_cli.comparison.sheets import counted

    series, marks = [], []
    for place, number in enumerate(shown(comparison)):
        group = comparison.groups[number]
        c = curve(group, clock)
        lost = [one for one in group if one.lost]
        ending = counted(failures(lost), len(group))
        band = (c.low, c.high)
        series.append(Series(label(comparison, number), c.x, c.middle, band=band, diverged=bool(lost), ending=ending))
        for one in lost:
            at = one.passes if clock == "epochs" else getattr(one, clock)
            marks.append(Mark(at, words=f"{letters(number)} {one.failure}" if one is lost[0] else "", series=place))
    title = titled(comparison, f"training loss against {CLOCKS[clock]}")
    if clock == "seconds" and any(s.contended for s in comparison.summaries):
        title += " (of a shared machine)"
    xs = [x for one in series for x in one.x if x > 0]
    ys = [y for one in series for y in one.y if y > 0]
    return Chart(series, title, CLOCKS[clock], "loss", _wide(xs), _wide(ys), marks)


def sensitivity(comparison: "Comparison") -> Chart:
    percent = 100 if comparison.problem.classifies else 1
    series = []
    for number in shown(comparison):
        contender = comparison.spec.contenders[number]
        found = comparison.sensitivities.get(contender)
        if found is None:
            continue
        rates = [one.rate for one in found.rates]
        low, middle, high = (
            [percent * one.score[n] if math.isfinite(one.score[n]) else None for one in found.rates] for n in range(3)
        )
        lost = [f"{rate:g}" for rate, value in zip(rates, middle, strict=True) if value is None]
        ending = f"lost at {', '.join(lost)}"
        name = f"{letters(number)} {contender.label}"
        series.append(Series(name, rates, middle, band=(low, high), diverged=bool(lost), ending=ending))
    y = "validation accuracy in %" if comparison.problem.classifies else "validation R²"
    title = titled(comparison, "how much the learning rate matters")
    return Chart(series, title, "learning rate", y, log_x=True)


def profile(comparison: "Comparison") -> Chart:
    """A step for every ratio that occurs."""
    from nbdl.comparison import statistics

    contended = any(s.contended for s in comparison.summaries)
    clock = "examples" if contended else "seconds"
    series = []
    profiles = statistics.profile(comparison.reaches, clock)
    for number in shown(comparison):
        xs, shares = profiles[number]
        far = xs[-1] * 1.2
        x, y = [xs[0]], [100 * shares[0]]
        for at, share in zip([*xs[1:], far], [*shares[1:], shares[-1]], strict=True):
            x += [at, at]
            y += [y[-1], 100 * share]
        series.append(Series(label(comparison, number), x, y))
    x_label = f"times the {clock} of the quickest"
    xs = [value for one in series for value in one.x]
    title = titled(comparison, "how many runs have reached the target")
    return Chart(series, title, x_label, "runs in %", log_x=_wide(xs))


def _wide(values: list[float]) -> bool:
    return bool(values) and max(values) / min(values) > LOG_FROM
