"""Two sentences that say what the runs support, be the contenders few or many."""

import pytest

import nbdl
from nbdl.comparison import Comparison, Contender, Spec, verdict


@pytest.fixture
def compared(moons, outcome):
    def make(tests, arrivals, seeds=10, budget=None):
        """Contenders of batch 1, 2, ...: their test scores, equal on all seeds, and the epoch that reaches the target."""
        problem = moons()
        contenders = tuple(Contender(batch, nbdl.SGD(0.1)) for batch in range(2, 2 + len(tests)))
        spec = Spec(
            contenders, budget or problem.budget, tuning_seeds=(), seeds=tuple(range(seeds)), target=0.9, about={}
        )
        runs = {}
        for contender, test, arrival in zip(contenders, tests, arrivals, strict=True):
            scores = [0.95 if arrival and n >= arrival else 0.5 for n in range(1, 11)]
            for seed in spec.seeds:
                one = outcome(scores, seed, test=test + 0.001 * seed, batch=contender.batch)
                runs[one.run] = one
        return Comparison(spec, problem, outcomes=runs)

    return make


def test_few_are_named_with_their_intervals(compared):
    result, way = verdict(compared([0.9, 0.8, 0.9], [2, 4, None]))
    assert result == (
        "With 4 epochs each, mini-batch 2, sgd 0.1 has the highest median test accuracy, 90.4 %: better than "
        "mini-batch 3, sgd 0.1 (+10.0 to +10.0), 95 % intervals of the paired difference in points, but not told apart "
        "from mini-batch 4, sgd 0.1 (+0.0 to +0.0) by 10 seeds."
    )
    assert way == (
        "To 90.0 % on validation mini-batch 2, sgd 0.1 took the fewest seconds in the median, fewer than mini-batch 3, "
        "sgd 0.1 (2 to 2 times); mini-batch 4, sgd 0.1 never got there."
    )


def test_many_are_counted(compared):
    result, way = verdict(compared([0.9] + [0.8] * 6 + [0.9] * 5, [1] + [2] * 6 + [None] * 5))
    assert "better than 6 of the 11 others (each +10.0 or more), 95 % intervals" in result
    assert "not told apart from 5 of the 11 others by 10 seeds." in result
    assert "fewer than 6 of the 11 others; 5 of the 11 others never got there." in way
    all_of_them = verdict(compared([0.9] + [0.8] * 6, [1] + [2] * 6))
    assert "better than all 6 others" in all_of_them[0] and "fewer than all 6 others." in all_of_them[1]


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "by 1 seed."), (4, "by 4 seeds."), (5, "93 % intervals"), (6, "95 % intervals")]
)
def test_few_seeds_settle_nothing(compared, seeds, words):
    result, way = verdict(compared([0.9, 0.5], [1, 9], seeds, nbdl.Budget(epochs=1)))
    assert result.startswith("With 1 epoch each, ")
    assert words in result
    assert ("better than" in result) == ("fewer than" in way) == (seeds >= 5)


def test_nothing_is_said_of_what_did_not_happen(compared):
    comparison = compared([0.9, 0.8], [None, None])
    assert verdict(comparison)[1] == "No contender reached 90.0 % on validation."
