"""Acting: a policy walks through an environment, and what it saw, did and got is kept.

A policy is a network of sequences with an output for each action, the logits, and one more: the value, the return that it
expects from here on, in a unit that nbdl/reinforcement/learning.py chooses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nbdl.errors import NbdlError
from nbdl.model import Sequential
from nbdl.reinforcement.environment import Environment
from nbdl.stepper import Stepper


class Moment(NamedTuple):
    """One step of every copy: what was seen, thought, done and got, and which episodes were still going on."""

    observations: np.ndarray  # (copies, observations)
    probabilities: np.ndarray  # (copies, actions)
    values: np.ndarray  # (copies)
    actions: np.ndarray  # (copies)
    rewards: np.ndarray  # (copies)
    running: np.ndarray  # (copies), before this step
    cut: np.ndarray  # (copies), whose time ran out with this step
    after: np.ndarray  # (copies, observations), what is seen next


def walk(
    environment: Environment, stepper: Stepper, random: np.random.Generator, *, greedy: bool = False
) -> Iterator[Moment]:
    """One episode in every copy, step by step, until the last of them is over.

    Actions are drawn from the policy's probabilities, or with `greedy` are the most probable ones.
    """
    stepper.reset()
    seen, running = environment.reset(random), np.ones(environment.copies, bool)
    for step in range(environment.most_steps):
        outputs = stepper.step(seen)
        p = softmax(outputs[:, :-1])
        actions = p.argmax(axis=1) if greedy else draw(p, random)
        response = environment.step(actions, running)
        late = step == environment.most_steps - 1
        cut = running & ~response.ended & (response.cut | late)
        yield Moment(seen, p, outputs[:, -1], actions, response.rewards, running, cut, response.observations)
        running = running & ~response.ended & ~cut
        seen = response.observations
        if not running.any():
            return


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in float64."""
    e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def draw(p: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One action for each row of probabilities; as many random numbers are used whatever the probabilities are."""
    u = random.random(len(p))
    return np.minimum((p.cumsum(axis=1) <= u[:, None]).sum(axis=1), p.shape[1] - 1)


@dataclass
class Episodes:
    """Episodes side by side, one a row; behind the end of an episode the action is -1 and everything else 0."""

    observations: np.ndarray  # (episodes, steps, observations)
    actions: np.ndarray  # (episodes, steps)
    rewards: np.ndarray  # (episodes, steps)
    values: np.ndarray  # (episodes, steps)
    rest: np.ndarray  # (episodes), the value of what would have come where the time ran out, else 0
    lengths: np.ndarray  # (episodes)
    right: np.ndarray | None = None  # (episodes), whether they came to the right end

    @property
    def returns(self) -> np.ndarray:
        """The sum of all rewards of each episode."""
        return self.rewards.sum(axis=1)

    @property
    def share_right(self) -> float | None:
        return None if self.right is None else float(self.right.mean())


class NotFinite(NbdlError):
    """A policy that has lost its senses."""


def collect(
    environment: Environment,
    stepper: Stepper,
    random: np.random.Generator,
    *,
    unit: float = 1.0,
    greedy: bool = False,
) -> Episodes:
    """One episode from every copy; the policy's values are in units of `unit`.

    Raises NotFinite where the policy has come to say something that is no number.
    """
    n, steps = environment.copies, environment.most_steps
    seen = np.zeros((n, steps, len(environment.signals)), np.float32)
    actions, rewards, values = np.full((n, steps), -1), np.zeros((n, steps)), np.zeros((n, steps))
    rest, cut = np.zeros(n), np.zeros(n, bool)
    for s, moment in enumerate(walk(environment, stepper, random, greedy=greedy)):
        if not np.isfinite(moment.probabilities).all():
            raise NotFinite("the policy's outputs are not finite: take a smaller learning rate, or clip the gradient.")
        rest[cut] = moment.values[cut]
        now = moment.running
        seen[now, s], actions[now, s] = moment.observations[now], moment.actions[now]
        rewards[:, s], values[now, s] = moment.rewards, moment.values[now]
        cut = moment.cut
    if cut.any():
        rest[cut] = stepper.step(moment.after)[cut, -1]
    values *= unit
    rest *= unit
    return Episodes(seen, actions, rewards, values, rest, (actions >= 0).sum(axis=1), environment.right())


def evaluate(model: Sequential, environment: Environment, *, seed: int = 0, greedy: bool = True) -> Episodes:
    """Episodes that the policy has not learnt from, one for each copy; the likeliest action is taken each time."""
    random = np.random.default_rng([seed, 3])
    return collect(environment, Stepper(model, environment.copies), random, greedy=greedy)


def advantages(episodes: Episodes, discount: float, trace: float, bootstrap: bool) -> np.ndarray:
    """How much better each action turned out than the policy had expected.

        d_t = r_t + discount V_{t+1} - V_t,    A_t = d_t + discount trace A_{t+1}

    With a trace of 1 that is the return minus the value: REINFORCE with a baseline. Below 1 the critic's opinion of later
    states replaces part of what chance made of them. `bootstrap` takes the value of what would have come where time ran
    out; else nothing more is expected. Shape: (episodes, steps). Source: Schulman et al. 2016.
    """
    n, steps = episodes.actions.shape
    found, ahead = np.zeros((n, steps)), np.zeros(n)
    following = np.zeros(n)  # V_{t+1}
    ends = episodes.lengths - 1
    for t in range(int(episodes.lengths.max()) - 1, -1, -1):
        last = ends == t
        following[last], ahead[last] = (episodes.rest[last] if bootstrap else 0), 0
        inside = ends >= t
        surprise = episodes.rewards[:, t] + discount * following - episodes.values[:, t]
        ahead = np.where(inside, surprise + discount * trace * ahead, 0)
        found[:, t], following = ahead, episodes.values[:, t].copy()
    return found
