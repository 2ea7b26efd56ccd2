"""Convolution layers: gradients over random shapes for every option, PyTorch's numbers, and shapes that do not fit."""

import json

import numpy as np
import pytest

from nbdl import layers as L
from nbdl.arena import Arena
from nbdl.errors import NbdlError
from nbdl.gradcheck import gradient_check
from nbdl.kernels.tile import SIMD
from nbdl.kernels.winograd_weights import suits_weights
from nbdl.layers import Dense, Flatten
from nbdl.losses import loss
from nbdl.model import Sequential
from nbdl.program import Data, Program

LAYERS = {
    "conv1d": (L.Conv1D(4, 3), (3, 9)),
    "conv1d-strides-dilation": (L.Conv1D(3, 4, strides=2, padding=3, dilation=2), (2, 11)),
    "conv2d": (L.Conv2D(5, 3), (2, 6, 7)),
    "conv2d-one-channel": (L.Conv2D(3, 5, activation="tanh"), (8, 8)),
    "conv2d-same": (L.Conv2D(3, (2, 3), padding="same", activation="gelu"), (2, 5, 6)),
    "conv2d-same-strides": (L.Conv2D(3, 3, strides=(2, 3), padding="same", activation="sigmoid"), (2, 7, 8)),
    "conv2d-padding": (L.Conv2D(2, 3, padding=(2, 0)), (3, 4, 5)),
    "conv2d-dilation": (L.Conv2D(2, 2, dilation=(2, 3), padding=1), (2, 6, 6)),
    "conv2d-groups": (L.Conv2D(6, 3, groups=3, activation="tanh"), (3, 5, 5)),
    "conv2d-depthwise": (L.Conv2D(4, 3, groups=4, padding=1, strides=2), (4, 6, 5)),
    "conv2d-pointwise": (L.Conv2D(7, 1), (5, 4, 3)),
    "conv2d-pointwise-strides": (L.Conv2D(4, 1, strides=2), (3, 5, 5)),
    "conv2d-strides-beyond-kernel": (L.Conv2D(2, 2, strides=3), (2, 8, 9)),
    "conv2d-strides-beyond-input": (L.Conv2D(3, 3, strides=(3, 1), padding=1), (2, 1, 16)),
    "conv3d": (L.Conv3D(2, 2), (2, 3, 4, 3)),
    "conv3d-options": (L.Conv3D(4, (1, 3, 2), strides=(1, 2, 1), padding=(0, 1, 1), groups=2), (2, 2, 5, 4)),
    "conv3d-flat-kernel": (L.Conv3D(20, (1, 3, 3), padding=(0, 1, 1), activation="tanh"), (17, 2, 8, 8)),
    "transposed-1d": (L.Conv1DTranspose(2, 3, strides=2, padding=1, output_padding=1), (3, 5)),
    "transposed-2d": (L.Conv2DTranspose(3, 2, strides=2, activation="tanh"), (4, 3, 4)),
    "transposed-2d-same": (L.Conv2DTranspose(2, 3, strides=2, padding="same"), (3, 4, 3)),
    "transposed-2d-groups": (L.Conv2DTranspose(4, 3, groups=2, padding=1, dilation=2), (2, 5, 5)),
    "transposed-3d": (L.Conv3DTranspose(2, 2, strides=(1, 2, 2)), (2, 2, 2, 3)),
    "winograd": (L.Conv2D(33, 3, padding=(1, 2), activation="tanh"), (32, 8, 6)),
    "winograd-transposed": (L.Conv2DTranspose(32, 3, padding=1), (34, 8, 8)),
}
# With fewer samples Winograd's way does not gain there; all others have 5.
BATCHES = {"winograd": 32, "winograd-transposed": 25, "conv3d-flat-kernel": 32}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("backend", ["serial", "parallel"])
def test_gradients(name, backend):
    layer, shape = LAYERS[name]
    random = np.random.default_rng(3)
    model = Sequential([layer, Flatten(), Dense(3)], shape, seed=1, dtype=np.float64)
    for values in (model.parameters[key] for key in model.parameters):
        values += 0.1 * random.standard_normal(values.shape)  # biases too: at 0 they would hide mistakes
    batch = BATCHES.get(name, 5)
    if name.startswith("winograd"):
        small, weights = (np.empty(size) for size in ((1, *layer.geometry(shape).small), layer.geometry(shape).weights))
        assert SIMD == "plain" or suits_weights(batch, small, weights, layer.geometry(shape).spec)
    data = Data(random.standard_normal((batch, *shape)), random.integers(0, 3, batch))
    checks = list(gradient_check(model, data, loss("softmax_cross_entropy"), batch=batch, backend=backend, most=25))
    assert len(checks) == 5
    for check in checks:
        assert check.error < 1e-5, (check.name, check.gradient, check.measured)


def random_settings(random, transposed):
    """A layer, a sample's shape, and the same as PyTorch takes it."""
    axes = int(random.integers(1, 4))
    groups = int(random.choice([1, 1, 2, 3]))
    channels, filters = groups * int(random.integers(1, 5)), groups * int(random.integers(1, 9))
    kernel, strides, padding, dilation = (
        tuple(int(n) for n in random.integers(low, high, axes)) for low, high in ((1, 5), (1, 4), (0, 3), (1, 3))
    )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = tuple(max(1, r - 2 * p) + int(random.integers(0, 24 // axes)) for r, p in zip(reach, padding, strict=True))
    settings = {"kernel_size": kernel, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        settings["output_padding"] = tuple(s - 1 if d < s else 0 for s, d in zip(strides, dilation, strict=True))
        sizes = tuple(size + 4 for size in sizes)  # so that a padding leaves something
    name = f"Conv{axes}DTranspose" if transposed else f"Conv{axes}D"
    layer = getattr(L, name)(filters, strides=strides, **settings)
    return layer, (channels, *sizes), {"stride": strides, **settings}, axes


def settings_for_winograd(random, transposed, whole):
    """The same for pictures and filters of 3 x 3 over many channels; whole tiles are enough for the weights to gain too."""
    channels, filters = (int(n) for n in random.integers(28, 50, 2))
    settings = {"kernel_size": 3, "padding": 1 if whole else tuple(int(n) for n in random.integers(0, 3, 2))}
    sizes = (16, 20) if whole else tuple(int(n) for n in random.integers(13, 20, 2))
    layer = (L.Conv2DTranspose if transposed else L.Conv2D)(filters, **settings)
    return layer, (channels, *sizes), settings, 2


@pytest.mark.parametrize("transposed", [False, True], ids=["forward", "transposed"])
@pytest.mark.parametrize("seed", range(35))
def test_random_shapes_against_pytorch(seed, transposed):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng([seed, transposed])
    if seed < 25:
        layer, shape, settings, axes = random_settings(random, transposed)
    else:
        layer, shape, settings, axes = settings_for_winograd(random, transposed, whole=seed > 31)
    model = Sequential([layer], shape, seed=seed)
    batch = int(random.integers(1, 7)) + (14 if seed >= 25 else 0)
    x = random.standard_normal((batch, *shape)).astype(np.float32)
    model.parameters.flat[:] = random.standard_normal(model.parameters.flat.size)
    kind = f"ConvTranspose{axes}d" if transposed else f"Conv{axes}d"
    theirs = getattr(torch.nn, kind)(shape[0], layer.filters, **settings)
    name = "conv" + f"{axes}d" + ("transpose_1" if transposed else "_1")
    w, b = model.parameters[f"{name}.w"], model.parameters[f"{name}.b"]
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(w))
        theirs.bias.copy_(torch.from_numpy(b))
    tx = torch.from_numpy(x).requires_grad_(True)
    expected = theirs(tx)
    assert expected.shape[1:] == model.output_shape
    targets = random.standard_normal(expected.shape).astype(np.float32)
    ((expected - torch.from_numpy(targets)) ** 2).mean().backward()

    gradients = Arena(np.float32, "The gradient")
    for key, values in model.parameters.shapes.items():
        gradients.reserve(key, values)
    program = Program(
        model,
        batch,
        loss("mean_squared_error"),
        Data(x, targets.reshape(batch, -1)),
        order=np.arange(batch),
        position=np.zeros(1, np.int64),
        gradients=gradients.allocate(),
        blend=np.array([1, 0], np.float32),
        input_gradient=True,
    )
    if seed >= 25 and SIMD != "plain":
        names = [call.kernel.name for call in program.calls]
        assert names.count("winograd") == 2 and (seed <= 31 or "winograd_weights" in names)
    for _ in range(2):  # the second step must not see what the first one left
        gradients.flat[:] = np.nan
        program.memory.flat[:] = np.nan
        for call in program.calls:
            call.run(*call.arguments)

        def close(ours, wanted):
            wanted = wanted.detach().numpy()
            np.testing.assert_allclose(ours.reshape(wanted.shape), wanted, atol=2e-5 * abs(wanted).max(), rtol=1e-4)

        close(program.outputs, expected)
        close(program.input_gradient, tx.grad)
        close(gradients[f"{name}.w"], theirs.weight.grad)
        close(gradients[f"{name}.b"], theirs.bias.grad)


@pytest.mark.parametrize(
    ("settings", "shape", "words"),
    [
        ({"kernel_size": 9}, (1, 8, 8), ["Conv2D", "9x9", "8x8"]),
        ({"kernel_size": 3, "dilation": 4}, (1, 8, 8), ["9x9", "8x8"]),
        ({"groups": 3}, (4, 8, 8), ["4 channels", "3 groups"]),
        ({"groups": 2}, (4, 8, 8), ["5 filters", "2 groups"]),
        ({}, (3, 4, 5, 6), ["(channels, height, width)", "(3, 4, 5, 6)"]),
        ({}, (9,), ["(channels, height, width)", "(9,)"]),
        ({"strides": 0}, (1, 8, 8), ["strides is 0", "1 or more"]),
        ({"kernel_size": (3, 3, 3)}, (1, 8, 8), ["kernel_size is (3, 3, 3)", "2 of them"]),
        ({"padding": "full"}, (1, 8, 8), ["'full'", "valid, same"]),
        ({"padding": -1}, (1, 8, 8), ["padding is -1", "0 or more"]),
        ({"activation": "softmax"}, (1, 8, 8), ["softmax", "behind"]),
    ],
)
def test_what_does_not_fit_is_named(settings, shape, words):
    with pytest.raises(NbdlError) as error:
        Sequential([L.Conv2D(5, **settings)], shape)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_few_samples_of_small_maps_are_folded():
    from nbdl.kernels.convolution import examples
    from nbdl.kernels.fold import folds

    folded = [folds(x, y, w, spec, 16) for x, w, y, spec in examples(np.random.default_rng(0), np.float32)]
    assert sum(folded) >= 3 and folded[-1] and not all(folded)  # so that the kernel is tested both ways


def test_a_padding_that_leaves_nothing_of_a_transposed_convolution():
    with pytest.raises(NbdlError, match="leaves nothing"):
        Sequential([L.Conv2DTranspose(2, 3, padding=3)], (1, 3, 3))


def test_layers_as_text_and_as_data():
    layers = L.parse("conv:16:5:padding=same,relu,conv2d:8:3x2:2,conv1dtranspose:4:strides=2")
    assert layers == [
        L.Conv2D(16, 5, padding="same", activation="relu"),
        L.Conv2D(8, (3, 2), 2),
        L.Conv1DTranspose(4, strides=2),
    ]
    stored = json.loads(json.dumps([L.describe(layer) for layer in layers]))
    assert [L.rebuild(layer) for layer in stored] == layers
