"""The grid, what lies beyond its edges, and how wide the good rates spread."""

import math
from itertools import pairwise

import pytest

from nbdl.comparison.spec import RATES
from nbdl.comparison.tuning import next_rate, sensitivity


@pytest.fixture
def tuned(outcome):
    def make(scores):
        """scores: {rate: validation score of each of three seeds, or None for a lost run}."""
        return sensitivity(
            [
                outcome([score], seed, rate=rate)
                if score is not None
                else outcome([], seed, rate=rate, failure="blow-up")
                for rate, three in scores.items()
                for seed, score in enumerate(three)
            ]
        )

    return make


def test_the_grid_is_eleven_half_decades():
    assert len(RATES) == 11
    assert (RATES[0], RATES[-1]) == (1e-4, 10)
    assert all(math.isclose(b / a, math.sqrt(10), rel_tol=0.01) for a, b in pairwise(RATES))


def test_the_median_of_the_seeds_chooses_and_a_lucky_seed_does_not(tuned):
    found = tuned({0.01: (0.8, 0.8, 0.8), 0.1: (0.99, 0.5, 0.5), 1: (0.9, 0.9, None)})
    assert found.best.rate == 1
    found = tuned({0.01: (0.8, 0.8, 0.8), 0.1: (0.9, None, None), 1: (0.1, 0.1, 0.1)})
    assert found.best.rate == 0.01
    assert found.rates[1].failures == {"blow-up": 2}


def test_width_is_without_a_gap(tuned):
    good, bad = (0.9, 0.9, 0.9), (0.5, 0.5, 0.5)
    found = tuned({1e-3: good, 1e-2: bad, 0.1: (0.85,) * 3, 1: (0.95,) * 3, 10: (None,) * 3})
    assert found.good == (1, 1)  # 0.85 is less than 90 % of 0.95
    found = tuned({1e-3: good, 1e-2: bad, 0.1: (0.86,) * 3, 1: (0.95,) * 3, 10: (None,) * 3})
    assert found.width == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "following"),
    [((0.1, 0.2, 0.3), 3.16), ((0.3, 0.2, 0.1), 0.0316), ((0.1, 0.3, 0.2), None), ((None, None, None), 0.0316)],
)
def test_the_grid_grows_while_the_best_is_at_its_edge(tuned, scores, following):
    grid = (0.1, 0.316, 1)
    found = tuned({rate: (score,) * 3 for rate, score in zip(grid, scores, strict=True)})
    assert next_rate(found, grid) == following


def test_the_grid_does_not_grow_after_errors(outcome):
    runs = [outcome([], failure="error", rate=rate) for rate in (0.1, 1)]
    assert next_rate(sensitivity(runs), (0.1, 1)) is None
    assert next_rate(sensitivity([*runs, outcome([], 1, failure="blow-up", rate=1)]), (0.1, 1)) == 0.01


def test_the_grid_does_not_grow_for_ever(tuned):
    grid, scores = (0.1, 1), {0.1: (0.1,) * 3, 1: (0.2,) * 3}
    while (rate := next_rate(tuned(scores), grid)) is not None:
        scores[rate] = (0.2 + 0.01 * len(scores),) * 3
    assert max(scores) == 1e8
