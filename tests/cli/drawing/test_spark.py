"""Curves one line high."""

import pytest
from rich.table import Table

from nbdl_cli.drawing.spark import Sparkline


def test_low_is_low_and_high_is_high(draw):
    assert draw(Sparkline(range(8))) == ["▁▂▃▄▅▆▇█"]
    assert draw(Sparkline([2, float("nan"), 1])) == ["█ ▁"]
    assert draw(Sparkline([0, 7]), encoding="ascii") == ["_@"]


@pytest.mark.parametrize("values", [[3], [3, 3, 3], [float("nan")], []])
def test_flat_and_empty(draw, values):
    assert len(draw(Sparkline(values))[0] if values else "") <= len(values)


def test_it_is_thinned_to_its_cell_and_keeps_the_last(draw):
    assert draw(Sparkline([0] * 99 + [1]), width=10) == ["▁▁▁▁▁▁▁▁▁█"]
    table = Table.grid()
    table.add_row(Sparkline(range(100)), "text")
    assert len(draw(table, width=30)[0]) <= 30
