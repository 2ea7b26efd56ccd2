"""What an environment is: some copies of one world that advance together, each in an episode of its own."""

from typing import Any, NamedTuple

import numpy as np


class Response(NamedTuple):
    """What the world answers: what is seen next, what it was worth, and whose episode ended or ran out of time."""

    observations: np.ndarray  # (copies, observations)
    rewards: np.ndarray  # (copies)
    ended: np.ndarray  # (copies), true where nothing more can come
    cut: np.ndarray  # (copies), true where the world stopped the clock: more could have come


class Environment:
    """Base of all. An action is the number of one of `actions`; an observation is one number for each of `signals`.

    An episode has `most_steps` steps at most. A mean return of `target` counts as solved. All chance comes from the
    generator that `reset` is given.
    """

    name: str  # as `nbdl.reinforcement.environment` reads it
    copies: int
    actions: tuple[str, ...]
    signals: tuple[str, ...]
    most_steps: int
    target: float | None = None

    def reset(self, random: np.random.Generator) -> np.ndarray:
        """Begin a new episode in every copy and return what is seen."""
        raise NotImplementedError

    def step(self, actions: np.ndarray, running: np.ndarray) -> Response:
        """Act in the copies that are `running`; the others stand still, with a reward of 0."""
        raise NotImplementedError

    def right(self) -> np.ndarray | None:
        """Whose episode came to the right end, for worlds that have one; else None."""
        return None

    def scene(self, copy: int = 0) -> dict[str, Any]:
        """The true state of one copy, hidden parts included, as plain data: for who draws it."""
        return {}

    def close(self) -> None:
        """Let go of what the world holds."""
