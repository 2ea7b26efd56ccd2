"""Every layer's backward pass: against measured slopes in float64, and against PyTorch where it is installed."""

import numpy as np
import pytest

import nbdl
from nbdl import Activation, Budget, Data, Dense, Dropout, Flatten, Sequential, Training, gradient_check
from nbdl.kernels.activation import KINDS

LOSSES = ["softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"]
SMOOTH = [kind for kind in KINDS if kind != "step"]


def problem(loss, features=6, outputs=4, n=5, seed=0):
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((n, features))
    if loss == "softmax_cross_entropy":
        return Data(inputs, random.integers(0, outputs, n))
    return Data(inputs, random.uniform(0, 1, (n, outputs)))


@pytest.mark.parametrize("backend", ["numpy", "serial"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", SMOOTH)
def test_dense_networks(kind, loss, backend):
    model = Sequential([Flatten(), Dense(7, kind), Dropout(0.3), Dense(5), Activation(kind), Dense(4)], (6,), seed=2)
    for check in gradient_check(model, problem(loss), nbdl.loss(loss), backend=backend, most=20):
        assert check.error < 1e-4, (check.name, check.gradient, check.measured)


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error"])
def test_softmax_layer(loss):
    model = Sequential([Dense(5, "tanh"), Dense(4), Activation("softmax")], (6,), seed=2)
    for check in gradient_check(model, problem(loss), nbdl.loss(loss)):
        assert check.error < 1e-4, check.name


def test_the_step_function_has_no_slope_to_follow():
    model = Sequential([Dense(5, "step"), Dense(4)], (6,))
    checks = {c.name: c for c in gradient_check(model, problem("mean_squared_error"), nbdl.loss("mean_squared_error"))}
    assert not checks["dense_1.w"].gradient.any()
    assert checks["dense_2.w"].error < 1e-4


def test_a_wrong_backward_pass_is_found(monkeypatch):
    from nbdl.layers import dense

    def forgets_the_activation(self, v):
        yield dense.dense_backward_weights, (v.gradients["w"], v.gradients["b"], v.x, v.dy, v.blend)

    monkeypatch.setattr(Dense, "backward", forgets_the_activation)
    model = Sequential([Dense(4, "tanh")], (6,))
    checks = list(gradient_check(model, problem("mean_squared_error"), nbdl.loss("mean_squared_error")))
    assert max(check.error for check in checks) > 1e-2


OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.1, "weight_decay": 0.01}, nbdl.SGD(0.1, 0.01)),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}, nbdl.Momentum(0.1)),
    "nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, nbdl.Nesterov(0.1)),
    "adagrad": ("Adagrad", {"lr": 0.1, "eps": 1e-8}, nbdl.Adagrad(0.1)),
    "rmsprop": ("RMSprop", {"lr": 0.01}, nbdl.RMSProp(0.01)),
    "adam": ("Adam", {"lr": 0.01, "weight_decay": 0.1}, nbdl.Adam(0.01, 0.1)),
    "adamw": ("AdamW", {"lr": 0.01}, nbdl.AdamW(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["relu", "gelu", "tanh", "sigmoid"])
def test_ten_steps_like_pytorch(name, kind):
    torch = pytest.importorskip("torch")
    loss = "softmax_cross_entropy"
    data = problem(loss, n=40)
    model = Sequential([Dense(9, kind), Dense(4)], (6,), dtype=np.float64)
    kinds = {"relu": torch.nn.ReLU, "gelu": torch.nn.GELU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 9), kinds[kind](), torch.nn.Linear(9, 4)).double()
    with torch.no_grad():
        for number, layer in ((0, "dense_1"), (2, "dense_2")):
            theirs[number].weight.copy_(torch.from_numpy(model.parameters[f"{layer}.w"].T.copy()))
            theirs[number].bias.copy_(torch.from_numpy(model.parameters[f"{layer}.b"].copy()))
    torch_name, settings, ours = OPTIMIZERS[name]
    optimizer = getattr(torch.optim, torch_name)(theirs.parameters(), **settings)
    training = Training(
        model, data, nbdl.loss(loss), ours, batch=8, budget=Budget(updates=10), shuffle=False, backend="serial"
    )
    inputs, targets = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
    for step in training.steps():
        start = (step.update - 1) * 8 % 40
        optimizer.zero_grad()
        cost = torch.nn.functional.cross_entropy(theirs(inputs[start : start + 8]), targets[start : start + 8])
        cost.backward()
        optimizer.step()
        assert step.loss == pytest.approx(cost.item(), rel=1e-8)
    np.testing.assert_allclose(model.parameters["dense_1.w"], theirs[0].weight.detach().numpy().T, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kernel", ["dense", "recurrent"])
def test_small_errors_beside_a_large_bias_are_not_rounded_away(kernel):
    from nbdl.kernels.dense import dense_backward_weights
    from nbdl.kernels.recurrence import recurrent_backward_weights

    random = np.random.default_rng(9)
    rows, units, rate = 20_000, 5, 1e-3
    x, h = np.zeros((rows, 3), np.float32), np.zeros((rows, units), np.float32)
    dz = (random.standard_normal((rows, units)) / rows + 1e-5).astype(np.float32)
    dw, du, db = np.ones((3, units), np.float32), np.ones((units, units), np.float32), np.ones(units, np.float32)
    blend = np.array([-rate, 1], np.float32)
    if kernel == "dense":
        call = dense_backward_weights.bind("serial", dw, db, x, dz, blend)
    else:
        call = recurrent_backward_weights.bind("serial", dw, du, db, x, h, dz, blend)
    call.run(*call.arguments)
    step = rate * dz.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(1 - db.astype(np.float64), step, atol=1e-6)
