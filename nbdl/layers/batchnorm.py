"""Batch normalisation: each feature, or each channel, is kept at the mean and spread that training finds best for it."""

from dataclasses import dataclass
from math import isfinite, prod

from nbdl.errors import NbdlError
from nbdl.kernels.batchnorm import batchnorm_apply, batchnorm_backward, batchnorm_forward, batchnorm_running
from nbdl.layers.base import Layer, Parameter, Shape, Views


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each channel: the first axis of a sample.

    In training, mean and variance are the batch's, and the running ones follow: running = (1 - momentum) running +
    momentum batch, the running variance with m - 1 in place of m (PyTorch's convention). In use they are the running
    ones. gamma starts at 1 and beta at 0. Raises NbdlError where training meets a batch with one number a channel.

    Shape: (features) -> (features), (channels, ...) -> (channels, ...) (Ioffe and Szegedy 2015)
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self):
        if not 0 <= self.momentum <= 1:
            raise NbdlError(f"BatchNorm's momentum is {self.momentum}; expected a number from 0 to 1.")
        if not (self.epsilon > 0 and isfinite(self.epsilon)):
            raise NbdlError(f"BatchNorm's epsilon is {self.epsilon}; expected a small number above 0.")

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"gamma": Parameter(shape[:1], "constant:1"), "beta": Parameter(shape[:1], "zeros")}

    def buffers(self, shape: Shape) -> dict[str, Parameter]:
        return {
            "running_mean": Parameter(shape[:1], "zeros"),
            "running_variance": Parameter(shape[:1], "constant:1"),
        }

    def workspace(self, shape: Shape, batch: int) -> dict[str, Shape]:
        return {"mean": shape[:1], "variance": shape[:1], "room": (4, shape[0], prod(shape[1:]))}

    def forward(self, v: Views):
        y, x, gamma, beta, room = _maps(v.y), _maps(v.x), v.parameters["gamma"], v.parameters["beta"], v.saved["room"]
        running = v.buffers["running_mean"], v.buffers["running_variance"]
        if not v.training:
            yield batchnorm_apply, (y, x, gamma, beta, *running, room, float(self.epsilon))
            return
        m = x.shape[0] * x.shape[2]
        if m < 2:
            raise NbdlError(
                f"BatchNorm cannot train on 1 sample of shape {v.x.shape[1:]}: one number of each feature has no spread. "
                "Choose a batch size of 2 or more that does not leave 1 sample over at the end of an epoch."
            )
        batch = v.saved["mean"], v.saved["variance"]
        yield batchnorm_forward, (y, *batch, x, gamma, beta, room, float(self.epsilon))
        yield batchnorm_running, (*running, *batch, float(self.momentum), m)

    def backward(self, v: Views):
        x, gamma, room = _maps(v.x), v.parameters["gamma"], v.saved["room"]
        dx = _maps(v.dx) if v.dx is not None else x[:0]
        gradients = v.gradients["gamma"], v.gradients["beta"]
        batch = v.saved["mean"], v.saved["variance"]
        yield batchnorm_backward, (dx, *gradients, _maps(v.dy), x, gamma, *batch, room, float(self.epsilon), v.blend)


def _maps(array):
    """(batch, channels, cells), whatever the dimensions of a sample."""
    return array.reshape(array.shape[0], array.shape[1], -1)
