"""Recurrent layers: gradients of everything, states and masks included, and the same numbers as PyTorch."""

import numba
import numpy as np
import pytest

import nbdl
from nbdl import (
    GRU,
    LSTM,
    Budget,
    Data,
    Dense,
    Embedding,
    LastStep,
    NbdlError,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
    Training,
    gradient_check,
)
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


def test_text_gradients_and_masks():
    random = np.random.default_rng(5)
    model = Sequential([Embedding(7, 4), LSTM(5, return_sequences=True), LastStep(), Dense(3)], (6,), seed=2)
    data = Data(
        random.integers(0, 7, (5, 6)).astype(float), random.integers(0, 3, 5), lengths=np.array([6, 0, 1, 3, 6])
    )
    for check in gradient_check(model, data, nbdl.loss("softmax_cross_entropy")):
        assert check.error < 1e-4, check.name


def test_an_embedding_of_many_streams_equals_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(6)
    model = Sequential([Embedding(11, 70)], (9,), seed=1)
    x, targets = random.integers(0, 11, (13, 9)), random.standard_normal((13, 9 * 70)).astype(np.float32)
    theirs = torch.nn.Embedding(11, 70)
    with torch.no_grad():
        theirs.weight.copy_(torch.from_numpy(model.parameters["embedding_1.w"]))
    out = theirs(torch.from_numpy(x))
    ((out - torch.from_numpy(targets).reshape(13, 9, 70)) ** 2).mean().backward()
    gradients, bound = program(model, Data(x, targets), nbdl.loss("mean_squared_error"), 13)
    for _ in range(2):
        gradients.flat[:] = np.nan
        for call in bound.calls:
            call.run(*call.arguments)
    np.testing.assert_array_equal(bound.outputs, out.detach().numpy())
    np.testing.assert_allclose(gradients["embedding_1.w"], theirs.weight.grad.numpy(), atol=1e-6)


def walk(seed, **settings):
    """A small network that reads one long text, in four streams."""
    random = np.random.default_rng(7)
    text = random.integers(0, 5, 23 * 8 + 1)
    windows = np.stack([text[i * 8 : i * 8 + 9] for i in range(23)])
    model = Sequential([Embedding(5, 6), GRU(9, return_sequences=True), TimeDistributedDense(5)], (8,), seed=seed)
    data = Data(windows[:, :-1].astype(np.uint8), windows[:, 1:], continuous=True)
    loss = nbdl.loss("softmax_cross_entropy")
    return model, Training(model, data, loss, nbdl.Adam(0.01), batch=4, budget=Budget(epochs=6), **settings)


def test_streams_carry_their_state_and_each_epoch_begins_anew():
    model, training = walk(1)
    starts = []
    for step in training.steps():
        starts.append(training.states.flat.copy())
        if step.ends_epoch:
            assert step.update % 5 == 0  # 23 windows in 4 streams: 5 updates, and 3 windows are left over
    order = training._order.reshape(5, 4)
    assert (order[:, 0] == np.arange(5)).all() and (np.diff(order, axis=0) == 1).all()
    assert all(start.any() for start in starts)
    # By hand: the state after the first window of every stream is that of a network which reads it alone.
    model, training = walk(1)
    stepper = nbdl.Stepper(model, 4)
    for t in range(8):
        stepper.step(training.data.inputs[order[0], t])
    expected = {name: stepper.states[name].copy() for name in stepper.states}
    next(training.steps())
    for name, values in expected.items():
        np.testing.assert_allclose(training.states[name], values, atol=1e-6)


def test_a_resumed_run_has_the_same_bits_recurrent_state_included(tmp_path):
    whole, training = walk(2)
    for _ in training.steps():
        pass
    _, cut = walk(2)
    for step in cut.steps():
        if step.update == 13:  # in the middle of an epoch
            break
    nbdl.save_checkpoint(tmp_path / "c.safetensors", cut)
    checkpoint = nbdl.load_checkpoint(tmp_path / "c.safetensors")
    again, resumed = walk(3)
    checkpoint.restore(resumed)
    for _ in resumed.steps():
        pass
    assert again.parameters.flat.tobytes() == whole.parameters.flat.tobytes()
    assert resumed.states.flat.tobytes() == training.states.flat.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_any_number_of_threads(kind):
    found, most = set(), numba.get_num_threads()
    for threads in (1, 2, most):
        numba.set_num_threads(min(threads, most))
        random = np.random.default_rng(8)
        model = Sequential([KINDS[kind](40, bidirectional=True), Dense(3)], (20, 30), seed=1)
        data = Data(random.standard_normal((70, 20, 30)).astype(np.float32), random.integers(0, 3, 70))
        training = Training(model, data, nbdl.loss("softmax_cross_entropy"), nbdl.SGD(0.1), batch=33)
        for step in training.steps():
            if step.update == 5:
                break
        found.add(model.parameters.flat.tobytes())
    numba.set_num_threads(most)
    assert len(found) == 1


def test_lengths_that_do_not_fit_are_named():
    inputs, targets = np.zeros((3, 4, 2), np.float32), np.zeros(3, np.int64)
    model, loss = Sequential([GRU(3)], (4, 2)), nbdl.loss("softmax_cross_entropy")
    for lengths, words in (([1, 2], "one whole number for each"), ([1, 2, 5], "0 to 4 steps"), ([1, -1, 2], "0 to 4")):
        with pytest.raises(NbdlError, match=words):
            Training(model, Data(inputs, targets, lengths=np.array(lengths)), loss, nbdl.SGD(0.1), batch=1)
