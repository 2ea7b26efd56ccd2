"""Curves and their axes: right places, round numbers, nothing lost, nothing cut."""

import math
import re

import numpy as np
import pytest

from nbdl_cli.drawing.axis import labels, linear_ticks, log_ticks
from nbdl_cli.drawing.plot import LinePlot, Series

NAN = float("nan")


def area(lines):
    """What is drawn between the axes, line by line."""
    found = []
    for line in lines:
        edge = re.match(r" *[^ ]* ([│┤|+])", line)
        if set(line) & set("└┬"):
            break
        if edge:
            found.append(line[edge.end() :])
    return found


def filled(lines):
    return [(row, column) for row, line in enumerate(area(lines)) for column, c in enumerate(line) if c not in " "]


def test_a_rising_line_rises_from_corner_to_corner(draw):
    lines = draw(LinePlot([Series("a", range(11), range(11))], height=10), width=60)
    places = filled(lines)
    by_column = {column: row for row, column in sorted(places, reverse=True)}
    assert min(by_column) == 0
    assert by_column[0] == 9
    assert by_column[max(by_column)] == 0
    assert max(by_column) >= 50
    heights = [by_column[column] for column in sorted(by_column)]
    assert heights == sorted(heights, reverse=True)
    assert len(by_column) == max(by_column) + 1, "the line has holes"


def test_a_gap_stays_a_gap(draw):
    whole = LinePlot([Series("a", range(11), [1] * 11)], height=5)
    broken = LinePlot([Series("a", range(11), [1, 1, 1, NAN, None, float("inf"), NAN, 1, 1, 1, 1])], height=5)
    columns = {column for _, column in filled(draw(broken))}
    everywhere = {column for _, column in filled(draw(whole))}
    middle = sorted(everywhere - columns)
    assert len(middle) > 0.3 * len(everywhere)
    assert middle == list(range(middle[0], middle[-1] + 1))


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "xs, ys",
    [
        ([3], [0.5]),
        (range(1, 6), [2] * 5),
        ([1, 2], [1e-12, 2e-12]),
        ([1, 1e9], [1e15, 1e18]),
        ([1, 2], [1e6, 1e6 + 0.5]),
        ([0.31, 0.34], [0.31, 0.34]),
        ([-1, 1], [-5, 5]),
    ],
)
@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_any_numbers_fit_any_width(draw, xs, ys, log_x, log_y, width):
    series = Series("a series with a long name", xs, ys)
    plot = LinePlot([series, series], x_label="seconds of training", y_label="cost", log_x=log_x, log_y=log_y, height=6)
    lines = draw(plot, width)
    assert max(map(len, lines)) <= width
    assert filled(lines)


@pytest.mark.parametrize(
    "series", [[], [Series("a", [], [])], [Series("a", [1, 2], [NAN, None])], [Series("a", np.zeros(0), np.zeros(0))]]
)
def test_nothing_to_draw_is_said(draw, series):
    assert draw(LinePlot(series, title="cost")) == [" cost", "  nothing to draw yet"]


def test_logarithms_leave_out_what_has_none(draw):
    plot = LinePlot([Series("a", [1, 2, 3], [0, -1, 10])], log_y=True, height=5)
    assert len(filled(draw(plot))) == 1


def test_curves_are_told_apart_without_colour_and_with(draw):
    down = Series("batch", range(10), range(10, 0, -1))
    up = Series("stochastic", range(10), range(10))
    plain = "\n".join(draw(LinePlot([down, up])))
    assert "* batch" in plain
    assert "o stochastic" in plain
    assert {c for _, c in [(0, c) for line in area(draw(LinePlot([down, up]))) for c in line]} == {" ", "*", "o"}
    coloured = "\n".join(draw(LinePlot([down, up]), in_colour=True))
    assert "38;2;86;180;233" in coloured
    assert "38;2;230;159;0" in coloured


def test_a_curve_below_another_still_shows(draw):
    same = [Series("a", range(10), range(10)), Series("b", range(10), range(10))]
    drawn = "".join(area(draw(LinePlot(same))))
    assert drawn.count("*") > 10
    assert drawn.count("o") > 10


def test_dots_are_not_joined(draw):
    joined = filled(draw(LinePlot([Series("a", [0, 10], [0, 10])])))
    alone = filled(draw(LinePlot([Series("a", [0, 10], [0, 10], dots=True)])))
    assert len(alone) == 2
    assert len(joined) > 40


def test_a_band_reaches_from_low_to_high_and_a_diverged_curve_ends_in_a_cross(draw):
    flat = np.full(20, 5.0)
    band = Series("median", range(20), flat, band=(flat - 4, flat + 4))
    rows = {row for row, _ in filled(draw(LinePlot([band], height=10)))}
    assert rows == set(range(10))
    lost = LinePlot([Series("fast", [1, 2, 3, 4], [1, 2, 4, NAN], diverged=True)], height=6)
    lines = draw(lost)
    assert area(lines)[0].endswith("✗")
    assert "fast (diverged)" in lines[-1]
    assert area(draw(lost, encoding="ascii"))[0].endswith("X")


def test_ascii_streams_get_ascii(draw):
    lines = draw(LinePlot([Series("a", range(10), range(10))], x_label="epoch"), encoding="ascii")
    assert all(line.isascii() for line in lines)


def test_epochs_are_whole_numbers(draw):
    lines = draw(LinePlot([Series("a", [1, 2, 3], [3, 2, 1])], title="cost", x_label="epoch", height=4))
    assert lines[-1].split() == ["1", "2", "3"]
    assert lines[-2].endswith(" epoch")


@pytest.mark.parametrize("seed", range(200))
def test_ticks_are_round_inside_and_neither_few_nor_many(seed):
    random = np.random.default_rng(seed)
    low = random.normal() * 10 ** random.uniform(-6, 6)
    high = low + max(abs(low) * 1e-6, 10 ** random.uniform(-6, 6))
    most = int(random.integers(4, 12))
    ticks = linear_ticks(low, high, most)
    assert 2 <= len(ticks) <= most
    step = ticks[1] - ticks[0]
    assert low - 1e-6 * step <= ticks[0]
    assert ticks[-1] <= high + 1e-6 * step
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
    assert min(abs(mantissa - m) for m in (1, 2, 2.5, 5)) < 1e-3
    written = labels(ticks)
    assert len(set(written)) == len(ticks)


def test_labels_read_well():
    assert labels([0, 0.25, 0.5]) == ["0", "0.25", "0.50"]
    assert labels([0, 10000, 20000]) == ["0", "10k", "20k"]
    assert labels([0, 1e6, 2e6]) == ["0", "1M", "2M"]
    assert labels([1e-5, 2e-5]) == ["1e-5", "2e-5"]
    assert labels([100.0]) == ["100"]
    assert labels([]) == []
    assert labels([-1, 0, 1]) == ["-1", "0", "1"]


def test_logarithmic_ticks():
    assert [round(10**t, 9) for t in log_ticks(0, 2, 9)] == [1, 2, 5, 10, 20, 50, 100]
    assert [round(10**t, 9) for t in log_ticks(0, 4, 9)] == [1, 10, 100, 1000, 10000]
    assert len(log_ticks(-30, 30, 6)) <= 6
    assert len(log_ticks(math.log10(3.1), math.log10(3.4), 5)) >= 2, "a narrow range has round numbers too"
