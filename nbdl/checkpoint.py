"""Checkpoints: one safetensors file with the parameters and buffers, the optimizer's state and where the run stands.

Tensors are named `dense_1.w` and, for the optimizer, `velocity/dense_1.w`, for states that are carried on
`state/lstm_1.h`; the metadata key `nbdl` holds the rest as JSON:
layers, input shape, loss, optimizer, counters and whatever the caller adds. Any safetensors reader opens it.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.files import write_atomically
from nbdl.layers import describe as describe_layer
from nbdl.layers import rebuild
from nbdl.losses import Loss, loss
from nbdl.model import Sequential
from nbdl.optimizers import SGD, Optimizer, optimizer
from nbdl.optimizers import describe as describe_optimizer
from nbdl.training import Training

FORMAT = 1


@dataclass
class Checkpoint:
    """What a file holds: a network ready to use, and what is needed to go on training it."""

    model: Sequential
    loss: Loss
    optimizer: Optimizer
    settings: dict[str, Any]  # of the training: batch, schedule, clip, seed
    counters: dict[str, Any]
    states: dict[str, np.ndarray]
    extra: dict[str, Any] = field(default_factory=dict)

    def restore(self, training: Training) -> None:
        """Put a training of the same network where this one stood; it then goes on with the same bits."""
        if any(a.shapes != b.shapes for a, b in zip(training.model.arenas, self.model.arenas, strict=True)):
            raise NbdlError("the checkpoint is of another network: its parameters have other names or shapes.")
        training.model.restore(self.model.snapshot())
        training.send()
        for name, arena in zip(training.optimizer.states, training.state, strict=True):
            for parameter in arena:
                key = f"{name}/{parameter}"
                if key not in self.states:
                    raise NbdlError(f"the checkpoint has no {key}: it was trained with {self.optimizer.name}.")
                arena.write(parameter, self.states[key])
        if training.states is not None:
            for name in training.states:
                training.states.write(name, self.states[f"state/{name}"])
        training.resume(self.counters)


def save_checkpoint(
    path: str | os.PathLike,
    training: Training,
    extra: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a training and its network to a safetensors file, whole or not at all.

    The caller may add `extra`, which must be JSON, and `tensors` whose names hold a slash.
    """
    training.fetch()
    states = dict(tensors or {})
    for name, arena in zip(training.optimizer.states, training.state, strict=True):
        states |= {f"{name}/{parameter}": arena.read(parameter) for parameter in arena}
    if training.states is not None:
        states |= {f"state/{name}": training.states.read(name) for name in training.states}
    settings = {name: getattr(training, name) for name in ("batch", "schedule", "clip", "seed")}
    _write(path, training.model, training.loss, training.optimizer, settings, training.counters, states, extra)


def save_model(path: str | os.PathLike, model: Sequential, loss: Loss, extra: dict[str, Any] | None = None) -> None:
    """Write a network that was not trained here, as a checkpoint of a training that has not begun."""
    settings = {"batch": 32, "schedule": "constant", "clip": None, "seed": model.seed}
    counters = dict.fromkeys(("epoch", "position", "updates", "examples"), 0) | {"seconds": 0.0, "first_loss": None}
    _write(path, model, loss, SGD(), settings, counters, {}, extra)


def _write(path, model, loss, optimizer, settings, counters, states, extra) -> None:
    from safetensors.numpy import save

    tensors = {**states, **{name: arena.read(name) for arena in model.arenas for name in arena}}
    about = {
        "format": FORMAT,
        "layers": [describe_layer(layer) for layer in model.layers],
        "input_shape": model.input_shape,
        "loss": loss.name,
        "optimizer": describe_optimizer(optimizer),
        "settings": settings,
        "counters": counters,
        "extra": extra or {},
    }
    write_atomically(path, save(tensors, metadata={"nbdl": json.dumps(about)}))


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint back; raises NbdlError that says what is wrong with a file that is not a whole one."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise NbdlError(f"there is no checkpoint at {path}; `nbdl train --save FILE` writes one.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise NbdlError(
            f"{path} is not a whole safetensors file ({error}); is it cut off, or something else?"
        ) from None
    try:
        about = json.loads(metadata["nbdl"])
        if about["format"] != FORMAT:
            raise NbdlError(f"{path} has checkpoint format {about['format']}; this version of nbdl reads {FORMAT}.")
        model = Sequential([rebuild(layer) for layer in about["layers"]], tuple(about["input_shape"]))
        checkpoint = Checkpoint(
            model,
            loss(about["loss"]),
            optimizer(**about["optimizer"]),
            about["settings"],
            about["counters"],
            {name: tensor for name, tensor in tensors.items() if "/" in name},
            about["extra"],
        )
    except NbdlError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise NbdlError(f"{path} is a safetensors file, but not a checkpoint of nbdl ({error!r} is missing).") from None
    for arena in model.arenas:
        for name, shape in arena.shapes.items():
            found = tensors[name].shape if name in tensors else None
            if found != shape:
                raise NbdlError(f"{path}: {name} should have shape {shape}, found {found}.")
            arena[name][...] = tensors[name]
    return checkpoint
