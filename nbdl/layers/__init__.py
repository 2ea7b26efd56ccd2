"""Layers by their names, and as text: `128,relu,dropout:0.2,64,relu`."""

from dataclasses import asdict
from typing import Any

from nbdl.errors import NbdlError
from nbdl.kernels.activation import KINDS
from nbdl.layers.activation import Activation
from nbdl.layers.base import Layer, Parameter, Views
from nbdl.layers.dense import Dense
from nbdl.layers.dropout import Dropout
from nbdl.layers.flatten import Flatten

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Layer", "Parameter", "Views", "describe", "parse", "rebuild"]

_CLASSES: dict[str, type[Layer]] = {cls.__name__: cls for cls in (Activation, Dense, Dropout, Flatten)}


def parse(text: str) -> list[Layer]:
    """Layers from a list such as `128,relu,dropout:0.2,64,tanh`; a number is a Dense layer of so many units.

    Raises NbdlError that names the word it cannot read.
    """
    layers: list[Layer] = []
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        name, _, value = word.partition(":")
        try:
            if name.lstrip("-").isdigit() and not value:
                layers.append(Dense(int(name)))
            elif name in KINDS and layers and isinstance(layers[-1], Dense) and layers[-1].activation == "linear":
                layers[-1] = Dense(layers[-1].units, name)
            elif name in KINDS or name == "softmax":
                layers.append(Activation(name))
            elif name == "dropout":
                layers.append(Dropout(float(value)))
            elif name == "flatten":
                layers.append(Flatten())
            else:
                raise NbdlError("unknown")
        except NbdlError as error:
            if str(error) != "unknown":
                raise
            raise NbdlError(
                f"layer {word!r} in {text!r} is unknown; expected a number of units, an activation "
                f"({', '.join(KINDS)}, softmax), dropout:RATE or flatten."
            ) from None
        except ValueError:
            raise NbdlError(f"layer {word!r} in {text!r}: {value!r} is not a number; write dropout:0.2.") from None
    if not layers:
        raise NbdlError(f"no layers in {text!r}; expected something like 128,relu,dropout:0.2,64,relu.")
    return layers


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
