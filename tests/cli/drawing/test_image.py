"""Images: every pixel where it belongs, in colour and in characters, and whole at any width."""

import re

import numpy as np
import pytest
from rich.console import Group

from nbdl_cli.drawing.image import Image, ImageRow

PIXEL = re.compile(r"38;2;(\d+);(\d+);(\d+)(?:;48;2;(\d+);(\d+);(\d+))?m")


def visible(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_each_pixel_has_its_colour(draw):
    image = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]], [[1, 2, 3], [4, 5, 6]]], np.uint8)
    lines = draw(Image(image), in_colour=True)
    assert [visible(line) for line in lines] == ["▀▀", "▀▀"]
    assert PIXEL.findall(lines[0]) == [("255", "0", "0", "0", "0", "255"), ("0", "255", "0", "9", "9", "9")]
    assert PIXEL.findall(lines[1]) == [("1", "2", "3", "", "", ""), ("4", "5", "6", "", "", "")]


def test_numbers_from_0_to_1_and_bytes_are_the_same(draw):
    grey = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert draw(Image(grey), in_colour=True) == draw(Image((grey * 255).astype(np.uint8)), in_colour=True)
    assert draw(Image(grey[:, :, None])) == draw(Image(grey))
    assert draw(Image([[float("nan"), 7.0]])) == draw(Image([[0.0, 1.0]]))


def test_without_colour_darker_is_thinner(draw):
    assert draw(Image(np.linspace(0, 1, 10)[None])) == ["  ..::--==++**##%%@@"]


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("side", [1, 8, 28, 32, 96])
def test_images_are_shrunk_not_cut(draw, side, width, in_colour):
    image = np.zeros((side, side))
    image[:, -1] = 1  # the right edge must still be there
    lines = [visible(line) for line in draw(Image(image), width, in_colour)]
    assert 1 <= max(map(len, lines)) <= width
    if not in_colour:
        assert lines[0].strip()
    else:
        last = PIXEL.findall(draw(Image(image), width, True)[0])[-1]
        assert int(last[0]) >= 255 // 5


def test_shrinking_is_the_mean(draw):
    image = np.zeros((4, 40), np.uint8)
    image[:, :2] = [[0, 200]] * 4
    first = PIXEL.findall(draw(Image(image), 20, True)[0])[0]
    assert first[0] == "100"


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("side", [8, 28, 64])
def test_a_row_wraps_and_keeps_every_caption(draw, side, width, in_colour):
    captions = [f"{n}? is {n + 1}" for n in range(12)]
    lines = [visible(line) for line in draw(ImageRow([np.eye(side)] * 12, captions), width, in_colour)]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert [text.index(caption) for caption in captions] == sorted(text.index(caption) for caption in captions)


def test_a_caption_stands_below_its_image(draw):
    dark, light = np.zeros((8, 8)), np.ones((8, 8))
    lines = draw(ImageRow([dark, light], ["dark", "light"]), 60)
    assert lines[0].index("@") == lines[-1].index("light")


def test_captions_longer_than_an_image_push_the_next_one_on(draw):
    lines = draw(ImageRow([np.ones((4, 4))] * 2, ["a caption of some length", "b"]), 60)
    assert lines[0].index("@@ ") < lines[0].rindex("@") - 10
    assert lines[-1].split("  ")[0].strip() == "a caption of some length"


def test_no_images_draw_nothing(draw):
    assert draw(Group(ImageRow([], []), Image(np.zeros((0, 0))))) == []


def test_large_images_leave_room_for_four(draw):
    lines = [visible(line) for line in draw(ImageRow([np.eye(28)] * 8, list("abcdefgh")), 80, True)]
    assert lines[7].split() == ["a", "b", "c", "d", "e"]
