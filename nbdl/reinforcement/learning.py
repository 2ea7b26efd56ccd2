"""Learning by trial: act, see what came of it, make what turned out well more likely; a generator of updates.

Every update plays one whole episode in each copy of the environment with the policy as it is, and then makes one step of
gradient descent over all of them (kernels/policy.py). `reinforce` weighs an action by the return that really followed it,
less the value that the policy had expected; `actor-critic` lets the value stand in for what is far ahead.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from nbdl.checkpoint import Checkpoint
from nbdl.errors import NbdlError
from nbdl.losses import policy_gradient
from nbdl.model import Sequential
from nbdl.optimizers import Optimizer
from nbdl.program import Announce, Data
from nbdl.reinforcement.environment import Environment
from nbdl.reinforcement.rollout import Episodes, NotFinite, advantages, collect
from nbdl.stepper import Stepper
from nbdl.training import Budget, Diverged, Training

METHODS = ("reinforce", "actor-critic")
RECENT = 100  # episodes, at least, whose mean return says whether the environment is solved


@dataclass(frozen=True)
class Update:
    """One update: what its episodes brought, the loss, and the seconds spent acting and learning since the start."""

    update: int
    episodes: int  # since the start
    steps: int
    mean_return: float
    mean_length: float
    right: float | None
    loss: float
    acting_seconds: float
    learning_seconds: float


class Learning:
    """A policy learning in an environment, whose copies are the episodes of an update.

    `discount` is what a reward is worth one step later; `trace` (actor-critic) how far an action is credited with what
    followed before the value takes over; `entropy` keeps the policy from being sure too early. Learning stops after
    `updates`, or when the last RECENT episodes reach the mean return `target`. All chance comes from the seed and the
    number of the update: a resumed run gives the same bits as one never stopped, with any number of threads.
    """

    def __init__(
        self,
        model: Sequential,
        environment: Environment,
        optimizer: Optimizer,
        *,
        method: str = "actor-critic",
        updates: int = 500,
        discount: float = 0.99,
        trace: float = 0.95,
        entropy: float = 0.01,
        value: float = 0.5,
        clip: float | None = 1.0,
        schedule: str = "constant",
        target: float | None = None,
        seed: int = 0,
        backend: str = "auto",
        announce: Announce = None,
    ):
        if method not in METHODS:
            raise NbdlError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}.")
        for what, number in (("discount", discount), ("trace", trace)):
            if not 0 <= number <= 1:
                raise NbdlError(f"the {what} is {number}; expected 0 to 1.")
        if backend == "cuda":
            raise NbdlError("reinforcement learning runs on the processor, where the environments are.")
        steps, actions = environment.most_steps, len(environment.actions)
        if model.input_shape != (steps, len(environment.signals)) or model.output_shape != (steps, actions + 1):
            raise NbdlError(
                f"{environment.name} needs a network of shape {(steps, len(environment.signals))} -> "
                f"{(steps, actions + 1)}; this one is {model.input_shape} -> {model.output_shape}."
            )
        self.model, self.environment, self.method = model, environment, method
        self.discount, self.trace, self.target, self.seed = discount, trace, target, seed
        # A value is learnt in units of what a good episode brings, so that it stays near 1: the return that counts as
        # solved, or 1 a step as far as the discount lets one see.
        self.unit = float(steps if discount == 1 else (1 - discount**steps) / (1 - discount))
        if environment.target:
            self.unit = min(self.unit, abs(environment.target))
        n = environment.copies
        data = Data(
            np.zeros((n, *model.input_shape), np.float32),
            np.zeros((n, *model.output_shape), np.float32),
            lengths=np.zeros(n, np.int64),
        )
        self.training = Training(
            model,
            data,
            policy_gradient(actions, entropy, value),
            optimizer,
            batch="full",
            budget=Budget(updates=updates),
            schedule=schedule,
            clip=clip,
            seed=seed,
            backend=backend,
            shuffle=False,
            announce=announce,
        )
        self.stepper = Stepper(model, n, backend=backend, announce=announce)
        self.history: list[Update] = []
        self.acting_seconds = 0.0
        self._steps = 0

    @property
    def solved(self) -> bool:
        """Whether the last RECENT episodes brought the target, in the mean."""
        count = -(-RECENT // self.environment.copies)
        last = [update.mean_return for update in self.history[-count:]]
        return self.target is not None and len(last) == count and sum(last) / count >= self.target

    def updates(self) -> Iterator[Update]:
        """Learn until the budget is spent or the target reached, yielding after every update. Raises Diverged."""
        steps = self.training.steps()
        most = self.training.budget.updates or 0
        while self.training.updates < most and not self.solved:
            start = perf_counter()
            random = np.random.default_rng([self.seed, 2, self.training.updates])
            try:
                episodes = collect(self.environment, self.stepper, random, unit=self.unit)
            except NotFinite:
                rate = self.training.optimizer.learning_rate
                raise Diverged("nonfinite", self.training.updates, math.nan, rate) from None
            self._fill(episodes)
            self.acting_seconds += perf_counter() - start
            step = next(steps)
            self._steps += int(episodes.lengths.sum())
            update = Update(
                step.update,
                step.examples,
                self._steps,
                float(episodes.returns.mean()),
                float(episodes.lengths.mean()),
                episodes.share_right,
                step.loss,
                self.acting_seconds,
                step.seconds,
            )
            self.history.append(update)
            yield update

    @property
    def record(self) -> dict[str, Any]:
        """What a checkpoint needs beside the training itself: the settings, and all updates so far."""
        about = {name: getattr(self, name) for name in ("method", "discount", "trace", "target")}
        about |= {"environment": self.environment.name, "copies": self.environment.copies}
        return {**about, "history": [asdict(update) for update in self.history]}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint with this `record` was saved; raises NbdlError where it is of another learning."""
        kept = checkpoint.extra.get("reinforcement", {})
        for name, value in self.record.items():
            if name not in ("history", "target") and kept.get(name) != value:
                raise NbdlError(f"the checkpoint was learnt with {name} {kept.get(name)}, not {value}.")
        checkpoint.restore(self.training)
        self.history = [Update(**update) for update in kept["history"]]
        if self.history:
            self.acting_seconds, self._steps = self.history[-1].acting_seconds, self.history[-1].steps

    def _fill(self, episodes: Episodes) -> None:
        """Put episodes where the training reads its batch: (action, advantage, return) of every step."""
        critic = self.method == "actor-critic"
        gained = advantages(episodes, self.discount, self.trace if critic else 1.0, bootstrap=critic)
        counts = episodes.actions >= 0
        inputs, data = self.training.data.inputs, self.training.data
        targets = data.targets.reshape(*counts.shape, -1)
        inputs[...] = episodes.observations
        data.lengths[...] = episodes.lengths
        targets[..., 0] = episodes.actions
        spread = float(gained[counts].std())
        targets[..., 1] = np.where(counts, (gained - gained[counts].mean()) / (spread + 1e-8), 0)
        targets[..., 2] = np.where(counts, (gained + episodes.values) / self.unit, 0)
