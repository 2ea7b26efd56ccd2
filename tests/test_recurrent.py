"""Recurrent layers: gradients of everything, states and masks included, and the same numbers as PyTorch."""

import numpy as np
import pytest

import nbdl
from nbdl import GRU, LSTM, Data, Dense, NbdlError, Sequential, SimpleRNN, TimeDistributedDense, gradient_check
from nbdl.arena import Arena
from nbdl.program import Program

KINDS = {
    "rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "gru-before": lambda *a, **k: GRU(*a, **k, reset_after=False),
}


def sequences(random, n, steps, features, classes, each_step=False):
    """Samples of unequal length: what stands behind the end of a sequence must not matter, so it is wild."""
    inputs, lengths = random.standard_normal((n, steps, features)), random.integers(0, steps + 1, n)
    lengths[: min(n, 2)] = 0, steps
    inputs[np.arange(steps) >= lengths[:, None]] = 30
    targets = random.integers(0, classes, (n, steps) if each_step else n)
    if each_step:
        targets[np.arange(steps) >= lengths[:, None]] = -1
    return Data(inputs, targets, lengths=lengths)


@pytest.mark.parametrize("backend", ["numpy", "serial"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_random_networks(kind, seed, backend):
    random = np.random.default_rng(seed)
    steps, features, units, batch = (int(random.integers(1, high)) for high in (7, 5, 6, 6))
    each_step, both = bool(seed % 2), bool(seed // 2 % 2)
    layer = KINDS[kind](units, return_sequences=True, bidirectional=both)
    second = KINDS[kind](3, return_sequences=each_step, bidirectional=not both)
    model = Sequential(
        [layer, second, TimeDistributedDense(4) if each_step else Dense(4)], (steps, features), seed=seed
    )
    data = sequences(random, batch, steps, features, 4, each_step)
    if each_step and not (data.targets >= 0).any():
        data.targets[0, 0] = 1
    checks = {
        c.name: c for c in gradient_check(model, data, nbdl.loss("softmax_cross_entropy"), backend=backend, most=30)
    }
    states = {name for name in checks if name.endswith((".h", ".c", ".back_h", ".back_c"))}
    assert len(states) == (3 if kind != "lstm" else 6)
    for name, check in checks.items():
        assert check.error < 1e-4, (name, check.gradient, check.measured)


def program(model, data, loss, batch, dtype=np.float32):
    gradients = Arena(dtype, "The gradient")
    for name, shape in model.parameters.shapes.items():
        gradients.reserve(name, shape)
    return gradients.allocate(), Program(
        model,
        batch,
        loss,
        data,
        order=np.arange(batch),
        position=np.zeros(1, np.int64),
        gradients=gradients,
        blend=np.array([1, 0], dtype),
        input_gradient=True,
    )


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("seed", range(8))
def test_random_shapes_against_pytorch(kind, seed):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng([seed, 5])
    steps, features, units, batch = (int(random.integers(1, high)) for high in (9, 40, 50, 20))
    both = bool(seed % 2)
    model = Sequential([KINDS[kind](units, return_sequences=True, bidirectional=both)], (steps, features), seed=seed)
    model.parameters.flat[:] = 0.3 * random.standard_normal(model.parameters.flat.size)
    theirs = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](
        features, units, batch_first=True, bidirectional=both
    )
    name = model.places[0].name
    with torch.no_grad():
        for ours, suffix in (("", ""), *([("back_", "_reverse")] if both else [])):
            w, u, b = (model.parameters[f"{name}.{ours}{p}"] for p in ("w", "u", "b"))
            getattr(theirs, f"weight_ih_l0{suffix}").copy_(torch.from_numpy(w.T.copy()))
            getattr(theirs, f"weight_hh_l0{suffix}").copy_(torch.from_numpy(u.T.copy()))
            getattr(theirs, f"bias_ih_l0{suffix}").copy_(torch.from_numpy(b.copy()))
            side = np.zeros_like(b)
            if kind == "gru":
                side[2 * units :] = model.parameters[f"{name}.{ours}b_hidden"]
            getattr(theirs, f"bias_hh_l0{suffix}").copy_(torch.from_numpy(side))
    x = random.standard_normal((batch, steps, features)).astype(np.float32)
    lengths = random.integers(1, steps + 1, batch)
    tx = torch.from_numpy(x).requires_grad_(True)
    start = {
        n: random.standard_normal((batch, units)).astype(np.float32) for n in model.places[0].layer.states(x.shape[1:])
    }
    tstart = [
        torch.from_numpy(np.stack([start[p + n] for p in (("", "back_") if both else ("",))])).requires_grad_(True)
        for n in (("h", "c") if kind == "lstm" else ("h",))
    ]
    packed = torch.nn.utils.rnn.pack_padded_sequence(tx, torch.from_numpy(lengths), True, enforce_sorted=False)
    out, last = theirs(packed, tuple(tstart) if kind == "lstm" else tstart[0])
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=steps)
    targets = random.standard_normal(expected.shape).astype(np.float32)
    ((expected - torch.from_numpy(targets)) ** 2).mean().backward()

    data = Data(x, targets.reshape(batch, -1), lengths=lengths)
    gradients, bound = program(model, data, nbdl.loss("mean_squared_error"), batch)
    for key, values in start.items():
        bound.states[f"{name}.{key}"][...] = values
    for _ in range(2):  # the second step must not see what the first one left
        gradients.flat[:] = np.nan
        bound.memory.flat[:] = np.nan
        for call in bound.calls:
            call.run(*call.arguments)

    def close(ours, wanted):
        wanted = wanted.detach().numpy()
        np.testing.assert_allclose(
            ours.reshape(wanted.shape), wanted, atol=1e-5 * max(1e-3, abs(wanted).max()), rtol=1e-4
        )

    close(bound.outputs, expected)
    close(bound.input_gradient, tx.grad)
    for number, (ours, suffix) in enumerate((("", ""), *([("back_", "_reverse")] if both else []))):
        close(gradients[f"{name}.{ours}w"].T, getattr(theirs, f"weight_ih_l0{suffix}").grad)
        close(gradients[f"{name}.{ours}u"].T, getattr(theirs, f"weight_hh_l0{suffix}").grad)
        close(gradients[f"{name}.{ours}b"], getattr(theirs, f"bias_ih_l0{suffix}").grad)
        if kind == "gru":
            close(gradients[f"{name}.{ours}b_hidden"], getattr(theirs, f"bias_hh_l0{suffix}").grad[2 * units :])
        for n, t in zip("hc", tstart, strict=False):
            close(bound.state_gradient(f"{name}.{ours}{n}"), t.grad[number])
        for n, t in zip("hc", last if kind == "lstm" else (last,), strict=False):
            close(bound.memory[f"{name}.{ours}{n}.last"], t[number])


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_a_batch_is_the_mean_of_its_samples(kind):
    random = np.random.default_rng(3)
    model = Sequential([KINDS[kind](9), Dense(3)], (5, 4), seed=1)
    data = sequences(random, 7, 5, 4, 3)
    data = Data(data.inputs.astype(np.float32), data.targets, lengths=data.lengths)
    gradients, whole = program(model, data, nbdl.loss("softmax_cross_entropy"), 7)
    for call in whole.calls:
        call.run(*call.arguments)
    total, found = np.zeros_like(gradients.flat), gradients.flat.copy()
    for i in range(7):
        one = Data(data.inputs[i : i + 1], data.targets[i : i + 1], lengths=data.lengths[i : i + 1])
        gradients, bound = program(model, one, nbdl.loss("softmax_cross_entropy"), 1)
        for call in bound.calls:
            call.run(*call.arguments)
        total += gradients.flat
    np.testing.assert_allclose(found, total / 7, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_at_a_time_is_the_same_as_all_at_once(kind):
    random = np.random.default_rng(4)
    model = Sequential([KINDS[kind](6, return_sequences=True), TimeDistributedDense(3)], (8, 4), seed=2)
    x = random.standard_normal((2, 8, 4)).astype(np.float32)
    whole = nbdl.predict(model, x, nbdl.loss("softmax_cross_entropy")).reshape(2, 8, 3)
    stepper = nbdl.Stepper(model, 2)
    for _ in range(2):
        stepper.reset()
        parts = np.stack([stepper.step(x[:, t]) for t in range(8)], axis=1)
        np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_what_does_not_fit_is_named():
    for layer, shape, words in (
        (LSTM(5), (7,), ["LSTM(5)", "(steps, features)", "(7,)"]),
        (GRU(5), (0, 3), ["1 step or more"]),
    ):
        with pytest.raises(NbdlError) as error:
            Sequential([layer], shape)
        assert all(word in str(error.value) for word in words), str(error.value)
    with pytest.raises(NbdlError, match="1 unit or more"):
        LSTM(0)
    with pytest.raises(NbdlError, match="tanh or relu"):
        SimpleRNN(3, activation="gelu")
