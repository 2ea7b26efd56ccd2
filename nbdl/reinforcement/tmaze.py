"""The T-maze: a cue at the start tells the turn at the end of a corridor, and is not seen again on the way.

    0 1 2 ... length       The walker starts at 0, where a cue says north or south. Every step east leads nearer to the
                 N         junction, in which nothing tells the two sides apart: who has not kept the cue in mind can only
    > - - - - - +          guess, and is right half the time. Reward: 1 for the right side, -0.1 for the wrong one and for
                 S         each step into a wall.

Source: Bakker 2001, Reinforcement Learning with Long Short-Term Memory.
"""

from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.reinforcement.environment import Environment, Response

NORTH, SOUTH, EAST, WEST = range(4)
LENGTH = 20
LONGEST = 1000
RIGHT, WRONG, BUMP = 1.0, -0.1, -0.1


class TMaze(Environment):
    """`copies` T-mazes with a corridor of `length` steps; a right turn is worth 1."""

    actions = ("north", "south", "east", "west")
    signals = ("cue north", "cue south", "corridor", "junction")
    target = 0.95

    def __init__(self, copies: int, length: int = LENGTH):
        if not 1 <= length <= LONGEST:
            raise NbdlError(f"a T-maze of length {length}; expected 1 to {LONGEST} steps.")
        self.name, self.copies, self.length = f"tmaze:{length}", copies, length
        self.most_steps = 4 * length + 10
        self._rows = np.arange(copies)

    def reset(self, random: np.random.Generator) -> np.ndarray:
        self.cue = random.integers(NORTH, SOUTH + 1, self.copies)
        self.place = np.zeros(self.copies, int)
        self.turned = np.full(self.copies, -1)
        return self._seen()

    def _seen(self) -> np.ndarray:
        seen = np.zeros((self.copies, 4), np.float32)
        signal = np.where(self.place == 0, self.cue, np.where(self.place < self.length, 2, 3))
        seen[self._rows, signal] = 1
        return seen

    def step(self, actions: np.ndarray, running: np.ndarray) -> Response:
        junction = self.place == self.length
        turns = running & junction & (actions <= SOUTH)
        self.turned[turns] = actions[turns]
        move = np.where(actions == EAST, 1, np.where(actions == WEST, -1, 0))
        there = self.place + np.where(running, move, 0)
        bumps = running & ~turns & ((there < 0) | (there > self.length) | (move == 0))
        self.place = np.clip(there, 0, self.length)
        rewards = np.where(bumps, BUMP, 0.0)
        rewards[turns] = np.where(self.turned[turns] == self.cue[turns], RIGHT, WRONG)
        return Response(self._seen(), rewards, turns, np.zeros(self.copies, bool))

    def right(self) -> np.ndarray:
        return self.turned == self.cue

    def scene(self, copy: int = 0) -> dict[str, Any]:
        return {
            "length": self.length,
            "place": int(self.place[copy]),
            "cue": self.actions[self.cue[copy]],
            "turned": self.actions[self.turned[copy]] if self.turned[copy] >= 0 else None,
        }
