"""SVG charts: well-formed, nothing fetched, nothing outside the picture, and curves where their numbers are."""

import re
from math import inf, nan
from xml.etree import ElementTree

import pytest

from nbdl_cli.drawing.plot import Series
from nbdl_cli.drawing.svg import LineChart, Mark, colour, cross

SVG = "{http://www.w3.org/2000/svg}"


def lines(root, number):
    """Points of the curves of one series, piece by piece."""
    found = []
    for path in root.iter(f"{SVG}path"):
        if path.get("stroke") == colour(number) and path.get("stroke-linejoin"):
            found.append([tuple(map(float, pair.split())) for pair in path.get("d")[1:].split("L")])
    return found


def test_gaps_ends_and_words():
    series = [
        Series("a & <b>", [1, 2, 3, 4, 5, 6], [1, 2, nan, 4, None, 3]),
        Series('lost "one"', [1, 2, 3], [1, 3, inf], diverged=True, band=([0, 1, 2], [2, 4, nan])),
    ]
    chart = LineChart(series, "cost > 0 & more", x_label="epoch", marks=[Mark(4, None, "here", "line"), Mark(6)])
    drawn = chart.svg()
    root = ElementTree.fromstring(drawn)
    words = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert root.find(f"{SVG}title").text == "cost > 0 & more"
    assert 'lost "one" (diverged)' in root.find(f"{SVG}desc").text
    assert {"a & <b>", 'lost "one" (diverged)', "here", "epoch"} <= set(words)
    assert [len(piece) for piece in lines(root, 0)] == [2]  # 4 and 3 stand alone: dots
    (one,) = lines(root, 1)
    assert cross(*one[-1], 1) in drawn
    assert not re.search(r"<script|href|url\(|id=|nan|inf", drawn)


@pytest.mark.parametrize("log", [False, True])
def test_points_stand_where_their_numbers_are(log):
    chart = LineChart([Series("n", [1, 10, 100], [1, 10, 100])], "t", log_x=log, log_y=not log)
    (((x0, y0), (x1, y1), (x2, y2)),) = lines(ElementTree.fromstring(chart.svg()), 0)
    across, up = (x1 - x0) / (x2 - x0), (y0 - y1) / (y0 - y2)
    assert (across, up) == pytest.approx((1 / 2, 1 / 11) if log else (1 / 11, 1 / 2), abs=0.002)


def test_nothing_to_draw_is_said():
    assert "nothing to draw yet" in LineChart([Series("n", [1], [nan])], "t").svg()
    assert "nothing to draw yet" in LineChart([], "t").svg()
