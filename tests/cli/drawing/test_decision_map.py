"""The map of the plane: classes where they are, examples where they lie, a border that looks unsure."""

import re

import numpy as np
import pytest

from nbdl_cli.drawing.decision_map import DecisionMap, grid_inputs

EXTENT = (-1.0, 1.0, -2.0, 2.0)


def halves(columns, rows, points=(), labels=()):
    """Class 0 on the left, class 1 on the right, unsure between."""
    x = grid_inputs(EXTENT, columns, rows)[:, 0].reshape(rows, columns)
    return DecisionMap((x > 0).astype(int), 0.5 + 0.5 * np.abs(x), EXTENT, points, labels, ["left", "right"])


def test_the_grid_runs_from_the_upper_left_through_the_middle_of_each_cell():
    inputs = grid_inputs(EXTENT, 4, 2)
    assert inputs.dtype == np.float32
    assert inputs.tolist() == [[x, y] for y in (1.0, -1.0) for x in (-0.75, -0.25, 0.25, 0.75)]


def test_letters_show_classes_doubt_and_examples(draw):
    lines = draw(halves(20, 4, [(-0.9, 1.9), (0.9, -1.9)], [1, 0]))
    assert lines[0] == " Baaaa..........bbbbb"
    assert lines[1] == " aaaaa..........bbbbA"
    assert re.match(" a .*left.*A.*   b .*right.*B", lines[2])


def test_colours_show_classes_doubt_and_examples(draw):
    line = draw(halves(20, 2, [(-0.9, 1.9)], [1]), in_colour=True)[0]
    tops = [tuple(map(int, found)) for found in re.findall(r"38;2;(\d+);(\d+);(\d+)", line)]
    assert tops[0] == (255, 229, 70), "the example, in the light colour of its class"
    assert tops[1][2] > tops[1][0], "sky blue on the left"
    assert tops[-1][0] > tops[-1][2], "orange on the right"
    assert sum(tops[len(tops) // 2]) < sum(tops[-1]), "dark where it does not know"


def test_examples_outside_or_without_a_place_are_left_out(draw):
    nowhere = [(-1.01, 0), (1.0, 0), (0, 2.1), (0, float("nan")), (float("inf"), 0)]
    assert draw(halves(20, 4, nowhere, [0] * 5)) == draw(halves(20, 4))


def test_an_extent_without_size_is_no_error(draw):
    flat = DecisionMap(np.zeros((2, 4), int), np.ones((2, 4)), (0, 0, 1, 1), [(0, 1)], [0], ["a"])
    assert draw(flat)[0] == " Aaaa"


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_wide_map_keeps_both_sides(draw, width, in_colour):
    drawing = halves(120, 4)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in draw(drawing, width, in_colour)]
    assert max(map(len, lines)) <= width
    if not in_colour:
        assert lines[0].startswith(" a")
        assert lines[0].endswith("b")


def test_more_classes_than_letters(draw):
    names = [f"class {n}" for n in range(30)]
    lines = draw(DecisionMap(np.full((2, 10), 29), np.ones((2, 10)), EXTENT, [(0, 0.5)], [28], names), 40)
    assert "d" in lines[0]
    assert sum("class" in line for line in lines) > 10
    assert max(map(len, lines)) <= 40
