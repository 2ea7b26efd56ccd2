"""Gymnasium's worlds: which fit, which are refused and why, and what is said where it is not installed."""

import subprocess
import sys

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl.reinforcement import environment


def test_without_gymnasium_the_extra_is_named():
    code = """
import sys
sys.modules["gymnasium"] = None
from nbdl.reinforcement import environment
print(environment("tmaze").name)
environment("CartPole-v1")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "tmaze:20\n"
    assert "pip install 'nbdl[gym]'" in done.stderr.splitlines()[-1]


def test_cart_pole_is_theirs_step_by_step():
    gymnasium = pytest.importorskip("gymnasium")
    ours = environment("CartPole-v1", 2)
    masked = environment("CartPole-v1:masked", 2)
    seen, glimpse = (world.reset(np.random.default_rng(5)) for world in (ours, masked))
    np.testing.assert_array_equal(glimpse, seen[:, [0, 2]])
    seeds = np.random.default_rng(5).integers(0, 2**31, 2)
    theirs = [gymnasium.make("CartPole-v1") for _ in seeds]
    for row, (world, seed) in enumerate(zip(theirs, seeds, strict=True)):
        np.testing.assert_array_equal(seen[row], world.reset(seed=int(seed))[0])
    running, random = np.ones(2, bool), np.random.default_rng(0)
    while running.any():
        actions = random.integers(0, 2, 2)
        response, masked_response = ours.step(actions, running), masked.step(actions, running)
        for row in running.nonzero()[0]:
            shown, reward, over, late, _ = theirs[row].step(actions[row])
            np.testing.assert_array_equal(response.observations[row], shown)
            assert (response.rewards[row], response.ended[row], response.cut[row]) == (reward, over, late)
        np.testing.assert_array_equal(masked_response.observations, response.observations[:, [0, 2]])
        running &= ~response.ended
    assert masked.signals == ("cart", "angle")
    assert len(masked.scene()["state"]) == 4


def test_a_discrete_observation_is_one_hot():
    pytest.importorskip("gymnasium")
    lake = environment("FrozenLake-v1", 2)
    assert lake.reset(np.random.default_rng(0)).tolist() == [[1] + [0] * 15] * 2
    assert (len(lake.signals), len(lake.actions), lake.most_steps) == (16, 4, 100)


def test_a_clock_that_runs_out_is_no_end():
    pytest.importorskip("gymnasium")
    hill = environment("MountainCar-v0")
    hill.reset(np.random.default_rng(0))
    for step in range(200):
        response = hill.step(np.array([1]), np.ones(1, bool))
        assert (response.ended[0], response.cut[0]) == (False, step == 199)


REFUSED = {
    "Pendulum-v1": "chooses among a few",
    "Blackjack-v1": "a row of numbers",
    "Nope-v1": "no world 'Nope-v1'",
    "CartPole-v99": "no world",
    "not a name": "no world",
    "nosuchmodule:Nope-v0": "no world",
    "CartPole-v1:hide=0,9": "0 to 3",
    "CartPole-v1:hide=0,1,2,3": "one at least must stay",
    "CartPole-v1:hide=x": "expected CartPole-v1:masked",
    "FrozenLake-v1:masked": "not known here",
}


@pytest.mark.parametrize("name", REFUSED)
def test_worlds_that_do_not_fit_are_refused(name):
    pytest.importorskip("gymnasium")
    with pytest.raises(NbdlError, match=REFUSED[name]):
        environment(name)
