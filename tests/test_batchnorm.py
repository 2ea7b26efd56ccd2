"""Batch normalisation: its gradients, PyTorch's numbers step by step, and running statistics that are state."""

import json

import numpy as np
import pytest

import nbdl
from nbdl import layers as L
from nbdl.errors import NbdlError
from nbdl.gradcheck import gradient_check

SHAPES = {"dense": (7,), "1d": (3, 9), "2d": (5, 4, 6), "3d": (2, 3, 2, 4), "many features": (130,)}


def network(shape, epsilon=1e-5, dtype=np.float32):
    flat = [] if len(shape) == 1 else [L.Flatten()]
    model = nbdl.Sequential([L.BatchNorm(0.3, epsilon), *flat, L.Dense(3)], shape, seed=1, dtype=dtype)
    random = np.random.default_rng(4)
    for name in ("gamma", "beta"):  # off 1 and 0, where mistakes would hide
        model.parameters[f"batchnorm_1.{name}"][...] += 0.3 * random.standard_normal(shape[0])
    return model


def samples(shape, n, dtype=np.float32):
    random = np.random.default_rng(5)
    channels = (shape[0], *(1,) * (len(shape) - 1))
    inputs = random.standard_normal((n, *shape)) + 3 * random.standard_normal(channels)
    return nbdl.Data(inputs.astype(dtype), random.integers(0, 3, n))


def training(model, data, optimizer=None, **options):
    options = {"batch": 4, "shuffle": False, "budget": nbdl.Budget(epochs=3), **options}
    return nbdl.Training(model, data, nbdl.loss("softmax_cross_entropy"), optimizer or nbdl.Momentum(0.1), **options)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients(shape):
    model = network(shape, dtype=np.float64)
    loss = nbdl.loss("softmax_cross_entropy")
    for check in gradient_check(model, samples(shape, 5, np.float64), loss, most=25, backend="parallel"):
        assert check.error < 1e-5, (check.name, check.gradient, check.measured)


def test_a_bias_that_normalisation_takes_away_has_no_slope_and_passes():
    """dense_1.b moves every number of a feature alike: its slope is 0, and what is measured there is rounding."""
    model = nbdl.Sequential([L.Dense(6), L.BatchNorm(), L.Dense(3)], (7,), seed=1)
    checks = {c.name: c for c in gradient_check(model, samples((7,), 8), nbdl.loss("softmax_cross_entropy"))}
    assert abs(checks["dense_1.b"].gradient).max() < 1e-12
    assert max(check.error for check in checks.values()) < 1e-4


@pytest.mark.parametrize("optimizer", ["sgd, fused", "momentum and decay"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_training_follows_pytorch(shape, optimizer):
    """Ten samples in batches of four: the last batch is short, and its statistics are measured over fewer numbers."""
    torch = pytest.importorskip("torch")
    model, data = network(shape, epsilon=1e-3), samples(shape, 10)
    kind = getattr(torch.nn, f"BatchNorm{max(1, len(shape) - 1)}d")
    theirs = torch.nn.Sequential(kind(shape[0], eps=1e-3, momentum=0.3), torch.nn.Flatten(), torch.nn.LazyLinear(3))
    theirs(torch.zeros(2, *shape))
    theirs[0].reset_running_stats()
    ours, names = model.parameters, ("batchnorm_1.gamma", "batchnorm_1.beta", "dense_1.w", "dense_1.b")
    with torch.no_grad():
        for name, parameter in zip(names, theirs.parameters(), strict=True):
            parameter.copy_(torch.from_numpy(ours[name].T))
    fused = optimizer == "sgd, fused"
    settings = {"lr": 0.1} if fused else {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
    run = training(model, data, nbdl.SGD(0.1) if fused else nbdl.Momentum(0.1, weight_decay=0.05))
    descent = torch.optim.SGD(theirs.parameters(), **settings)
    inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
    for number, step in enumerate(run.steps()):
        at = slice(4 * (number % 3), 4 * (number % 3) + 4)
        loss = torch.nn.functional.cross_entropy(theirs(inputs[at]), targets[at])
        descent.zero_grad()
        loss.backward()
        descent.step()
        assert step.loss == pytest.approx(loss.item(), rel=1e-4)

    def close(found, wanted):
        np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-4, atol=2e-5)

    assert run.updates == 9
    for name, parameter in zip(names, theirs.parameters(), strict=True):
        close(ours[name].T, parameter)
    close(model.buffers["batchnorm_1.running_mean"], theirs[0].running_mean)
    close(model.buffers["batchnorm_1.running_variance"], theirs[0].running_var)
    close(nbdl.predict(model, data.inputs[:1], run.loss), theirs.eval()(inputs[:1]))


def test_a_mean_far_from_zero_costs_no_digits():
    x = np.random.default_rng(0).standard_normal((64, 3, 40))
    data = nbdl.Data((x + 1000).astype(np.float32), np.zeros(64, np.int64))
    model = nbdl.Sequential([L.BatchNorm(1.0), L.Flatten()], (3, 40))
    program = training(model, data, batch=64).program
    program.memory.flat[:] = np.nan
    for call in [*program.gather, *program.forward]:
        call.run(*call.arguments)
    exact = data.inputs.astype(np.float64)
    exact = (exact - exact.mean((0, 2), keepdims=True)) / np.sqrt(exact.var((0, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(program.outputs.reshape(exact.shape), exact, atol=2e-4)
    np.testing.assert_allclose(
        model.buffers["batchnorm_1.running_variance"], data.inputs.astype(np.float64).var((0, 2), ddof=1), rtol=1e-4
    )


def test_running_statistics_are_no_parameters():
    """Nothing that acts on parameters may move them: with momentum 0 they stay, whatever decays or clips the rest."""
    model = nbdl.Sequential([L.BatchNorm(0.0), L.Dense(3)], (7,))
    run = training(model, samples((7,), 10), nbdl.Adam(0.1, weight_decay=0.5), clip=0.1)
    list(run.steps())
    assert not model.buffers["batchnorm_1.running_mean"].any()
    assert (model.buffers["batchnorm_1.running_variance"] == 1).all()
    assert model.parameter_count == 7 + 7 + 7 * 3 + 3
    assert list(model.parameters) == ["batchnorm_1.gamma", "batchnorm_1.beta", "dense_1.w", "dense_1.b"]


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_equals_one_never_stopped(tmp_path, stop):
    data, options = samples((5, 4, 6), 10), {"shuffle": True, "seed": 3}
    whole, first, second = (network((5, 4, 6)) for _ in range(3))
    list(training(whole, data, **options).steps())
    half = training(first, data, **options)
    for step in half.steps():
        if step.update == stop:
            break
    nbdl.save_checkpoint(tmp_path / "half.safetensors", half)
    second.initialize(99)
    resumed = training(second, data, **options)
    nbdl.load_checkpoint(tmp_path / "half.safetensors").restore(resumed)
    list(resumed.steps())
    assert second.snapshot().tobytes() == whole.snapshot().tobytes()
    assert whole.buffers["batchnorm_1.running_mean"].all()


def test_a_checkpoint_without_running_statistics_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "net.safetensors"
    nbdl.save_checkpoint(path, training(network((7,)), samples((7,), 10)))
    tensors = load_file(path)
    metadata = {"nbdl": json.dumps(json.loads(_metadata(path)))}
    del tensors["batchnorm_1.running_mean"]
    save_file(tensors, path, metadata)
    with pytest.raises(NbdlError, match=r"batchnorm_1\.running_mean should have shape \(7,\)"):
        nbdl.load_checkpoint(path)


def _metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()["nbdl"]


def test_early_stopping_gives_the_running_statistics_back():
    model, data = network((7,)), samples((7,), 10)
    run, stopping = training(model, data), nbdl.EarlyStopping(1)
    steps = run.steps()
    next(steps)
    assert not stopping.stops(0.9, model)
    best = model.snapshot()
    next(steps)
    assert stopping.stops(0.8, model)
    assert model.snapshot().tobytes() != best.tobytes()
    stopping.restore(model)
    assert model.snapshot().tobytes() == best.tobytes()


def test_first_weights_drawn_anew_forget_the_running_statistics():
    model = network((7,))
    list(training(model, samples((7,), 10)).steps())
    model.initialize(1)
    assert model.snapshot().tobytes() == nbdl.Sequential(model.layers, (7,), seed=1).snapshot().tobytes()


def test_same_bits_for_any_number_of_threads():
    import numba

    found, most = set(), numba.get_num_threads()
    for backend, threads in (("serial", 1), ("parallel", 1), ("parallel", 2), ("auto", most)):
        numba.set_num_threads(min(threads, most))
        model = network((5, 4, 6))
        list(training(model, samples((5, 4, 6), 10), backend=backend).steps())
        found.add(model.snapshot().tobytes())
    numba.set_num_threads(most)
    assert len(found) == 1


@pytest.mark.parametrize(("n", "batch"), [(10, 1), (9, 4)], ids=["stochastic", "one sample left over"])
def test_one_number_of_a_feature_has_no_spread(n, batch):
    with pytest.raises(NbdlError, match=r"1 sample of shape \(7,\).*batch size of 2 or more"):
        training(network((7,)), samples((7,), n), batch=batch)
    training(network((5, 4, 6)), samples((5, 4, 6), n), batch=batch)  # one map holds many numbers
    assert nbdl.predict(network((7,)), samples((7,), 1).inputs, nbdl.loss("softmax_cross_entropy")).shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batchnorm:1.5", "momentum is 1.5; expected a number from 0 to 1"),
        ("batchnorm:epsilon=0", "epsilon is 0; expected a small number above 0"),
        ("batchnorm:rate=0.1", "it has no 'rate'; its settings are momentum, epsilon"),
        ("batchnorm:fast", "'fast' is not a number"),
    ],
)
def test_settings_that_mean_nothing(text, words):
    with pytest.raises(NbdlError, match=words):
        L.parse(text)


def test_layers_as_text_and_as_data():
    layers = L.parse("conv:8:3,batchnorm,relu,batchnorm:0.2:epsilon=1e-3,flatten,9,batchnorm:momentum=0.5")
    assert layers == [
        L.Conv2D(8, 3),
        L.BatchNorm(),
        L.Activation("relu"),
        L.BatchNorm(0.2, 1e-3),
        L.Flatten(),
        L.Dense(9),
        L.BatchNorm(0.5),
    ]
    stored = json.loads(json.dumps([L.describe(layer) for layer in layers]))
    assert [L.rebuild(layer) for layer in stored] == layers
