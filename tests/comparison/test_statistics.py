"""The numbers of the tables, held against small cases worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nbdl.comparison import statistics
from nbdl.comparison.statistics import (
    bootstrap,
    coverage,
    curve,
    pair,
    profile,
    quicker,
    reach,
    share,
    spread,
    summarize,
)

INF = math.inf


def test_quartiles_are_values_and_the_worse_one_where_they_lie_between_two():
    assert spread([1, 2, 3, INF]) == (2, 3, INF)
    assert spread([0.9, 0.8, -INF, 0.7], high_is_good=True) == (-INF, 0.7, 0.8)


def test_a_lost_run_is_counted_and_never_averaged_away(outcome):
    runs = [outcome([0.9], seed, test=0.9) for seed in range(3)] + [outcome([], 3, failure="blow-up")] * 4
    s = summarize(runs, 1.5)
    assert s.failures == {"blow-up": 4}
    assert s.score == (-INF, -INF, 0.9)
    assert s.loss[1] == INF
    assert s.compile_seconds == 1.5


def test_expected_time_is_all_that_was_spent_over_the_hits(outcome):
    runs = [
        outcome([0.5, 0.95, 0.96]),
        outcome([0.5, 0.6, 0.7], 1),
        outcome([0.96], 2),
        outcome([], 3, failure="error"),
    ]
    r = reach(runs, 0.95)
    assert (r.hits, r.runs) == (2, 4)
    assert r.each["updates"] == (20, INF, 10, INF)
    assert r.median["seconds"] == INF  # two of four never arrived
    assert r.expected["seconds"] == pytest.approx((2 + 3 + 1 + 0.3) / 2)
    assert r.expected["updates"] == (20 + 30 + 10 + 3) / 2
    never = reach(runs, 0.99)
    assert (never.hits, never.expected["seconds"]) == (0, INF)
    assert reach(runs, -INF).hits == 0  # no baseline, no target


def test_epochs_are_counted_in_examples(outcome):
    half = replace(outcome([0.5, 0.9]), samples=400)  # 200 examples
    assert summarize([half], 0).epochs == (0.5, 0.5, 0.5)
    assert reach([half], 0.9).median["epochs"] == 0.5
    assert reach([half], 0.8).expected["epochs"] == 0.5
    assert curve([half], "epochs").x == [0.25, 0.5]


def test_pairs_are_seed_by_seed(outcome):
    a = [outcome([0.9], seed, test=0.90 + 0.01 * seed) for seed in range(8)]
    b = [outcome([0.9], seed, test=0.89 + 0.01 * seed, batch=1) for seed in range(8)]
    p = pair(a, b)
    assert p.difference.value == pytest.approx(0.01)
    assert p.difference.low == pytest.approx(0.01) and p.settled  # although the two spread over each other
    assert p.better.value == 1
    assert not pair(a, a).settled
    assert pair(a, a).better.value == 0.5


def test_few_seeds_settle_nothing(outcome):
    def alike(count):
        return [
            [outcome([0.9], seed, test=score, batch=batch) for seed in range(count)]
            for batch, score in ((1, 0.9), (2, 0.8))
        ]

    assert [pair(*alike(count)).settled for count in (1, 4, 5, 10)] == [False, False, True, True]
    # The median lies above, or below, all of n values once in 2^n each.
    assert [coverage(n) for n in (1, 2, 3, 4, 5, 6, 10)] == [0, 50, 75, 87, 93, 95, 95]


def test_the_share_of_wins_is_uncertain_even_where_all_are_won():
    ten, half = share(10, 10), share(5, 10)
    assert (ten.value, ten.high, half.value) == pytest.approx((1, 1, 0.5))
    assert ten.low == pytest.approx(0.7225, abs=1e-4)  # 1 / (1 + z^2 / n)
    assert (half.low, half.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_a_lost_run_loses_its_pair(outcome):
    good = [outcome([0.9], seed, test=0.9) for seed in range(5)]
    lost = [outcome([], seed, failure="nonfinite") for seed in range(5)]
    assert pair(good, lost).difference.value == INF
    assert pair(lost, good).better.value == 0
    assert pair(lost, lost).difference.value == 0


def test_the_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    mean = lambda rows: rows.mean(axis=1)  # noqa: E731
    hits = [not bootstrap(random.normal(0.3, 1, 30), mean).excludes(0.3) for _ in range(200)]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_how_many_times_quicker(outcome):
    a = reach([outcome([0.95], seed) for seed in range(4)], 0.9)
    b = reach([outcome([0.5, 0.5, 0.95], seed) for seed in range(3)] + [outcome([0.1], 3)], 0.9)
    ratio = quicker(a, b, "updates")
    assert (ratio.value, ratio.low, ratio.high) == (3, 3, INF)
    assert quicker(reach([outcome([0.1])], 0.9), reach([outcome([0.1])], 0.9), "updates") is None


def test_performance_profile(outcome):
    a = reach([outcome([0.95]), outcome([0.1, 0.95], 1)], 0.9)
    b = reach([outcome([0.1, 0.95]), outcome([0.1, 0.1], 1)], 0.9)
    (xs, first), (_, second) = profile([a, b], "updates")
    assert (xs, first, second) == ([1, 2], [1, 1], [0, 0.5])


def test_curve_of_runs_of_different_length(outcome):
    c = curve([outcome([0.1, 0.2], losses=[3, 1]), outcome([0.1], losses=[5]), outcome([], failure="error")], "updates")
    assert (c.x, c.middle, c.low) == ([10, 20], [4, 1], [3.5, 1])


def test_the_clocks_have_names_that_outcomes_know(outcome):
    assert set(reach([outcome()], 0.1).median) == set(statistics.CLOCKS)
