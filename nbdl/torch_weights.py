"""Weights of a PyTorch network, from its `state_dict` or a safetensors file of it, for the same layers here.

A state_dict holds tensors under the names of the modules they belong to: `features.0.weight`, `features.0.bias`. A
safetensors file keeps them by name, not in the order of the network. So each layer with weights takes, of the modules that
are left, the first whose tensors have the right names and shapes, with names in the order in which people count: conv2
before conv10. Where two would fit and their names do not say which comes first, nothing is guessed: `order` must say.

    Linear        weight (units, inputs), transposed to w (inputs, units); bias to b
    Conv          weight (filters, channels / groups, *kernel) to w, bias to b; a transposed one's as they are, too
    Embedding     weight to w
    RNN, LSTM     weight_ih and weight_hh, transposed to w and u; the sum of bias_ih and bias_hh to b; the layers of a stack
    GRU           are a module each (lstm.l0, lstm.l1), and what is called _reverse belongs to a bidirectional layer.
                  Of a GRU the last third of bias_hh is b_hidden: it stands inside of the reset, the rest does not
    BatchNorm     weight to gamma, bias to beta, running_mean, running_var to running_variance
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.layers import GRU, LSTM, BatchNorm, Dense, Embedding, Layer, SimpleRNN, TimeDistributedDense
from nbdl.layers.base import Shape
from nbdl.layers.convolution import _Convolution, _Transposed
from nbdl.layers.recurrent import BACK
from nbdl.model import Place, Sequential

Tensors = Mapping[str, np.ndarray]

_IGNORED = ("num_batches_tracked",)  # counters that the outputs do not depend on
_OF_A_STACK = re.compile(r"((?:weight|bias)_[ih]h)_l(\d+)(|_reverse)")  # weight_hh_l0_reverse
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
_TYPES |= {"I8": "i1", "U8": "u1", "BOOL": "?"}


@dataclass(frozen=True)
class Counterpart:
    """What PyTorch calls a layer, the tensors that it has there, and how ours are made of them."""

    kind: str
    shapes: dict[str, Shape]
    optional: tuple[str, ...]  # tensors that a module may be without, such as the bias
    convert: Callable[[Tensors], dict[str, Any]]  # to the parameters and buffers, arrays or the one number in them


@dataclass(frozen=True)
class Match:
    """A layer and the module that its weights came from, with the shapes they have there."""

    layer: str
    module: str
    shapes: dict[str, Shape]


def _dense(layer: Any, place: Place) -> Counterpart:
    inputs = place.in_shape[-1]
    return Counterpart(
        "Linear",
        {"weight": (layer.units, inputs), "bias": (layer.units,)},
        ("bias",),
        lambda t: {"w": t["weight"].T, "b": t.get("bias", 0)},
    )


def _convolution(layer: Any, place: Place) -> Counterpart:
    shapes = layer.parameters(place.in_shape)
    return Counterpart(
        f"Conv{'Transpose' if isinstance(layer, _Transposed) else ''}{layer.axes}d",
        {"weight": shapes["w"].shape, "bias": shapes["b"].shape},
        ("bias",),
        lambda t: {"w": t["weight"], "b": t.get("bias", 0)},
    )


def _embedding(layer: Any, place: Place) -> Counterpart:
    return Counterpart("Embedding", {"weight": (layer.vocabulary, layer.units)}, (), lambda t: {"w": t["weight"]})


def _recurrent(layer: Any, place: Place) -> Counterpart:
    kind = {SimpleRNN: "RNN", LSTM: "LSTM", GRU: "GRU"}[type(layer)]
    if isinstance(layer, GRU) and not layer.reset_after:
        raise NbdlError(f"{place.name} resets before the product, PyTorch's GRU after it: use reset_after=true.")
    ways = ("", "_reverse") if layer.bidirectional else ("",)
    rows, units = layer.gates * layer.units, layer.units
    shapes: dict[str, Shape] = {}
    for way in ways:
        shapes |= {f"weight_ih{way}": (rows, place.in_shape[1]), f"weight_hh{way}": (rows, units)}
        shapes |= {f"bias_ih{way}": (rows,), f"bias_hh{way}": (rows,)}

    def convert(t: Tensors) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for way in ways:
            prefix, zeros = BACK if way else "", np.zeros(rows, np.float32)
            first, second = t.get(f"bias_ih{way}", zeros), np.array(t.get(f"bias_hh{way}", zeros))
            if isinstance(layer, GRU):
                found[f"{prefix}b_hidden"] = second[2 * units :].copy()
                second[2 * units :] = 0
            found |= {f"{prefix}w": t[f"weight_ih{way}"].T, f"{prefix}u": t[f"weight_hh{way}"].T}
            found[f"{prefix}b"] = first + second
        return found

    return Counterpart(kind, shapes, tuple(name for name in shapes if name.startswith("bias")), convert)


def _batchnorm(layer: Any, place: Place) -> Counterpart:
    channels = place.in_shape[:1]
    return Counterpart(
        "BatchNorm",
        dict.fromkeys(("weight", "bias", "running_mean", "running_var"), channels),
        ("weight", "bias"),
        lambda t: {
            "gamma": t.get("weight", 1),
            "beta": t.get("bias", 0),
            "running_mean": t["running_mean"],
            "running_variance": t["running_var"],
        },
    )


COUNTERPARTS: dict[type[Layer], Callable[[Any, Place], Counterpart]] = {
    Dense: _dense,
    TimeDistributedDense: _dense,
    Embedding: _embedding,
    SimpleRNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    _Convolution: _convolution,
    BatchNorm: _batchnorm,
}


def load_torch_weights(
    model: Sequential, source: str | os.PathLike | Mapping[str, Any], order: Sequence[str] | None = None
) -> list[Match]:
    """Fill a network with the weights of a PyTorch network, from a safetensors file or a state_dict.

    `order` names the modules, one for each layer with weights, where their own names leave that open. Raises NbdlError,
    with the layer, what it takes and what there is, and then changes nothing.
    """
    tensors = read_tensors(source) if isinstance(source, (str, os.PathLike)) else _arrays(source)
    modules = _modules(tensors)
    wanted = [(place, _counterpart(place)) for place in model.places if place.layer.parameters(place.in_shape)]
    if order is None:
        chosen = _match(wanted, modules)
    else:
        chosen = _in_order(wanted, modules, order)
    left = [name for name in modules if name not in chosen]
    if left:
        raise NbdlError(
            f"the layers of this network leave {len(left)} of the file's modules over: {_list(left, modules)}. "
            "Are these all the layers?"
        )
    arrays = {
        f"{p.name}.{n}": a for (p, c), m in zip(wanted, chosen, strict=True) for n, a in c.convert(modules[m]).items()
    }
    for arena in model.arenas:
        for name in arena:
            arena[name][...] = arrays[name]
    return [
        Match(place.name, name, {key: shape for key, shape in c.shapes.items() if key in modules[name]})
        for (place, c), name in zip(wanted, chosen, strict=True)
    ]


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file; raises NbdlError that says what is wrong with any other file."""
    from safetensors import SafetensorError, deserialize

    path = Path(path)
    if not path.is_file():
        raise NbdlError(f"there is no file {path}; expected a PyTorch state_dict saved as safetensors.")
    try:
        entries = deserialize(path.read_bytes())
    except SafetensorError as error:
        raise NbdlError(
            f"{path} is not a whole safetensors file ({error}). Is it cut off, or in PyTorch's own format? "
            "safetensors.torch.save_file(model.state_dict(), FILE) writes one."
        ) from None
    found = {}
    for name, entry in entries:
        if entry["dtype"] not in _TYPES:
            raise NbdlError(f"{path}: tensor {name} is of type {entry['dtype']}; expected one of {', '.join(_TYPES)}.")
        values = np.frombuffer(entry["data"], _TYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        found[name] = values
    return found


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of a state_dict, wherever they live, as arrays."""
    return {name: np.asarray(t.detach().cpu().float() if hasattr(t, "detach") else t) for name, t in state.items()}


def _modules(tensors: Tensors) -> dict[str, dict[str, np.ndarray]]:
    """Tensors by module, the modules in the order in which people count."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in sorted(tensors.items()):
        module, _, key = name.rpartition(".")
        recurrent = _OF_A_STACK.fullmatch(key)
        if recurrent:
            key = recurrent[1] + recurrent[3]
            module = f"{module}.l{recurrent[2]}".lstrip(".")
        if key not in _IGNORED:
            found.setdefault(module, {})[key] = tensor
    if not found:
        raise NbdlError("the file holds no weights.")
    return dict(sorted(found.items(), key=lambda item: _counted(item[0])))


def _counted(name: str) -> list[tuple[int, Any]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]


def _stem(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _counterpart(place: Place) -> Counterpart:
    for kind, make in COUNTERPARTS.items():
        if isinstance(place.layer, kind):
            return make(place.layer, place)
    raise NbdlError(f"{place.name}: weights of {type(place.layer).__name__} cannot be imported from PyTorch.")


def _same_kind(counterpart: Counterpart, module: Tensors) -> bool:
    shapes = counterpart.shapes
    return (
        set(module) <= set(shapes)
        and all(name in module or name in counterpart.optional for name in shapes)
        and all(tensor.ndim == len(shapes[name]) for name, tensor in module.items())
    )


def _fits(counterpart: Counterpart, module: Tensors) -> bool:
    return _same_kind(counterpart, module) and all(t.shape == counterpart.shapes[name] for name, t in module.items())


def _match(wanted: list[tuple[Place, Counterpart]], modules: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """The module of each layer."""
    chosen: list[str] = []
    for place, counterpart in wanted:
        left = [name for name in modules if name not in chosen]
        fitting = [name for name in left if _fits(counterpart, modules[name])]
        if not fitting:
            near = [name for name in left if _same_kind(counterpart, modules[name])][:1]
            there = f"the next one in the file is {_list(near, modules)}" if near else _what_is_left(left, modules)
            raise NbdlError(f"{_needs(place, counterpart)}; {there}.")
        if len({_stem(name) for name in fitting}) > 1:
            raise NbdlError(
                f"layer {place.number + 1} ({place.name}) could be {' or '.join(fitting)}: a safetensors file does not "
                "keep the order of the network. Give the names of all its modules in their order."
            )
        chosen.append(fitting[0])
    return chosen


def _in_order(
    wanted: list[tuple[Place, Counterpart]], modules: dict[str, dict[str, np.ndarray]], order: Sequence[str]
) -> list[str]:
    """The module of each layer as `order` has them, if it is right."""
    unknown = [name for name in order if name not in modules]
    if unknown:
        raise NbdlError(f"the file has no module {unknown[0]!r}; it has {', '.join(modules)}.")
    if len(order) != len(wanted) or len(set(order)) != len(order):
        layers = ", ".join(place.name for place, _ in wanted)
        raise NbdlError(f"the order names {len(order)} modules; expected {len(wanted)} different ones, for {layers}.")
    for (place, counterpart), name in zip(wanted, order, strict=True):
        if not _fits(counterpart, modules[name]):
            raise NbdlError(f"{_needs(place, counterpart)}; the order gives it {_list([name], modules)}.")
    return list(order)


def _needs(place: Place, counterpart: Counterpart) -> str:
    tensors = " and ".join(f"{name} {shape}" for name, shape in counterpart.shapes.items())
    return f"layer {place.number + 1} ({place.name}) takes a {counterpart.kind} with {tensors}"


def _what_is_left(left: list[str], modules: dict[str, dict[str, np.ndarray]]) -> str:
    if any("w" in modules[name] for name in left):
        return "the file names its tensors as nbdl does: `nbdl predict` reads it as it is"
    return f"the file has none left, only {_list(left, modules)}" if left else "the file has no module left"


def _list(names: Sequence[str], modules: dict[str, dict[str, np.ndarray]], most: int = 4) -> str:
    """Modules with the shapes of their tensors."""
    said = [
        f"{name or 'a module without a name'} ({', '.join(f'{key} {t.shape}' for key, t in modules[name].items())})"
        for name in names[:most]
    ]
    return ", ".join(said) + (f" and {len(names) - most} more" if len(names) > most else "")
