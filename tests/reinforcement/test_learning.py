"""Learning by trial: advantages by their definition, worlds that need memory and worlds that do not, and resumed runs."""

import numba
import numpy as np
import pytest

from nbdl import Adam, Dense, Sequential, load_checkpoint, save_checkpoint
from nbdl.errors import NbdlError
from nbdl.reinforcement import Environment, Response, environment
from nbdl.reinforcement.learning import Learning
from nbdl.reinforcement.policy import is_recurrent, policy
from nbdl.reinforcement.rollout import Episodes, advantages, collect, draw, evaluate
from nbdl.stepper import Stepper
from nbdl.training import Diverged


class Bandit(Environment):
    """One arm of three is worth pulling, and one pull is all there is."""

    name, actions, signals, most_steps = "bandit", ("a", "b", "c"), ("nothing",), 1

    def __init__(self, copies, rewards=(0.0, 1.0, 0.5)):
        self.copies, self.rewards = copies, np.array(rewards)

    def reset(self, random):
        return np.ones((self.copies, 1), np.float32)

    def step(self, actions, running):
        over = np.ones(self.copies, bool)
        return Response(np.ones((self.copies, 1), np.float32), self.rewards[actions], over, ~over)


class Clock(Environment):
    """Worth 1 a step, and never over: the time runs out, after 5 steps or earlier."""

    name, actions, signals, most_steps = "clock", ("a", "b"), ("step",), 5

    def __init__(self, copies, early=()):
        self.copies, self.early = copies, early

    def reset(self, random):
        self.now = 0
        return np.zeros((self.copies, 1), np.float32)

    def step(self, actions, running):
        self.now += 1
        cut = np.array([self.now == 2 and row in self.early for row in range(self.copies)])
        seen = np.full((self.copies, 1), self.now, np.float32)
        return Response(seen, np.where(running, 1.0, 0.0), np.zeros(self.copies, bool), cut)


def learning(world, layers="8,tanh", seed=0, **settings):
    settings = {"method": "reinforce", "updates": 6, "backend": "serial", **settings}
    return Learning(policy(world, layers, seed=seed), world, Adam(0.02), seed=seed, **settings)


def learn(one):
    for _ in one.updates():
        pass
    return one


def test_the_best_arm_is_found():
    one = learn(learning(Bandit(32), updates=60))
    assert evaluate(one.model, Bandit(10)).returns.min() == 1
    assert one.history[-1].mean_return > 0.9


def episodes(random, lengths, steps=7):
    counts = np.arange(steps) < np.array(lengths)[:, None]
    rewards, values = (np.where(counts, random.standard_normal(counts.shape), 0) for _ in range(2))
    rest = random.standard_normal(len(lengths))
    return Episodes(np.zeros((*counts.shape, 1)), np.where(counts, 0, -1), rewards, values, rest, counts.sum(axis=1))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_with_a_trace_of_1_the_advantage_is_the_return_minus_the_value(bootstrap):
    these = episodes(np.random.default_rng(0), [7, 1, 4])
    found = advantages(these, 0.9, 1.0, bootstrap)
    for i, n in enumerate(these.lengths):
        for t in range(n):
            ahead = sum(0.9 ** (k - t) * these.rewards[i, k] for k in range(t, n))
            ahead += bootstrap * 0.9 ** (n - t) * these.rest[i]
            assert found[i, t] == pytest.approx(ahead - these.values[i, t])
        assert not found[i, n:].any()


def test_with_a_trace_of_0_it_is_one_step_of_surprise():
    these = episodes(np.random.default_rng(1), [3, 5])
    found = advantages(these, 0.8, 0.0, True)
    for i, n in enumerate(these.lengths):
        following = [*these.values[i, 1:n], these.rest[i]]
        np.testing.assert_allclose(found[i, :n], these.rewards[i, :n] + 0.8 * np.array(following) - these.values[i, :n])


def test_what_is_kept_of_episodes_of_unequal_length():
    world = Clock(3, early=(1,))
    model = policy(world, "4,tanh", seed=1)
    output = model.places[-1].name
    model.parameters[f"{output}.w"][...] = np.random.default_rng(0).standard_normal((4, 3))
    found = collect(world, Stepper(model, 3), np.random.default_rng(0), unit=10)
    assert found.lengths.tolist() == [5, 2, 5]
    assert found.returns.tolist() == [5, 2, 5]
    assert (found.actions[1] >= 0).tolist() == [True, True, False, False, False]
    assert found.observations[:, :, 0].tolist() == [[0, 1, 2, 3, 4], [0, 1, 0, 0, 0], [0, 1, 2, 3, 4]]
    step = Stepper(model, 1)
    values = [10 * float(step.step([[now]])[0, -1]) for now in range(6)]
    np.testing.assert_allclose(found.values[0], values[:5], rtol=1e-5)
    np.testing.assert_allclose(found.rest, [values[5], values[2], values[5]], rtol=1e-5)


def test_actions_are_drawn_as_the_policy_says():
    p = np.tile([0.5, 0.2, 0.3], (20000, 1))
    shares = np.bincount(draw(p, np.random.default_rng(0))) / len(p)
    np.testing.assert_allclose(shares, p[0], atol=0.02)
    assert (draw(np.tile([0.0, 1.0, 0.0], (1000, 1)), np.random.default_rng(0)) == 1).all()


@pytest.mark.parametrize("method", ["reinforce", "actor-critic"])
def test_a_maze_needs_memory(method):
    shares = {}
    for layers in ("32,tanh", "gru:16"):
        one = learn(learning(environment("tmaze:6", 32), layers, method=method, entropy=0.02, updates=250, target=0.85))
        shares[layers] = evaluate(one.model, environment("tmaze:6", 200), seed=1).share_right
        assert is_recurrent(one.model) == (layers == "gru:16")
    assert shares["gru:16"] > 0.95
    assert 0.35 < shares["32,tanh"] < 0.65


def test_cart_pole_is_balanced():
    pytest.importorskip("gymnasium")
    one = learn(learning(environment("CartPole-v1", 16), "dense", updates=60, target=300))
    assert one.solved
    assert evaluate(one.model, environment("CartPole-v1", 20)).returns.mean() > 250


@pytest.mark.parametrize("layers", ["8,tanh", "gru:8"])
def test_a_resumed_run_gives_the_same_bits(tmp_path, layers):
    whole = learn(learning(environment("tmaze:4", 8), layers, method="actor-critic"))
    half = learn(learning(environment("tmaze:4", 8), layers, method="actor-critic", updates=3))
    save_checkpoint(tmp_path / "half", half.training, {"reinforcement": half.record})
    rest = learning(environment("tmaze:4", 8), layers, method="actor-critic")
    rest.restore(load_checkpoint(tmp_path / "half"))
    learn(rest)
    assert rest.model.parameters.flat.tobytes() == whole.model.parameters.flat.tobytes()
    without_clocks = [[u.update, u.episodes, u.steps, u.mean_return, u.loss] for u in rest.history]
    assert without_clocks == [[u.update, u.episodes, u.steps, u.mean_return, u.loss] for u in whole.history]


def test_a_checkpoint_of_another_learning_is_refused(tmp_path):
    one = learn(learning(environment("tmaze:4", 8), updates=1))
    save_checkpoint(tmp_path / "one", one.training, {"reinforcement": one.record})
    with pytest.raises(NbdlError, match=r"discount 0\.99, not 0\.9"):
        learning(environment("tmaze:4", 8), discount=0.9).restore(load_checkpoint(tmp_path / "one"))


def test_any_number_of_threads_gives_the_same_bits():
    most, found = numba.get_num_threads(), set()
    for threads, backend in ((1, "parallel"), (most, "parallel"), (1, "serial")):
        numba.set_num_threads(threads)
        one = learn(learning(environment("tmaze:2", 4), "gru:8", updates=2, backend=backend))
        found.add(one.model.parameters.flat.tobytes())
    numba.set_num_threads(most)
    assert len(found) == 1


def test_learning_stops_when_it_is_solved():
    one = learn(learning(Bandit(50, rewards=(1, 1, 1)), updates=40, target=1.0))
    assert one.solved
    assert len(one.history) == 2  # a hundred episodes


def test_a_policy_that_has_lost_its_senses_is_named():
    one = learning(Bandit(4))
    one.model.parameters.flat[:] = np.nan
    with pytest.raises(Diverged, match="nonfinite"):
        learn(one)


BAD = {
    "method": ({"method": "sarsa"}, "reinforce, actor-critic"),
    "discount": ({"discount": 1.1}, "0 to 1"),
    "trace": ({"trace": -0.1}, "0 to 1"),
    "cuda": ({"backend": "cuda"}, "on the processor"),
    "entropy": ({"entropy": -1}, "0 or more"),
}


@pytest.mark.parametrize("what", BAD)
def test_settings_that_make_no_sense(what):
    settings, says = BAD[what]
    with pytest.raises(NbdlError, match=says):
        learning(Bandit(4), **settings)


def test_networks_that_do_not_fit():
    with pytest.raises(NbdlError, match="needs a network of shape"):
        Learning(policy(Clock(2)), Bandit(2), Adam())
    with pytest.raises(NbdlError, match="cannot act step by step"):
        policy(Bandit(2), "16,dropout:0.5")
    with pytest.raises(NbdlError, match="copies"):
        environment("tmaze", 0)
    assert not is_recurrent(Sequential([Dense(2)], (3,)))
