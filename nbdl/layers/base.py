"""What a layer is: a frozen description that says which kernels run on which arrays. It owns no arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nbdl.kernel import Kernel

Shape = tuple[int, ...]
Cells = tuple[tuple[int, int], ...]  # a block of a map: (first, the one behind the last) for every axis
KernelCall = tuple[Kernel, tuple]


@dataclass(frozen=True)
class Parameter:
    """Shape and first values of one parameter; `inputs` and `outputs` are the fans that its initializer scales by."""

    shape: Shape
    initializer: str
    inputs: int = 1
    outputs: int = 1


@dataclass
class Views:
    """The arrays of one layer in one program: batch-first x, y and their gradients (dx is None where nobody asks)."""

    number: int
    x: Any
    y: Any
    dx: Any = None
    dy: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    gradients: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, Any] = field(default_factory=dict)
    saved: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)  # where a recurrent layer starts from
    last: dict[str, Any] = field(default_factory=dict)  # and where it ends: the same arrays when states are carried on
    state_gradients: dict[str, Any] = field(default_factory=dict)
    lengths: Any = None  # (batch) steps of each sequence that count
    counter: Any = None  # (seed, update), for layers that draw random numbers
    blend: Any = None  # (scale, keep) of the weight gradients, see kernels/dense.py
    training: bool = False
    from_relu: bool = False  # x came out of a ReLU, whose derivative this layer's backward takes along
    dy_is_dz: bool = False  # the layer behind has done so: dy is the gradient before this layer's activation
    samples_last: bool = False  # the arrays are (blocks, ..., lanes), see kernels/samples_last.py

    @property
    def in_shape(self) -> Shape:
        """The shape of one sample of x."""
        return self.x.shape[1:-1] if self.samples_last else self.x.shape[1:]

    @property
    def lanes(self) -> Shape:
        """What stands behind that shape."""
        return self.x.shape[-1:] if self.samples_last else ()


@dataclass(frozen=True)
class Layer:
    """One step of a network. Subclasses override what differs; shapes are those of one sample, without the batch."""

    differentiates_relu: ClassVar[bool] = False  # backward can take along the derivative of a ReLU before this layer

    @property
    def rectifies(self) -> bool:
        """Whether it ends in a ReLU whose derivative the layer behind may take along."""
        return False

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of the output; raises NbdlError when the input does not fit."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """The parameters by name."""
        return {}

    def buffers(self, shape: Shape) -> dict[str, Parameter]:
        """What training keeps from step to step, though no gradient moves it: saved with the network, never decayed."""
        return {}

    def states(self, shape: Shape) -> dict[str, Shape]:
        """What one sample carries from step to step, and on request from one batch to the next."""
        return {}

    def saved(self, shape: Shape) -> dict[str, Shape]:
        """Arrays of one sample that only training needs: what forward keeps for backward, or backward works in."""
        return {}

    def scratch(self, shape: Shape) -> dict[str, Shape]:
        """Arrays of one sample that forward works in, in training and in use."""
        return {}

    def workspace(self, shape: Shape, batch: int) -> dict[str, Shape]:
        """Arrays of the whole batch that forward or backward works in."""
        return {}

    def takes_samples_last(self, shape: Shape) -> bool:
        """Whether forward and backward can do with the samples last, and whether that may pay."""
        return False

    def products(self, shape: Shape) -> int:
        """FLOPs of the sums of products of one sample's forward pass, in layers that take samples last."""
        return 0

    def workspace_samples_last(self, shape: Shape, blocks: int, lanes: int) -> dict[str, Shape]:
        """Arrays that forward or backward then works in, for all blocks."""
        return {}

    def is_view(self, training: bool) -> bool:
        """True where the output is the input in another shape: then no kernel runs and no memory is taken."""
        return False

    def forward(self, v: Views) -> Iterator[KernelCall]:
        """Kernel calls that fill v.y from v.x."""
        return iter(())

    def backward(self, v: Views) -> Iterator[KernelCall]:
        """Kernel calls that fill v.dx (unless None) and v.gradients from v.dy. dx comes first: dW may move W itself."""
        return iter(())

    def window(self, shape: Shape, cells: Cells) -> Cells | None:
        """The block of input cells that a block of output cells sees, axes without channels; None where it is all."""
        return cells if self.out_shape(shape) == shape else None
