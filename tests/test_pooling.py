"""Pooling, up-sampling and reshaping: gradients, PyTorch's numbers, and shapes that do not fit."""

import numpy as np
import pytest

from nbdl import layers as L
from nbdl.arena import Arena
from nbdl.errors import NbdlError
from nbdl.gradcheck import gradient_check
from nbdl.losses import loss
from nbdl.model import Sequential
from nbdl.program import Data, Program

LAYERS = {
    "max-1d": (L.MaxPool1D(3), (2, 10)),
    "max-2d": (L.MaxPool2D(), (3, 6, 8)),
    "max-2d-odd": (L.MaxPool2D(), (3, 5, 7)),
    "max-2d-partial": (L.MaxPool2D(2, ceil_mode=True), (2, 5, 7)),
    "max-2d-overlapping": (L.MaxPool2D(3, 2, 1), (2, 7, 6)),
    "max-3d": (L.MaxPool3D((1, 2, 3), (1, 1, 2)), (2, 3, 4, 6)),
    "average-1d": (L.AvgPool1D(4, 2, 2), (2, 9)),
    "average-2d": (L.AvgPool2D(2), (3, 6, 5)),
    "average-2d-padded": (L.AvgPool2D(3, 2, 1, ceil_mode=True, count_include_pad=True), (2, 6, 7)),
    "average-3d": (L.AvgPool3D(2), (2, 3, 4, 5)),
    "global-1d": (L.GlobalAveragePool(), (3, 5)),
    "global-2d": (L.GlobalAveragePool(), (4, 3, 5)),
    "global-3d": (L.GlobalAveragePool(), (4, 2, 3, 2)),
    "up-1d": (L.UpSample(3), (2, 4)),
    "up-2d": (L.UpSample((2, 1)), (2, 3, 4)),
    "up-3d": (L.UpSample(), (2, 2, 1, 3)),
    "reshape": (L.Reshape((3, 4)), (2, 6)),
}


@pytest.mark.parametrize("backend", ["serial", "parallel"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name, backend):
    layer, shape = LAYERS[name]
    random = np.random.default_rng(3)
    first = L.Dense(int(np.prod(shape)))  # so that the layer has something before it that wants its dx
    model = Sequential([first, L.Reshape(shape), layer, L.Flatten(), L.Dense(3)], (7,), seed=1, dtype=np.float64)
    data = Data(random.standard_normal((5, 7)), random.integers(0, 3, 5))
    for check in gradient_check(model, data, loss("softmax_cross_entropy"), backend=backend, most=25):
        assert check.error < 1e-5, (check.name, check.gradient, check.measured)


@pytest.mark.parametrize("kind", ["Max", "Avg"])
@pytest.mark.parametrize("seed", range(20))
def test_random_windows_against_pytorch(seed, kind):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng([seed, kind == "Max"])
    axes = int(random.integers(1, 4))
    size, strides = (tuple(int(n) for n in random.integers(1, 5, axes)) for _ in range(2))
    padding = tuple(int(random.integers(0, s // 2 + 1)) for s in size)
    ceil_mode, padded = (bool(n) for n in random.integers(0, 2, 2))
    shape = (int(random.integers(1, 5)), *(s + int(random.integers(0, 9)) for s in size))
    more = {"count_include_pad": padded} if kind == "Avg" else {}
    layer = getattr(L, f"{kind}Pool{axes}D")(size, strides, padding, ceil_mode, **more)
    theirs = getattr(torch.nn, f"{kind}Pool{axes}d")(size, strides, padding, ceil_mode=ceil_mode, **more)
    batch = int(random.integers(1, 5))
    x = random.integers(-4, 5, (batch, *shape)).astype(np.float32)  # with ties
    tx = torch.from_numpy(x).requires_grad_(True)
    expected = theirs(tx)
    model = Sequential([layer, L.Flatten(), L.Dense(2)], shape)
    assert layer.out_shape(shape) == expected.shape[1:]
    gradients = Arena(np.float32, "The gradient")
    for name, sizes in model.parameters.shapes.items():
        gradients.reserve(name, sizes)
    program = Program(
        model,
        batch,
        loss("mean_squared_error"),
        Data(x, np.zeros((batch, 2))),
        order=np.arange(batch),
        position=np.zeros(1, np.int64),
        gradients=gradients.allocate(),
        blend=np.array([1, 0], np.float32),
        input_gradient=True,
    )
    for _ in range(2):
        program.memory.flat[:] = np.nan
        for call in program.calls:
            call.run(*call.arguments)
        np.testing.assert_allclose(program.activation(0), expected.detach().numpy(), rtol=1e-6)
        w, b = (torch.from_numpy(model.parameters[f"dense_1.{name}"]) for name in "wb")
        tx.grad = None
        ((theirs(tx).flatten(1) @ w + b) ** 2).mean().backward()
        np.testing.assert_allclose(program.input_gradient, tx.grad.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (lambda: L.MaxPool2D(5), (1, 4, 4), ["MaxPool2D", "window of 5", "(1, 4, 4)"]),
        (lambda: L.MaxPool2D(2, padding=2), (1, 4, 4), ["padding is 2", "half"]),
        (lambda: L.AvgPool2D(0), (1, 4, 4), ["size is 0", "1 or more"]),
        (lambda: L.MaxPool1D(2), (3, 4, 5, 6), ["(channels, length)", "(3, 4, 5, 6)"]),
        (lambda: L.GlobalAveragePool(), (9,), ["(9,)"]),
        (lambda: L.UpSample(0), (1, 2, 2), ["size is 0"]),
        (lambda: L.UpSample((2, 2)), (1, 2, 2, 2), ["(2, 2)", "3 of them"]),
        (lambda: L.Reshape((3, 3)), (8,), ["8 numbers", "9"]),
        (lambda: L.Reshape((0, 3)), (8,), ["above 0"]),
    ],
)
def test_what_does_not_fit_is_named(layer, shape, words):
    with pytest.raises(NbdlError) as error:
        Sequential([layer()], shape)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_nan_shows_through():
    from nbdl.kernels.pooling import MAX, pool_forward

    x = np.zeros((1, 1, 1, 4, 4), np.float32)
    x[0, 0, 0, 1, 2] = np.nan
    y = np.empty((1, 1, 1, 2, 2), np.float32)
    call = pool_forward.bind("serial", y, x, (1, 2, 2, 1, 2, 2, 0, 0, 0), MAX)
    call.run(*call.arguments)
    assert np.isnan(y[0, 0, 0]).tolist() == [[False, True], [False, False]]
