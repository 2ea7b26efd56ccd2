"""Drawings as lists of lines, for a console of any width and any set of colours."""

import io

import pytest
from rich.console import Console


class Stream(io.StringIO):
    def __init__(self, encoding):
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding


@pytest.fixture
def draw():
    """draw(renderable, width, in_colour, encoding) gives the lines, without their trailing spaces.

    Colours are true colours only: Rich remembers for each style the codes of the first console that it was written to.
    """

    def draw(renderable, width=60, in_colour=False, encoding="utf-8"):
        colours = "truecolor" if in_colour else None
        console = Console(
            file=Stream(encoding), width=width, color_system=colours, force_terminal=in_colour, _environ={}
        )
        console.print(renderable)
        lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
        "\n".join(lines).encode(encoding)  # what a stream of this encoding would refuse
        return lines

    return draw
