"""PyTorch, eager: the plain loop of torch.optim.SGD is faster on so few parameters than `foreach` and `fused`.

Bytes are made float32 beforehand, which takes four times the memory and saves a conversion a batch. Pictures take whichever
way of PyTorch's is the fastest: oneDNN with the channels last in memory, and one at a time its own kernels.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import nbdl
from nbdl.layers import Layer
from nbdl.schedules import schedule
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Batches, Work, lenet, make

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
RECURRENT = {nbdl.SimpleRNN: torch.nn.RNN, nbdl.LSTM: torch.nn.LSTM, nbdl.GRU: torch.nn.GRU}


class Last(torch.nn.Module):
    """A recurrent layer of which the last h comes out.

    PyTorch adds two biases where one does the work: the second stays 0, but for the part of a GRU's that is not the same.
    """

    def __init__(self, recurrent: torch.nn.RNNBase):
        super().__init__()
        self.recurrent = recurrent
        second: Any = recurrent.bias_hh_l0
        with torch.no_grad():
            second.zero_()
        if isinstance(recurrent, torch.nn.GRU):
            mask = (torch.arange(len(second)) >= 2 * recurrent.hidden_size).float()
            second.register_hook(lambda gradient: gradient * mask)
        else:
            second.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.recurrent(x)[0][:, -1]


def build(net: str, batch: int, data: str) -> Contender:
    """torch.optim.SGD, as most users write it."""
    work = make(net, batch, data)
    model, cost, take = _parts(work)
    optimizer = torch.optim.SGD(_trained(model), lr=RATE, foreach=False)

    def run(count: int) -> None:
        for _ in range(count):
            x, t = take()
            optimizer.zero_grad(set_to_none=True)
            cost(model(x), t).backward()
            optimizer.step()

    return Contender("torch", torch.__version__, run, lambda: work.changes(weights(model)))


def build_manual(net: str, batch: int, data: str) -> Contender:
    """The update written by hand, as in the JAX step: no optimizer object, no .grad fields."""
    work = make(net, batch, data)
    model, cost, take = _parts(work)
    parameters = _trained(model)

    def run(count: int) -> None:
        for _ in range(count):
            x, t = take()
            gradients = torch.autograd.grad(cost(model(x), t), parameters)
            with torch.no_grad():
                for w, g in zip(parameters, gradients, strict=True):
                    w.add_(g, alpha=-RATE)

    return Contender("torch by hand", torch.__version__, run, lambda: work.changes(weights(model)))


def build_runs(net: str, n: int, data: str, runs: Sequence[tuple[int, float, int]]) -> Contender:
    """Every step is the next whole training of `runs`: batch, learning rate, updates. The result is its mean loss."""
    work = make(net, 1, data)
    samples = _samples(work.cut(n, n))
    waiting = iter([(*_parts(work.cut(n, batch), samples), rate, updates) for batch, rate, updates in runs])
    mean = [0.0]

    def run(count: int) -> None:
        for _ in range(count):
            model, cost, take, rate, updates = next(waiting)
            optimizer = torch.optim.SGD(model.parameters(), lr=rate, foreach=False)
            total = 0.0
            for _ in range(updates):
                x, t = take()
                optimizer.zero_grad(set_to_none=True)
                loss = cost(model(x), t)
                loss.backward()
                optimizer.step()
                total += loss.item()  # a comparison logs the loss of every update
            mean[0] = total / updates

    return Contender("torch", torch.__version__, run, lambda: [np.array(mean)])


def build_accuracy(epochs: int, seed: int) -> Contender:
    """Every step is an epoch of `mnist-lenet`; the result is the accuracy on MNIST's test digits."""
    task = lenet(seed)
    work, demo = task.work, task.demo
    model, cost, take = _parts(work)
    rate, updates, done = demo.settings["learning_rate"], len(work.inputs) // work.batch, [0]
    factor = schedule(demo.schedule, epochs * updates)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)  # PyTorch's fastest
    inputs = torch.from_numpy(task.inputs).to(torch.float32).mul_(work.scale).to(memory_format=torch.channels_last)

    def run(count: int) -> None:
        model.train()
        for _ in range(count * updates):
            x, t = take()
            optimizer.param_groups[0]["lr"] = rate * factor(done[0])
            optimizer.zero_grad(set_to_none=True)
            cost(model(x), t).backward()
            optimizer.step()
            done[0] += 1

    def accuracy() -> list[np.ndarray]:
        model.eval()
        with torch.no_grad():
            found = torch.cat([model(part).argmax(dim=1) for part in inputs.split(256)])
        return [np.array((found.numpy() == task.targets).mean())]

    return Contender("torch", torch.__version__, run, accuracy)


def module(layers: list[Layer], shape: tuple[int, ...], first: list[np.ndarray]) -> Any:
    """The same network in PyTorch, with these first weights."""
    model = torch.nn.Sequential(*_modules(layers, shape))
    with torch.no_grad():
        for parameter, values in zip(_ours(model), first, strict=True):
            parameter.copy_(torch.from_numpy(values.T if values.ndim == 2 else values))
    return model


def _trained(model: Any) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _ours(model: Any) -> Iterator[torch.Tensor]:
    """The parameters that nbdl has as well."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias_hh_l0"):
            parameter = parameter[2 * len(parameter) // 3 :]
        if parameter.requires_grad:
            yield parameter


def weights(model: Any) -> list[np.ndarray]:
    """Weights and biases in nbdl's order: matrices are (inputs, units), all others as they are."""
    arrays = [parameter.detach().numpy() for parameter in _ours(model)]
    return [array.T if array.ndim == 2 else array for array in arrays]


def _modules(layers: list[Layer], shape: tuple[int, ...]) -> Iterator[torch.nn.Module]:
    for layer in layers:
        match layer:
            case nbdl.Dense():
                yield torch.nn.Linear(shape[0], layer.units)
            case nbdl.Conv2D():
                yield torch.nn.Conv2d(shape[0], layer.filters, layer.kernel_size, layer.strides, layer.padding)
            case nbdl.MaxPool2D():
                yield torch.nn.MaxPool2d(layer.size)
            case nbdl.Dropout():
                yield torch.nn.Dropout(layer.rate)
            case nbdl.Flatten():
                yield torch.nn.Flatten()
            case nbdl.SimpleRNN() | nbdl.LSTM() | nbdl.GRU():
                yield Last(RECURRENT[type(layer)](shape[1], layer.units, batch_first=True))
                shape = layer.out_shape(shape)
                continue
            case _:
                raise NotImplementedError(layer)
        activation = getattr(layer, "activation", "linear")
        if activation != "linear":
            yield ACTIVATIONS[activation]()
        shape = layer.out_shape(shape)


def _samples(work: Work) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(work.inputs).to(torch.float32).mul_(work.scale), torch.from_numpy(work.targets)


def _parts(work: Work, samples: tuple[torch.Tensor, torch.Tensor] | None = None):
    model = module(work.net.layers, work.net.shape, work.weights)
    inputs, targets = samples or _samples(work)
    functional = torch.nn.functional
    cost = functional.cross_entropy if work.classifies else functional.binary_cross_entropy_with_logits
    if len(work.net.shape) == 3:
        if work.batch == 1:
            torch.backends.mkldnn.set_flags(False)
        else:
            inputs, model = inputs.to(memory_format=torch.channels_last), model.to(memory_format=torch.channels_last)
    batches = Batches(work, torch.from_numpy)

    def take():
        order, start, stop = next(batches)
        rows = order[start:stop]
        return inputs.index_select(0, rows), targets.index_select(0, rows)

    return model, cost, take
