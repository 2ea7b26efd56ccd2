"""Tables of timings at every width."""

import io
import re

import pytest
from rich.console import Console

from nbdl_benchmarks.harness import Comparison, Timing
from nbdl_benchmarks.report import draw


def drawn(width, others=0.0, together=1.0, **more):
    slow = [1473.2e-6, 1452.8e-6, 1505.9e-6]
    timings = [Timing("nbdl", "0.1.0", [19.4e-6, 19.5e-6, 20.3e-6]), Timing("scikit-learn", "1.9.1", slow)]
    stream = io.StringIO()
    draw(
        Console(file=stream, width=width, highlight=False),
        "MLP",
        Comparison(timings, [others] * 3, [1.0, together, together]),
        **more,
    )
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("more", [{}, {"flops": 10**6, "peaks": [1e11] * 3}], ids=["times", "shares"])
def test_nothing_is_cut_at_any_width(width, more):
    text = drawn(width, **more)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    rows = [re.split("[│┃]", line) for line in text.splitlines() if re.match("[│┃]", line)]
    words = " ".join(re.sub(r"\s", "", "".join(column)) for column in zip(*rows, strict=True))
    for expected in ("scikit-learn", "19.5", "19.4–19.9", "1473", "74.5", *(["51%"] if more else [])):
        assert expected in words


def test_a_busy_machine_is_admitted():
    assert "not a quiet" in drawn(120, others=0.2) and "20 %" in drawn(120, others=0.2)
    assert "not a quiet" not in drawn(120, others=0.01)


def test_cores_that_are_one_are_named():
    text = " ".join(drawn(120, together=0.52).split())
    assert "In 2 of 3 rounds the cores did 52 % of what each does alone" in text
    assert "rounds" not in drawn(120, together=0.97)
