"""Policies: networks that say how likely each action should be, and what return to expect."""

from dataclasses import replace

from nbdl.errors import NbdlError
from nbdl.layers import Activation, Dense, Layer, TimeDistributedDense, parse
from nbdl.model import Sequential
from nbdl.reinforcement.environment import Environment

POLICIES = {"dense": "64,tanh,64,tanh", "gru": "gru:32", "lstm": "lstm:32"}


def policy(environment: Environment, layers: str = "dense", *, seed: int = 0) -> Sequential:
    """A policy for an environment from a name in POLICIES or a list of hidden layers such as `gru:32,64,tanh`.

    A number is a dense layer at every step; recurrent layers return all their steps. The layer of outputs is added.
    Raises NbdlError for layers that mix the steps in any other way.
    """
    hidden = [_every_step(layer) for layer in parse(POLICIES.get(layers, layers))]
    outputs = TimeDistributedDense(
        len(environment.actions) + 1, initializer="zeros"
    )  # at first all actions are as likely
    shape = (environment.most_steps, len(environment.signals))
    return Sequential([*hidden, outputs], shape, seed=seed)


def is_recurrent(model: Sequential) -> bool:
    """Whether a policy remembers what it has seen."""
    return any(place.layer.states(place.in_shape) for place in model.places)


def _every_step(layer: Layer) -> Layer:
    if isinstance(layer, Dense):
        return TimeDistributedDense(layer.units, layer.activation, layer.initializer)
    if hasattr(layer, "return_sequences") and not getattr(layer, "bidirectional", False):
        return replace(layer, return_sequences=True)  # type: ignore[call-arg]
    if isinstance(layer, TimeDistributedDense | Activation):
        return layer
    raise NbdlError(
        f"a policy of {type(layer).__name__} cannot act step by step; expected dense and recurrent layers, such as "
        "gru:32,64,tanh."
    )
