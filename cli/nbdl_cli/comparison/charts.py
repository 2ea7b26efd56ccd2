"""The curves of a comparison, once for the terminal and once as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbdl_cli.drawing.palette import mark
from nbdl_cli.drawing.plot import LinePlot, Series
from nbdl_cli.drawing.svg import LineChart, Mark

if TYPE_CHECKING:
    from nbdl.comparison import Comparison

CLOCKS = {"epochs": "epochs", "updates": "updates", "examples": "examples", "seconds": "seconds of training"}
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


def label(comparison: "Comparison", number: int) -> str:
    return f"{mark(number)} {comparison.summaries[number].contender.label}"


def losses(comparison: "Comparison", clock: str) -> Chart:
    from nbdl.comparison.statistics import curve

    series, marks = [], []
    for number, group in enumerate(comparison.groups):
        c = curve(group, clock)
        lost = [one for one in group if one.lost]
        series.append(Series(label(comparison, number), c.x, c.middle, band=(c.low, c.high), diverged=bool(lost)))
        for one in lost:
            samples = len(comparison.problem.train)
            at = one.examples / samples if clock == "epochs" else getattr(one, clock)
            marks.append(Mark(at, words=f"{mark(number)} {one.failure}" if one is lost[0] else "", series=number))
    title = f"training loss against {CLOCKS[clock]}"
    if clock == "seconds" and any(s.contended for s in comparison.summaries):
        title += " (of a shared machine)"
    xs = [x for one in series for x in one.x if x > 0]
    ys = [y for one in series for y in one.y if y > 0]
    return Chart(series, title, CLOCKS[clock], "loss", _wide(xs), _wide(ys), marks)


def sensitivity(comparison: "Comparison") -> Chart:
    percent = 100 if comparison.problem.classifies else 1
    series = []
    for number, contender in enumerate(comparison.spec.contenders):
        found = comparison.sensitivities.get(contender)
        if found is None:
            continue
        rates = [one.rate for one in found.rates]
        low, middle, high = (
            [percent * one.score[n] if math.isfinite(one.score[n]) else None for one in found.rates] for n in range(3)
        )
        lost = any(value is None for value in middle)
        series.append(Series(f"{mark(number)} {contender.label}", rates, middle, band=(low, high), diverged=lost))
    y = "validation accuracy in %" if comparison.problem.classifies else "validation R²"
    return Chart(series, "how much the learning rate matters", "learning rate", y, log_x=True)


def profile(comparison: "Comparison") -> Chart:
    """A step for every ratio that occurs."""
    from nbdl.comparison import statistics

    contended = any(s.contended for s in comparison.summaries)
    clock = "examples" if contended else "seconds"
    series = []
    for number, (xs, shares) in enumerate(statistics.profile(comparison.reaches, clock)):
        far = xs[-1] * 1.2
        x, y = [xs[0]], [100 * shares[0]]
        for at, share in zip([*xs[1:], far], [*shares[1:], shares[-1]], strict=True):
            x += [at, at]
            y += [y[-1], 100 * share]
        series.append(Series(label(comparison, number), x, y))
    x_label = f"times the {clock} of the quickest"
    xs = [value for one in series for value in one.x]
    return Chart(series, "how many runs have reached the target", x_label, "runs in %", log_x=_wide(xs))


def _wide(values: list[float]) -> bool:
    return bool(values) and max(values) / min(values) > LOG_FROM
