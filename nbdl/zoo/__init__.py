"""Demo models: one file each, saying which layers, data and settings make a good first run, and what it teaches."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from nbdl.errors import NbdlError
from nbdl.reinforcement.demos import TRIALS

DEMOS = {
    "digits": "digits",
    "xor": "xor",
    "moons": "moons",
    "spiral": "spiral",
    "line": "line",
    "regression": "regression",
    "mnist-mlp": "mnist_mlp",
    "fashion-mlp": "fashion_mlp",
    "digits-cnn": "digits_cnn",
    "mnist-lenet": "mnist_lenet",
    "fashion-lenet": "fashion_lenet",
    "cifar10-cnn": "cifar10_cnn",
    "car-or-not": "car_or_not",
    "tones-cnn": "tones_cnn",
    "spoken-digits-cnn": "spoken_digits_cnn",
    "motion-cnn": "motion_cnn",
    "char-rnn": "char_rnn",
    "tones-rnn": "tones_rnn",
    "spoken-digits-rnn": "spoken_digits_rnn",
    "adding-problem": "adding_problem",
    "sine-forecast": "sine_forecast",
}


@dataclass(frozen=True)
class Demo:
    """A model and how to train it; `layers` is text as `nbdl.layers.parse` reads it, without the output layer."""

    name: str
    summary: str
    lesson: str  # what a learner should look at, in a sentence or two
    dataset: str
    layers: str
    optimizer: str = "sgd"
    settings: dict[str, Any] = field(default_factory=dict)  # of the optimizer
    batch: int | str = 32
    schedule: str = "constant"
    epochs: int = 20
    clip: float | None = None  # longest gradient
    loss: str | None = None  # chosen from the data when None
    options: dict[str, Any] = field(default_factory=dict)  # of the data set


def demo(name: str) -> Demo:
    """The demo of that name; raises NbdlError that lists the names and suggests the nearest."""
    if name in TRIALS or name.startswith("tmaze:"):
        raise NbdlError(f"{name} is learnt by trial, not from examples: nbdl reinforce {name}")
    if name not in DEMOS:
        near = get_close_matches(name, DEMOS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NbdlError(f"demo {name!r} is unknown; choose one of {', '.join(DEMOS)}.{hint}")
    return import_module(f"nbdl.zoo.{DEMOS[name]}").DEMO


def demos() -> list[Demo]:
    """All demos, in the order in which a course meets them."""
    return [demo(name) for name in DEMOS]
