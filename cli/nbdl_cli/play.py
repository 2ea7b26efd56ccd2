"""The work of `nbdl play`: load the policy, walk through its world, draw every step."""

import time
from contextlib import nullcontext
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from nbdl.checkpoint import load_checkpoint
from nbdl.errors import NbdlError
from nbdl.model import Sequential
from nbdl.reinforcement import Environment, Response, environment
from nbdl.reinforcement.rollout import Moment, softmax, walk
from nbdl.reinforcement.tmaze import NORTH, SOUTH
from nbdl.stepper import Stepper
from nbdl_cli import console
from nbdl_cli.drawing import figures
from nbdl_cli.drawing.bars import Numbers, Shares
from nbdl_cli.drawing.cart_pole import CartPoleDrawing
from nbdl_cli.drawing.palette import RIGHT, WRONG
from nbdl_cli.drawing.tmaze import TMazeDrawing

SCHEMA = "nbdl.play/1"
LASTS = 8.0  # seconds that an episode of the longest kind takes, unless --delay says otherwise
FASTEST, SLOWEST = 0.02, 0.25  # seconds a step
REST = 1.0  # seconds in which the end of an episode can be seen
JUNCTION = np.array([[0, 0, 0, 1]], np.float32)


def play(
    checkpoint: str, episodes: int, delay: float | None, world: str | None, greedy: bool, seed: int, as_json: bool
) -> None:
    saved = load_checkpoint(checkpoint)
    if "reinforcement" not in saved.extra:
        raise NbdlError(f"{checkpoint} holds no policy: it was not written by `nbdl reinforce --save`.")
    about = saved.extra["reinforcement"]
    place = environment(world or about["environment"])
    watched = Watched(place)
    model = saved.model
    if (len(place.signals), len(place.actions) + 1) != (model.input_shape[-1], model.output_shape[-1]):
        raise NbdlError(
            f"{place.name} shows {len(place.signals)} numbers and takes {len(place.actions)} actions; the policy in "
            f"{checkpoint} knows {model.input_shape[-1]} and {model.output_shape[-1] - 1}."
        )
    stepper = Stepper(model)
    out = console.out()
    show = None if as_json else Show(out, watched, model, delay)
    document: dict[str, Any] = {
        "schema": SCHEMA, "checkpoint": str(checkpoint), "world": place.name, "policy": about["policy"],
        "actions": place.actions, "greedy": greedy, "seed": seed, "episodes": [],
    }  # fmt: skip
    try:
        for number in range(episodes):
            entry = _episode(watched, stepper, np.random.default_rng([seed, 4, number]), greedy, show, number, episodes)
            document["episodes"].append(entry)
    finally:
        place.close()
    if as_json:
        console.emit_json(document)
        return
    returns = [entry["return"] for entry in document["episodes"]]
    right = [entry["right"] for entry in document["episodes"]]
    text = Text(f" {episodes} episode{'s' * (episodes > 1)}: mean return {np.mean(returns):.4g}")
    if right[0] is not None:
        text.append(f", {sum(right)} of {episodes} right", style="bold green" if all(right) else "bold")
    out.print(text)


class Watched(Environment):
    """An environment whose scenes are kept: scenes[t] is what step t found, and the last one what it left."""

    def __init__(self, world: Environment):
        self._world = world
        self.name, self.copies, self.actions, self.signals = world.name, world.copies, world.actions, world.signals
        self.most_steps = world.most_steps

    def reset(self, random: np.random.Generator) -> np.ndarray:
        seen = self._world.reset(random)
        self.scenes = [self._world.scene()]
        return seen

    def step(self, actions: np.ndarray, running: np.ndarray) -> Response:
        response = self._world.step(actions, running)
        self.scenes.append(self._world.scene())
        return response

    def right(self) -> np.ndarray | None:
        return self._world.right()


class Show:
    """Draws the steps of an episode: moving on a terminal, its end only in a pipe."""

    def __init__(self, out: Console, world: Watched, model: Sequential, delay: float | None):
        self.out, self.world = out, world
        self.delay = min(SLOWEST, max(FASTEST, LASTS / world.most_steps)) if delay is None else delay
        self.moves = out.is_terminal and not out.is_dumb_terminal
        self.mind = Stepper(model) if world.name.startswith("tmaze") else None
        self.largest = 1e-6  # of the numbers that the world has shown, for the length of their bars

    def episode(self, number: int, of: int) -> Live | nullcontext:
        self.title = f" {self.world.name} {number + 1}/{of}"
        self.live = Live(console=self.out, auto_refresh=False) if self.moves else None
        return self.live or nullcontext()

    def step(self, moment: Moment, stepper: Stepper, total: float) -> None:
        """What the policy sees now, and what it makes of it."""
        if self.live is None:
            return
        self.live.update(self._frame(self.world.scenes[-2], moment, stepper, self._header(total, moment)), refresh=True)
        time.sleep(self.delay)

    def end(self, moment: Moment, stepper: Stepper, total: float) -> None:
        """How it ended."""
        frame = self._frame(self.world.scenes[-1], moment, stepper, self._header(total, None))
        if self.live is None:
            self.out.print(frame)
            return
        self.live.update(frame, refresh=True)
        time.sleep(min(REST, 10 * self.delay))

    def _header(self, total: float, moment: Moment | None) -> Text:
        done = len(self.world.scenes) - (1 if moment is None else 2)
        text = Text(self.title, style="bold")
        text.append(f"  step {done}  return {total:.4g}", style="not bold")
        right = self.world.right()
        if moment is None and right is not None:
            text.append("  right" if right[0] else "  wrong", style=RIGHT if right[0] else WRONG)
        return text

    def _frame(self, scene: dict[str, Any], moment: Moment, stepper: Stepper, header: Text) -> RenderableType:
        parts: list[RenderableType] = [header]
        if self.mind is not None:
            parts.append(TMazeDrawing(scene))
        elif self.world.name.startswith("CartPole") and len(scene.get("state", ())) == 4:
            parts.append(CartPoleDrawing(scene["state"]))
        else:
            seen = moment.observations[0].tolist()
            self.largest = max(self.largest, *map(abs, seen))
            parts.append(Numbers(self.world.signals, seen, self.largest))
        parts.append(Shares(self.world.actions, moment.probabilities[0], int(moment.actions[0])))
        if self.mind is not None:
            north = self._turn(stepper)
            words = Text(" at the junction now it would turn ", style="dim")
            words.append(
                f"north with {figures.percent(north)}, south with {figures.percent(1 - north)}", style="not dim"
            )
            parts.append(words)
        return Group(*parts)

    def _turn(self, stepper: Stepper) -> float:
        """How sure the policy would be of north against south, with what it remembers, if it saw the junction now."""
        assert self.mind is not None
        self.mind.states.flat[:] = stepper.states.flat
        p = softmax(self.mind.step(JUNCTION)[:, :-1])[0]
        return float(p[NORTH] / (p[NORTH] + p[SOUTH]))


def _episode(
    world: Watched, stepper: Stepper, random: np.random.Generator, greedy: bool, show: Show | None, number: int, of: int
) -> dict[str, Any]:
    """Walk through one episode, drawing it for who watches; what happened, as plain data."""
    actions: list[int] = []
    probabilities, values, total = [], [], 0.0
    with show.episode(number, of) if show else nullcontext():
        for moment in walk(world, stepper, random, greedy=greedy):
            if show:
                show.step(moment, stepper, total)
            actions.append(int(moment.actions[0]))
            probabilities.append(moment.probabilities[0].tolist())
            values.append(float(moment.values[0]))
            total += float(moment.rewards[0])
        if show:
            show.end(moment, stepper, total)
    right = world.right()
    return {
        "return": total,
        "steps": len(actions),
        "right": None if right is None else bool(right[0]),
        "actions": actions,
        "probabilities": probabilities,
        "values": values,
    }
