"""Layers as a user writes them, made to fit the data: what can be known from the data need not be written."""

from dataclasses import replace
from typing import TYPE_CHECKING

from nbdl.errors import NbdlError

if TYPE_CHECKING:
    from nbdl.layers import Layer
    from nbdl_datasets import Dataset

EMBEDDED = 64  # numbers that a character becomes, at the most


def fitted(layers: "list[Layer]", dataset: "Dataset", outputs: int, settled: bool) -> "list[Layer]":
    """The whole network: with its output layer, with Flatten where it is needed, and for sequences whole sequences.

    `settled` says that the layers are the user's own, so that an output layer may be among them already.
    """
    from nbdl.layers import Dense

    if dataset.kind == "text":
        return written(layers, len(dataset.classes))
    if not (settled and layers and layers[-1] == Dense(outputs)):
        layers = [*layers, Dense(outputs)]
    return flattened(handed_on(layers), dataset.input_shape)


def written(layers: "list[Layer]", characters: int) -> "list[Layer]":
    """A network that reads characters and says at every step which comes next.

    An embedding comes first, recurrent layers hand on every step, and dense layers are applied at every step.
    """
    from nbdl.layers import Dense, Embedding, TimeDistributedDense

    found: list[Layer] = []
    if not layers or not isinstance(layers[0], Embedding):
        found.append(Embedding(characters, min(characters, EMBEDDED)))
    elif layers[0].vocabulary < characters:
        raise NbdlError(
            f"layer 1, Embedding, knows {layers[0].vocabulary} characters, but the text has {characters}; leave it out "
            "and it is added."
        )
    for number, layer in enumerate(layers, 1):
        if getattr(layer, "bidirectional", False):
            raise NbdlError(
                f"layer {number}, {type(layer).__name__}: read in both directions a text tells what comes next; leave out "
                "bidirectional=true."
            )
        if hasattr(layer, "return_sequences"):
            layer = replace(layer, return_sequences=True)  # type: ignore[call-arg]
        elif isinstance(layer, Dense):
            layer = TimeDistributedDense(layer.units, layer.activation, layer.initializer)
        found.append(layer)
    last = TimeDistributedDense(characters)
    return found if found[-1] == last else [*found, last]


def handed_on(layers: "list[Layer]") -> "list[Layer]":
    """The layers, with recurrent ones before others of sequences handing on every step, not the last alone."""
    found: list[Layer] = []
    wanted = False
    for layer in reversed(layers):
        recurrent = hasattr(layer, "return_sequences")
        if recurrent and wanted:
            layer = replace(layer, return_sequences=True)  # type: ignore[call-arg]
        wanted = wanted or recurrent or type(layer).__name__ in ("LastStep", "TimeDistributedDense")
        found.append(layer)
    return found[::-1]


def flattened(layers: "list[Layer]", shape: tuple[int, ...]) -> "list[Layer]":
    """The layers with a Flatten before each Dense that would otherwise meet maps."""
    from nbdl.layers import Dense, Flatten
    from nbdl.model import fitting

    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Dense) and len(shape) != 1:
            found.append(Flatten())
            shape = Flatten().out_shape(shape)
        found.append(layer)
        shape = fitting(len(found), layer, shape)
    return found
