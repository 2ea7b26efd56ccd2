"""The work that every contender does: a network, its first weights, its data, and the order of its batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nbdl.layers import Layer, parse
from nbdl.model import Sequential
from nbdl.training import shuffles
from nbdl.zoo import Demo

RATE = 0.01


@dataclass(frozen=True)
class Net:
    """A network, described once: every peer builds its own from these layers. All train by plain SGD."""

    title: str
    shape: tuple[int, ...]  # of one sample, channels first
    text: str  # the layers as nbdl.layers.parse reads them
    loss: str = "softmax_cross_entropy"
    dataset: str = "mnist"  # whose real samples it can train on; none where only random ones are
    samples: int = 54_000  # of the random ones
    checked: int = 5  # steps after which all contenders must have changed the weights by the same
    tolerance: float = 1e-4  # of that change; a learning rate that is 5 % off changes it by 5e-2 or more

    @property
    def layers(self) -> list[Layer]:
        return parse(self.text)


# The peers of the dense networks agree to 2e-5. Then, on real digits, some unit comes within 1e-7 of ReLU's kink, and
# where two cells of a pooling window are almost equal, rounding decides as well which of them gets the gradient: from
# there two right computations drift apart (float32 from float64 too). So all are held to few steps.
NETS = {
    "mlp": Net("MLP 784-128-10", (784,), "128,relu,10"),
    "xor": Net("MLP 2-8-1 on XOR", (2,), "8,tanh,1", "binary_cross_entropy"),
    "lenet": Net(
        "LeNet-5",
        (1, 28, 28),
        "conv2d:6:5:padding=2,relu,maxpool2d:2,conv2d:16:5,relu,maxpool2d:2,flatten,120,relu,84,relu,10",
        checked=3,
        tolerance=2e-2,
    ),
    "cifar": Net(
        "4-conv CIFAR net",
        (3, 32, 32),
        "conv2d:32:3:padding=same,relu,conv2d:32:3:padding=same,relu,maxpool2d:2,"
        "conv2d:64:3:padding=same,relu,conv2d:64:3:padding=same,relu,maxpool2d:2,flatten,128,relu,10",
        dataset="cifar10",
        samples=4096,
        checked=3,
        tolerance=2e-2,
    ),
} | {
    kind: Net(
        f"{title}, 64 steps, 32 in, 128 units", (64, 32), f"{kind}:128,10", dataset="", samples=4096, tolerance=1e-3
    )
    for kind, title in (("simplernn", "SimpleRNN"), ("lstm", "LSTM"), ("gru", "GRU"))
}


@dataclass(frozen=True)
class Work:
    """One network and the samples that it learns from, a batch at a time."""

    net: Net
    batch: int
    inputs: np.ndarray  # (n, *shape): bytes for pictures and sequences, float32 for XOR
    targets: np.ndarray  # (n) int64, or (n, 1) float32 for XOR
    scale: float

    @property
    def classifies(self) -> bool:
        """Whether targets are class numbers: else they are the 0 and 1 of one output."""
        return self.net.loss == "softmax_cross_entropy"

    seed: int = 0  # of the shuffles; the weights' is 5 more

    @cached_property
    def weights(self) -> list[np.ndarray]:
        """First weights and biases of all layers in order, the same for every contender.

        A dense layer's are (inputs, units), a convolution's (filters, channels, height, width), a recurrent layer's
        (inputs, gates), (units, gates), then its biases.
        """
        parameters = Sequential(self.net.layers, self.net.shape, seed=5 + self.seed).parameters
        return [parameters[name].copy() for name in parameters]

    def cut(self, n: int, batch: int) -> "Work":
        """The same on the first `n` samples, in batches of another size."""
        return replace(self, batch=batch, inputs=self.inputs[:n], targets=self.targets[:n])

    def changes(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """How far the steps have moved the weights: what contenders are compared by."""
        return [w - first for w, first in zip(weights, self.weights, strict=True)]

    def orders(self) -> Iterator[np.ndarray]:
        """The shuffle of every epoch, as nbdl draws it."""
        return shuffles(len(self.inputs), self.seed)


def make(name: str, batch: int, data: str) -> Work:
    """The work on `real` pixels (four in five of MNIST's are 0) or on `random` bytes (none is special)."""
    net = NETS[name]
    if name == "xor":
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return Work(net, batch, corners, np.array([[0], [1], [1], [0]], np.float32), 1.0)
    if data == "real" and net.dataset:
        from nbdl_datasets import load

        found = load(net.dataset, download=False)
        inputs, targets = found.train.inputs.reshape(-1, *net.shape), found.train.targets
    else:
        random = np.random.default_rng(0)
        inputs = random.integers(0, 256, (net.samples, *net.shape), np.uint8)
        targets = random.integers(0, 10, net.samples)
    whole = len(inputs) - len(inputs) % batch  # nobody has to deal with a short last batch
    return Work(net, batch, inputs[:whole], targets[:whole], 1 / 255)


@dataclass(frozen=True)
class Task:
    """A demo to be trained and tested: its work, its settings, and the test samples."""

    work: Work
    demo: Demo
    inputs: np.ndarray
    targets: np.ndarray


def lenet(seed: int) -> Task:
    """`mnist-lenet` on the real digits, in whole batches."""
    from nbdl.zoo.mnist_lenet import DEMO
    from nbdl_datasets import load

    test = load("mnist", download=False).test
    work = replace(make("lenet", int(DEMO.batch), "real"), seed=seed)
    return Task(work, DEMO, test.inputs.reshape(-1, *work.net.shape), test.targets)


class Batches:
    """Start and end of the next batch in the shuffle it belongs to."""

    def __init__(self, work: Work, place: Callable[[np.ndarray], Any]):
        self.work, self.place, self.orders, self.position = work, place, work.orders(), 0
        self.order = place(next(self.orders))

    def __next__(self) -> tuple[Any, int, int]:
        start = self.position
        if start + self.work.batch > len(self.work.inputs):
            start, self.order = 0, self.place(next(self.orders))
        self.position = start + self.work.batch
        return self.order, start, self.position
