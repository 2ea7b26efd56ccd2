"""What theory says of gradient descent, as the runs of a comparison measure it."""

from dataclasses import replace

import numpy as np
import pytest

import nbdl
from nbdl.comparison import Comparison, Contender, Run, Spec, inline
from nbdl.comparison.runs import execute, untimed
from nbdl.training import shuffles


def run(problem, contender, seed=0):
    outcome = execute(Run(contender, seed, True), problem.digest, problem, None, False)
    assert outcome.failure != "error", outcome.message
    return outcome


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 3.0])
def test_batch_descent_converges_below_two_over_the_largest_curvature_and_diverges_above(plane, share):
    make, largest = plane
    outcome = run(make(nbdl.Budget(updates=1500)), Contender("full", nbdl.SGD(share * 2 / largest)))
    if share < 1:
        assert outcome.failure is None
        losses = [epoch.train_loss for epoch in outcome.epochs]
        assert losses[-1] < 1e-6 * losses[0]
    else:
        assert outcome.failure == "blow-up"
        assert outcome.failure_update == outcome.updates < 1500


def test_a_batch_of_n_is_batch_descent_bit_for_bit(moons):
    problem = moons("serial")
    n = len(problem.split(3)[0])
    for name in ("sgd", "adam"):
        a, b = (run(problem, Contender(batch, nbdl.optimizer(name)), 3) for batch in ("full", n))
        assert untimed(a.as_data())["epochs"] == untimed(b.as_data())["epochs"]
        assert (a.test_loss, a.updates) == (b.test_loss, 4)


def test_a_batch_of_one_is_one_example_after_the_other_bit_for_bit(moons):
    problem = moons("serial", budget=nbdl.Budget(epochs=2))
    data, cost = problem.split(3)[0], nbdl.loss(problem.loss)
    model, by_hand = (nbdl.Sequential(problem.layers, problem.input_shape, seed=3) for _ in range(2))
    for _ in nbdl.Training(model, data, cost, nbdl.SGD(0.1), batch=1, budget=problem.budget, seed=3).steps():
        pass
    orders = shuffles(len(data), 3)
    for _ in range(2):
        for row in next(orders):
            one = nbdl.Data(data.inputs[row : row + 1], data.targets[row : row + 1])
            alone = nbdl.Training(by_hand, one, cost, nbdl.SGD(0.1), batch="full", budget=nbdl.Budget(updates=1))
            for _ in alone.steps():
                pass
    assert model.parameters.flat.tobytes() == by_hand.parameters.flat.tobytes()
    end = run(problem, Contender(1, nbdl.SGD(0.1)), 3)
    assert end.updates == 2 * len(data)
    assert end.epochs[-1].validation_loss == nbdl.Evaluation(model, problem.split(3)[1], cost).run().loss


def test_a_seed_gives_every_contender_the_same_split_and_never_touches_the_test(moons):
    problem = moons()
    learn, check = problem.split(5)
    again, other = problem.split(5), problem.split(6)
    assert again[0].inputs.tobytes() == learn.inputs.tobytes() != other[0].inputs.tobytes()
    pool = np.concatenate([problem.train.inputs, problem.validation.inputs])
    both = np.concatenate([learn.inputs, check.inputs])
    assert np.array_equal(np.sort(pool, axis=0), np.sort(both, axis=0))
    assert len(learn) == len(problem.train)
    assert np.bincount(check.targets).tolist() == np.bincount(problem.validation.targets).tolist()


def test_a_split_is_as_large_as_it_says_and_every_class_has_its_share(moons):
    classes = np.repeat([0, 1, 2, 3], [7, 5, 3, 1])
    whole = nbdl.Data(np.arange(16, dtype=np.float32)[:, None], classes)
    parts = [nbdl.Data(whole.inputs[part], whole.targets[part]) for part in (slice(0, 11), slice(11, 16))]
    problem = replace(moons(), train=parts[0], validation=parts[1])
    for seed in range(3):
        learn, check = problem.split(seed)
        assert (len(learn), len(check)) == (11, 5)
        # 11/16 of 7, 5, 3 and 1 is 4.81, 3.44, 2.06 and 0.69: of 11, the two that are left go to the first and the last
        assert np.bincount(learn.targets, minlength=4).tolist() == [5, 3, 2, 1]


@pytest.mark.parametrize(("rate", "kind"), [(1e9, ("blow-up", "nonfinite")), (1e-9, ("stalled",)), (0.5, (None,))])
def test_failures_are_found_with_their_update(moons, rate, kind):
    outcome = run(moons(), Contender(10, nbdl.SGD(rate)))
    assert outcome.failure in kind
    if outcome.lost:
        assert outcome.failure_update == outcome.updates <= 5
        assert outcome.test_accuracy is None
    if outcome.failure == "stalled":
        assert outcome.failure_update == 2 * 12 and outcome.test_accuracy is not None


def test_a_run_that_takes_too_long_is_given_up(moons):
    problem = moons(timeout=0.05, budget=nbdl.Budget(epochs=10**6))
    outcome = run(problem, Contender(1, nbdl.SGD(0.1)))
    assert outcome.failure == "timeout"
    assert outcome.failure_update == outcome.updates > 0


def test_an_error_inside_a_run_is_an_outcome(moons):
    problem = moons()
    outcome = execute(Run(Contender(10**6, nbdl.SGD(0.1)), 0, True), problem.digest, problem, None, False)
    assert outcome.failure == "error"
    assert "from 1 to 120" in outcome.message


@pytest.mark.parametrize("kind", ["epochs", "updates", "examples"])
def test_the_clock_of_the_budget_is_the_equal_one(moons, kind):
    budget = nbdl.Budget(**{kind: {"epochs": 2, "updates": 30, "examples": 240}[kind]})
    contenders = tuple(Contender(batch, nbdl.SGD(0.1)) for batch in (1, 10, "full"))
    comparison = Comparison(Spec(contenders, budget, tuning_seeds=(), seeds=(0,)), moons(budget=budget))
    outcomes = list(comparison.run(inline()))
    counts = {
        "epochs": [round(o.examples / 120, 6) for o in outcomes],
        "updates": [o.updates for o in outcomes],
        "examples": [o.examples for o in outcomes],
    }
    assert len(set(counts[kind])) == 1
    assert len(set(counts["updates"])) == (1 if kind == "updates" else 3)
