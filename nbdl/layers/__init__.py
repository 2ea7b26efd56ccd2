"""Layers by their names, and as text: `conv:16:5,relu,pool,flatten,128,relu,dropout:0.2`."""

from dataclasses import MISSING, asdict, fields, replace
from typing import Any

from nbdl.errors import NbdlError
from nbdl.kernels.activation import KINDS
from nbdl.layers.activation import Activation
from nbdl.layers.base import Layer, Parameter, Views
from nbdl.layers.batchnorm import BatchNorm
from nbdl.layers.convolution import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
)
from nbdl.layers.dense import Dense
from nbdl.layers.dropout import Dropout
from nbdl.layers.embedding import Embedding
from nbdl.layers.flatten import Flatten
from nbdl.layers.last_step import LastStep
from nbdl.layers.pooling import AvgPool1D, AvgPool2D, AvgPool3D, GlobalAveragePool, MaxPool1D, MaxPool2D, MaxPool3D
from nbdl.layers.recurrent import GRU, LSTM, SimpleRNN
from nbdl.layers.reshape import Reshape
from nbdl.layers.time_distributed import TimeDistributedDense
from nbdl.layers.upsample import UpSample

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNorm",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool",
    "LastStep",
    "Layer",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "Parameter",
    "Reshape",
    "SimpleRNN",
    "TimeDistributedDense",
    "UpSample",
    "Views",
    "describe",
    "parse",
    "rebuild",
]

_CLASSES: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation,
        BatchNorm,
        Conv1D,
        Conv1DTranspose,
        Conv2D,
        Conv2DTranspose,
        Conv3D,
        Conv3DTranspose,
        Dense,
        Dropout,
        Flatten,
        MaxPool1D,
        MaxPool2D,
        MaxPool3D,
        AvgPool1D,
        AvgPool2D,
        AvgPool3D,
        GlobalAveragePool,
        UpSample,
        Reshape,
        TimeDistributedDense,
        SimpleRNN,
        LSTM,
        GRU,
        Embedding,
        LastStep,
    )
}
_SHORT = {"conv": "conv2d", "pool": "maxpool2d", "timedense": "timedistributeddense"}


def parse(text: str) -> list[Layer]:
    """Layers from a list such as `conv:16:5,relu,pool,flatten,128,relu,dropout:0.2,64`.

    A number is a Dense layer of so many units; an activation joins the layer before it, where that can take one; any
    other word is a layer's name with its settings in order or by name: `conv2d:32:3:padding=same`, `maxpool2d:3x2`.
    Raises NbdlError that names the word it cannot read.
    """
    layers: list[Layer] = []
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        name, *settings = word.split(":")
        try:
            if name.lstrip("-").isdigit() and not settings:
                layers.append(Dense(int(name)))
            elif name in KINDS and layers and getattr(layers[-1], "activation", None) == "linear":
                layers[-1] = replace(layers[-1], activation=name)  # type: ignore[call-arg]
            elif name in KINDS or name == "softmax":
                layers.append(Activation(name))
            else:
                layers.append(_read_layer(_SHORT.get(name, name), settings))
        except NbdlError:
            raise
        except (TypeError, ValueError) as error:
            raise NbdlError(f"layer {word!r} in {text!r}: {error}") from None
        except KeyError:
            raise NbdlError(
                f"layer {word!r} in {text!r} is unknown; expected a number of units, an activation "
                f"({', '.join(KINDS)}, softmax), or one of {', '.join(map(str.lower, _CLASSES))}."
            ) from None
    if not layers:
        raise NbdlError(f"no layers in {text!r}; expected something like 128,relu,dropout:0.2,64,relu.")
    return layers


def _read_layer(name: str, settings: list[str]) -> Layer:
    """A layer from its name in lower case and its settings; KeyError when there is no such layer."""
    cls = {known.lower(): cls for known, cls in _CLASSES.items()}[name]
    types = {field.name: field.type for field in fields(cls)}
    names = list(types)
    chosen: dict[str, Any] = {}
    for number, setting in enumerate(settings):
        key, equals, value = setting.partition("=")
        if not equals:
            if number >= len(names):
                raise ValueError(f"it takes {len(names)} settings at most: {', '.join(names) or 'none'}.")
            key, value = names[number], setting
        if key not in names:
            raise ValueError(f"it has no {key!r}; its settings are {', '.join(names) or 'none'}.")
        chosen[key] = _read_setting(value)
        if types[key] in (int, float) and not isinstance(chosen[key], (int, float)):
            raise ValueError(f"{value!r} is not a number.")
        if types[key] is bool and not isinstance(chosen[key], bool):
            raise ValueError(f"{key} is {value!r}; expected true or false.")
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in chosen]
    if missing:
        raise ValueError(f"it needs {missing[0]}: write {name}:{missing[0].upper()}.")
    return cls(**chosen)


def _read_setting(text: str) -> Any:
    """3, 0.5, (3, 5) from 3x5, True, False, or the word itself."""
    if text in ("true", "false"):
        return text == "true"
    parts = text.split("x")
    if all(part.isdigit() for part in parts):
        sizes = tuple(map(int, parts))
        return sizes if len(sizes) > 1 else sizes[0]
    try:
        return float(text)
    except ValueError:
        return text


def describe(layer: Layer) -> dict[str, Any]:
    """A layer as plain data, for checkpoints."""
    return {"layer": type(layer).__name__, **asdict(layer)}


def rebuild(data: dict[str, Any]) -> Layer:
    """The layer that `describe` described; raises NbdlError for one this version does not know."""
    settings = dict(data)
    name = settings.pop("layer", None)
    try:
        return _CLASSES[name](**settings)
    except (KeyError, TypeError):
        raise NbdlError(
            f"layer {name!r} with {settings} is not one of this version of nbdl: {', '.join(_CLASSES)}."
        ) from None
