"""Training on the backend "cuda" in Numba's simulator gives NumPy's parameters; test_simulator.py runs this file."""

import numpy as np
import pytest

import nbdl

pytestmark = pytest.mark.filterwarnings("ignore:.*overflow:RuntimeWarning")


def xor():
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    layers = [nbdl.Dense(8, "tanh"), nbdl.Dense(1)]
    return nbdl.Sequential(layers, (2,), seed=1), nbdl.Data(inputs, inputs[:, :1] != inputs[:, 1:])


def classes():
    """Bytes scaled on the way, a last batch that is short, dropout, and both kinds of saved activation."""
    random = np.random.default_rng(3)
    layers = nbdl.layers.parse("flatten,9,gelu,dropout:0.3,6,relu,3")
    data = nbdl.Data(random.integers(0, 256, (10, 3, 4), np.uint8), random.integers(0, 3, 10), 128.0, 1 / 128)
    return nbdl.Sequential(layers, (3, 4), seed=2), data


def normalised():
    """Parameters that fused descent moves, and running statistics that it must not."""
    _, data = xor()
    return nbdl.Sequential([nbdl.Dense(4), nbdl.BatchNorm(), nbdl.Dropout(0.3), nbdl.Dense(1)], (2,), seed=1), data


CASES = {
    "xor, fused gradient descent": (xor, "binary_cross_entropy", lambda: nbdl.SGD(0.5), 1, None),
    "xor, full batch": (xor, "mean_squared_error", lambda: nbdl.Momentum(0.1), "full", None),
    "xor, batch normalisation, fused": (normalised, "binary_cross_entropy", lambda: nbdl.SGD(0.5), 2, None),
    "classes, adam, clipped": (classes, "softmax_cross_entropy", lambda: nbdl.Adam(0.01), 4, 0.5),
}
RESUMED = (normalised, "binary_cross_entropy", lambda: nbdl.Momentum(0.1), 2, None)


def training(case, backend, updates=3):
    make, loss, optimizer, batch, clip = case
    model, data = make()
    return nbdl.Training(
        model,
        data,
        nbdl.loss(loss),
        optimizer(),
        batch=batch,
        budget=nbdl.Budget(updates=updates),
        clip=clip,
        backend=backend,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_three_steps_equal_numpy(case):
    runs = [training(case, backend) for backend in ("numpy", "cuda")]
    before = runs[0].model.snapshot()
    expected, got = ([step.loss for step in run.steps()] for run in runs)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_allclose(runs[1].model.snapshot(), runs[0].model.snapshot(), rtol=1e-5, atol=1e-5)
    assert np.abs(runs[0].model.snapshot() - before).max() > 1e-3


def test_resumed_run_gives_the_same_bits(tmp_path):
    whole, first, second = (training(RESUMED, "cuda", updates) for updates in (2, 1, 2))
    list(whole.steps())
    list(first.steps())
    nbdl.save_checkpoint(tmp_path / "half.safetensors", first)
    nbdl.load_checkpoint(tmp_path / "half.safetensors").restore(second)
    list(second.steps())
    assert second.updates == whole.updates == 2
    np.testing.assert_array_equal(second.model.snapshot(), whole.model.snapshot())
