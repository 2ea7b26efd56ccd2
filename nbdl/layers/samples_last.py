"""The two layers between which a program lays samples last, see kernels/samples_last.py and arrangement.py."""

from dataclasses import dataclass

from nbdl.kernels.samples_last import from_samples_last, to_samples_last
from nbdl.layers.base import Layer, Views


@dataclass(frozen=True)
class ToSamplesLast(Layer):
    """The same numbers, in blocks with the samples last."""

    def forward(self, v: Views):
        yield to_samples_last, (v.y.reshape(len(v.y), -1, v.y.shape[-1]), v.x.reshape(len(v.x), -1))

    def backward(self, v: Views):
        if v.dx is not None:
            yield from_samples_last, (v.dx.reshape(len(v.dx), -1), v.dy.reshape(len(v.dy), -1, v.dy.shape[-1]))


@dataclass(frozen=True)
class FromSamplesLast(Layer):
    """The same numbers, with the samples first again."""

    def forward(self, v: Views):
        yield from_samples_last, (v.y.reshape(len(v.y), -1), v.x.reshape(len(v.x), -1, v.x.shape[-1]))

    def backward(self, v: Views):
        if v.dx is not None:
            yield to_samples_last, (v.dx.reshape(len(v.dx), -1, v.dx.shape[-1]), v.dy.reshape(len(v.dy), -1))
