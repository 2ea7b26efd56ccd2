"""The confusion matrix where it fits, the worst pairs where it does not."""

import numpy as np
import pytest

from nbdl_cli.drawing.confusion import confusion_table

MATRIX = np.array([[50, 0, 7], [1, 60, 0], [0, 2, 70]])


def test_truth_down_answer_across(draw):
    lines = draw(confusion_table(MATRIX, ["cat", "dog", "owl"]))
    assert lines[0] == " confusions: the truth down, the answer across"
    assert [line.split() for line in lines[1:]] == [
        ["cat", "dog", "owl"],
        ["cat", "50", "·", "7"],
        ["dog", "1", "60", "·"],
        ["owl", "·", "2", "70"],
    ]


def test_the_worst_confusion_stands_out(draw):
    lines = draw(confusion_table(MATRIX, ["cat", "dog", "owl"]), in_colour=True)
    assert "\x1b[1;4;38;2;213;94;0m7" in lines[2]
    assert "\x1b[38;2;213;94;0m2" in lines[4]


def test_too_narrow_names_the_worst_first(draw):
    lines = draw(confusion_table(MATRIX.tolist(), ["a cat", "a dog", "an owl"]), width=29)
    assert [line.strip() for line in lines] == [
        "most confused",
        "a cat taken for an owl: 7",
        "an owl taken for a dog: 2",
        "a dog taken for a cat: 1",
    ]
    assert draw(confusion_table(np.eye(3, dtype=int), ["a cat", "a dog", "an owl"]), width=20)[-1] == "  nothing"


@pytest.mark.parametrize("width", [20, 40, 41, 50, 60, 80, 120])
@pytest.mark.parametrize("names", [list("0123456789"), ["T-shirt/top", "bag"] * 5, ["猫", "犬"] * 5])
def test_it_fits_every_width_with_no_number_folded(draw, names, width):
    matrix = np.arange(1000, 1100).reshape(10, 10)
    lines = draw(confusion_table(matrix, names), width)
    assert all(len(line) <= width for line in lines)
    if "confusions" in lines[0]:
        assert len(lines) == 12
        assert "1099" in lines[-1]
    else:
        assert "1098" in " ".join(lines), "the largest confusion"
