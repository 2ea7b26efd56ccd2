"""The rules of the T-maze, by walks whose every step is known."""

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl.reinforcement import environment
from nbdl.reinforcement.tmaze import EAST, NORTH, SOUTH, WEST

ALL = np.ones(2, bool)


def maze(length=3, cues=(NORTH, SOUTH)):
    world = environment(f"tmaze:{length}", 2)
    for seed in range(100):
        seen = world.reset(np.random.default_rng(seed))
        if tuple(world.cue) == cues:
            return world, seen
    raise AssertionError("these cues never came")


def act(world, *actions, running=ALL):
    for action in actions:
        response = world.step(np.broadcast_to(action, 2), running)
    return response


def test_the_cue_is_seen_at_the_start_and_nowhere_else():
    world, seen = maze()
    assert seen.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    for place in range(1, 4):
        seen = act(world, EAST).observations
        assert seen.tolist() == [[0, 0, place < 3, place == 3]] * 2
    assert act(world, WEST, WEST, WEST).observations.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]


def test_the_right_turn_and_the_wrong_one():
    for turn in (NORTH, SOUTH):
        world, _ = maze()
        response = act(world, EAST, EAST, EAST, turn)
        assert response.ended.all()
        assert response.rewards.tolist() == ([1, -0.1] if turn == NORTH else [-0.1, 1])
        assert world.right().tolist() == [turn == NORTH, turn == SOUTH]


@pytest.mark.parametrize("before, bump", [([], WEST), ([], NORTH), ([EAST], SOUTH), ([EAST] * 3, EAST)])
def test_walls_hurt_and_hold(before, bump):
    world, _ = maze()
    there = act(world, *before).observations if before else world._seen()
    response = act(world, bump)
    assert response.rewards.tolist() == [-0.1, -0.1]
    assert not response.ended.any()
    assert response.observations.tolist() == there.tolist()


def test_who_has_finished_stands_still():
    world, _ = maze()
    response = act(world, EAST, EAST, running=np.array([True, False]))
    assert world.place.tolist() == [2, 0]
    assert response.rewards.tolist() == [0, 0]
    assert act(world, NORTH, running=np.array([False, True])).rewards.tolist() == [0, -0.1]


def test_both_cues_are_as_likely_and_come_from_the_seed():
    world = environment("tmaze:5", 2000)
    world.reset(np.random.default_rng(7))
    cues = world.cue.copy()
    assert 900 < cues.sum() < 1100
    world.reset(np.random.default_rng(7))
    assert (world.cue == cues).all()


@pytest.mark.parametrize("name", ["tmaze:0", "tmaze:1001", "tmaze:x", "tmaze:-3", "tmaz", "", " "])
def test_mazes_that_do_not_exist(name):
    with pytest.raises(NbdlError):
        environment(name)
