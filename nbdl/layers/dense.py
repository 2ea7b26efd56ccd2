"""The dense (fully connected) layer: every unit looks at every input."""

from dataclasses import dataclass

from nbdl.errors import NbdlError
from nbdl.kernels.activation import GELU, KINDS, LINEAR, activation_backward, activation_forward
from nbdl.kernels.dense import dense_backward_input, dense_backward_weights, dense_forward, partial_sums
from nbdl.layers.activation import check
from nbdl.layers.base import Layer, Parameter, Shape, Views


@dataclass(frozen=True)
class Dense(Layer):
    """y = f(x W + b) with W (inputs, units), b (units) and f any element-by-element activation.

    The initializer `auto` is he_normal before ReLU-like activations, else glorot_uniform; b starts at 0.

    Shape: (inputs) -> (units)
    """

    units: int
    activation: str = "linear"
    initializer: str = "auto"

    def __post_init__(self):
        if self.units < 1:
            raise NbdlError(f"Dense needs 1 unit or more, not {self.units}.")
        if check(self.activation) == "softmax":
            raise NbdlError("Dense takes no softmax: put Activation('softmax') behind it.")

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise NbdlError(
                f"Dense({self.units}) takes vectors, not samples of shape {shape}: put Flatten() before it."
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        (inputs,) = shape
        rectified = self.activation in ("relu", "leaky_relu", "gelu")
        initializer = (
            ("he_normal" if rectified else "glorot_uniform") if self.initializer == "auto" else self.initializer
        )
        return {
            "w": Parameter((inputs, self.units), initializer, inputs, self.units),
            "b": Parameter((self.units,), "zeros"),
        }

    def saved(self, shape: Shape) -> dict[str, Shape]:
        return {} if self.activation == "linear" else {"dz": (self.units,)}

    def scratch(self, shape: Shape) -> dict[str, Shape]:
        room: dict[str, Shape] = {"partial": (partial_sums(shape[0], self.units),)}
        return room | {"z": (self.units,)} if self.activation == "gelu" else room

    def forward(self, v: Views):
        w, b, kind, partial = v.parameters["w"], v.parameters["b"], KINDS[self.activation], v.saved["partial"]
        if kind == GELU:  # its derivative needs z itself
            yield dense_forward, (v.saved["z"], v.x, w, b, partial, LINEAR)
            yield activation_forward, (v.y, v.saved["z"], GELU)
        else:
            yield dense_forward, (v.y, v.x, w, b, partial, kind)

    def backward(self, v: Views):
        kind, dz = KINDS[self.activation], v.dy
        if kind != LINEAR:
            dz = v.saved["dz"]
            yield activation_backward, (dz, v.dy, v.saved["z"] if kind == GELU else v.y, kind)
        if v.dx is not None:
            yield dense_backward_input, (v.dx, dz, v.parameters["w"])
        yield dense_backward_weights, (v.gradients["w"], v.gradients["b"], v.x, dz, v.blend)
