"""One kernel of a convolution over pictures in each library, float32, channels first unless said otherwise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbdl_benchmarks.convolutions import Shape
from nbdl_benchmarks.harness import Contender


def build_nbdl(shape: list[int], kernel: str) -> Contender:
    """The kernel as `Conv2D` binds it where samples come first, every array in place."""
    import nbdl
    from nbdl.kernels import winograd, winograd_weights
    from nbdl.kernels.convolution import convolve, rooms, turned_size
    from nbdl.kernels.convolution_transposed import convolve_transposed
    from nbdl.kernels.convolution_weights import convolve_weights, partial_size, parts
    from nbdl.kernels.winograd_tiles import suits

    s = Shape(*shape)
    x, w, dz = (array[:, :, None] for array in _arrays(s))
    spec = (1, s.stride, s.stride, 0, s.padding, s.padding, 1, 1, 1, 1)
    y, dx, dw = np.zeros_like(dz), np.zeros_like(x), np.zeros_like(w)
    nothing, db = np.zeros(0, np.float32), np.zeros(s.filters, np.float32)
    room = {name: np.zeros((s.batch, size), np.float32) for name, size in rooms(y, x, w, spec).items()}
    turned, blend = np.zeros(turned_size(w, 1), np.float32), np.array([1, 0], np.float32)
    if kernel == "dW" and winograd_weights.suits_weights(s.batch, y, w, spec):
        partial = np.zeros((winograd_weights.parts(s.batch, y, w), winograd_weights.partial_size(w)), np.float32)
        work = np.zeros(winograd_weights.room_size(w), np.float32)
        call = winograd_weights.winograd_weights.bind("auto", dw, db, x, dz, work, partial, spec, blend)
        result = dw
    elif kernel == "dW":
        partial = np.zeros((parts(s.batch, w), partial_size(w)), np.float32)
        call = convolve_weights.bind("auto", dw, db, x, dz, room["stage"], partial, spec, blend)
        result = dw
    elif suits(s.batch, y, w, spec):
        rooms_ = [np.zeros(size, np.float32) for size in winograd.rooms(s.batch, y, x, w).values()]
        result, given = (y, x) if kernel == "forward" else (dx, dz)
        call = winograd.winograd.bind("auto", result, given, w, nothing, *rooms_, spec, int(kernel == "dX"), 0)
    elif kernel == "forward":
        call = convolve.bind("auto", y, x, w, nothing, room["stage"], turned, spec, 0)
        result = y
    else:
        back = (room["stage_back"], turned, room["spread"])
        call = convolve_transposed.bind("auto", dx, dz, w, nothing, *back, spec, 0)
        result = dx
    return _contender("nbdl", nbdl.__version__, lambda: call.run(*call.arguments), lambda: result[:, :, 0])


def build_torch(shape: list[int], kernel: str) -> Contender:
    """oneDNN as it is called from PyTorch, without its autograd."""
    return _torch("torch", shape, kernel, last=False)


def build_torch_channels_last(shape: list[int], kernel: str) -> Contender:
    """The same with the channels last in memory, which is how oneDNN likes them on some processors."""
    return _torch("torch, channels last", shape, kernel, last=True)


def _torch(name: str, shape: list[int], kernel: str, last: bool) -> Contender:
    import torch

    s = Shape(*shape)
    memory = torch.channels_last if last else torch.contiguous_format
    x, w, dz = (torch.from_numpy(array).contiguous(memory_format=memory) for array in _arrays(s))
    found = {}

    def forward() -> None:
        found["result"] = torch.nn.functional.conv2d(x, w, None, s.stride, s.padding)

    def backward() -> None:
        wanted = [kernel == "dX", kernel == "dW", kernel == "dW"]
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dz, x, w, [s.filters], [s.stride] * 2, [s.padding] * 2, [1, 1], False, [0, 0], 1, wanted
        )
        found["result"] = dx if kernel == "dX" else dw

    return _contender(
        name,
        torch.__version__,
        forward if kernel == "forward" else backward,
        lambda: found["result"].contiguous().numpy(),
    )


def _arrays(s: Shape) -> tuple[np.ndarray, ...]:
    """Input, filters and errors."""
    random = np.random.default_rng(0)
    shapes = (s.batch, s.channels, s.size, s.size), (s.filters, s.channels, s.kernel, s.kernel)
    errors = (s.batch, s.filters, s.out, s.out)
    x, w, dz = (random.standard_normal(shape).astype(np.float32) for shape in (*shapes, errors))
    return x, w, dz


def _contender(name: str, version: str, work: Callable[[], Any], result: Callable[[], np.ndarray]) -> Contender:
    def run(count: int) -> None:
        for _ in range(count):
            work()

    return Contender(name, version, run, lambda: [result()])
