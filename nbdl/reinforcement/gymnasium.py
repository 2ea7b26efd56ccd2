"""Worlds of the Gymnasium library by name, such as CartPole-v1: those with a few actions to choose from.

`CartPole-v1:masked` hides the velocities, `NAME:hide=1,3` any numbers of the observation: what is hidden has to be worked
out from what was seen before. Gymnasium is an extra: it is imported when it is asked for.
"""

import re
import warnings
from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.reinforcement.environment import Environment, Response

VELOCITIES = {"CartPole": (1, 3), "MountainCar": (1,), "Acrobot": (4, 5), "LunarLander": (2, 3, 5)}
SIGNALS = {
    "CartPole": ("cart", "cart speed", "angle", "angular speed"),
    "MountainCar": ("place", "speed"),
    "Acrobot": ("cos 1", "sin 1", "cos 2", "sin 2", "speed 1", "speed 2"),
    "LunarLander": ("x", "y", "x speed", "y speed", "angle", "angular speed", "left leg", "right leg"),
}
ACTIONS = {
    "CartPole": ("left", "right"),
    "MountainCar": ("left", "none", "right"),
    "Acrobot": ("-1", "0", "+1"),
    "LunarLander": ("none", "left", "main", "right"),
}
MOST_STEPS = 1000  # of an episode, where the world itself has no limit


class Gymnasium(Environment):
    """`copies` of a Gymnasium environment with discrete actions; raises NbdlError where it does not fit.

    A discrete observation becomes one number for each of its values, 1 for the one that is seen.
    """

    def __init__(self, copies: int, name: str):
        gym = _library()
        parts = re.fullmatch(r"(.*?-v\d+):(.*)", name)
        world, hidden = parts.groups() if parts else (name, "")
        self.copies, self._worlds = copies, [_make(gym, world)]
        first = self._worlds[0]
        kind = re.sub(r"-v\d+$", "", world.rsplit("/", 1)[-1])
        spaces = gym.spaces
        if not isinstance(first.action_space, spaces.Discrete):
            raise NbdlError(
                f"{world} has actions of the kind {first.action_space}; nbdl chooses among a few, as in CartPole-v1 "
                "(a Discrete action space)."
            )
        seen = first.observation_space
        if isinstance(seen, spaces.Discrete):
            self._one_hot: int | None = int(seen.start)
            size = int(seen.n)
        elif isinstance(seen, spaces.Box) and len(seen.shape) == 1:
            self._one_hot, size = None, seen.shape[0]
        else:
            raise NbdlError(
                f"{world} shows {seen}; nbdl takes worlds that show a row of numbers, as CartPole-v1 does "
                "(a Box of one dimension, or Discrete)."
            )
        count = int(first.action_space.n)
        if count < 2:
            raise NbdlError(f"{world} has {count} action: there is nothing to choose.")
        self._first_action, self._size = int(first.action_space.start), size
        names = SIGNALS.get(kind, ())
        hide = _hidden(world, kind, hidden, size)
        self._shown = [number for number in range(size) if number not in hide]
        self.signals = tuple(names[i] if len(names) == size else str(i) for i in self._shown)
        self.actions = ACTIONS[kind] if len(ACTIONS.get(kind, ())) == count else tuple(map(str, range(count)))
        self.name = name
        self.most_steps = first.spec.max_episode_steps or MOST_STEPS
        self.target = first.spec.reward_threshold
        self._worlds += [_make(gym, world) for _ in range(copies - 1)]
        self._seen = np.zeros((copies, len(self._shown)), np.float32)

    def reset(self, random: np.random.Generator) -> np.ndarray:
        for row, (world, seed) in enumerate(zip(self._worlds, random.integers(0, 2**31, self.copies), strict=True)):
            self._show(int(row), world.reset(seed=int(seed))[0])
        return self._seen.copy()

    def _show(self, row: int, observation: Any) -> None:
        if self._one_hot is not None:
            observation = np.eye(1, self._size, int(observation) - self._one_hot)[0]
        shown = np.asarray(observation, np.float32)[self._shown]
        if not np.isfinite(shown).all():
            raise NbdlError(f"{self.name} showed {shown.tolist()}: numbers that are not finite teach nothing.")
        self._seen[row] = shown

    def step(self, actions: np.ndarray, running: np.ndarray) -> Response:
        rewards = np.zeros(self.copies)
        ended, cut = np.zeros(self.copies, bool), np.zeros(self.copies, bool)
        for row in map(int, running.nonzero()[0]):
            seen, reward, over, late, _ = self._worlds[row].step(int(actions[row]) + self._first_action)
            self._show(row, seen)
            rewards[row], ended[row], cut[row] = reward, over, late and not over
        return Response(self._seen.copy(), rewards, ended, cut)

    def scene(self, copy: int = 0) -> dict[str, Any]:
        state = getattr(self._worlds[copy].unwrapped, "state", None)
        numbers = state if state is not None and np.ndim(state) == 1 else self._seen[copy]
        return {"state": [float(number) for number in numbers]}

    def close(self) -> None:
        for world in self._worlds:
            world.close()


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import gymnasium
    except ImportError:
        raise NbdlError(
            "this world is one of Gymnasium's, which is not installed: pip install 'nbdl[gym]'. tmaze needs nothing."
        ) from None
    return gymnasium


def _make(gym: Any, world: str) -> Any:
    try:
        with warnings.catch_warnings():  # an old version of a world is what was asked for
            warnings.simplefilter("ignore")
            return gym.make(world, disable_env_checker=True)
    except gym.error.DependencyNotInstalled as error:
        raise NbdlError(f"{world} needs more than Gymnasium itself: {_sentence(error)}.") from None
    except (gym.error.Error, ImportError, ValueError) as error:
        raise NbdlError(
            f"Gymnasium has no world {world!r} ({_sentence(error)}); try CartPole-v1 or Acrobot-v1."
        ) from None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _hidden(world: str, kind: str, words: str, size: int) -> set[int]:
    """Numbers of an observation that are not to be seen, from `masked` or `hide=1,3`."""
    if not words:
        return set()
    if words == "masked":
        if kind not in VELOCITIES or max(VELOCITIES[kind]) >= size:
            raise NbdlError(
                f"which numbers of {world} are velocities is not known here (it is for {', '.join(VELOCITIES)}): "
                f"name them, as in {world}:hide=1,3."
            )
        return set(VELOCITIES[kind])
    numbers = re.fullmatch(r"hide=(\d+(?:,\d+)*)", words)
    if not numbers:
        raise NbdlError(f"{world}:{words} is not understood; expected {world}:masked or {world}:hide=1,3.")
    hide = {int(number) for number in numbers[1].split(",")}
    if max(hide) >= size or len(hide) == size:
        raise NbdlError(f"{world}:{words}: it shows {size} numbers, 0 to {size - 1}, and one at least must stay.")
    return hide
