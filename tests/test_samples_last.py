"""Programs that lay samples last: what they lay so, and that nothing but the order in memory changes."""

import numpy as np
import pytest

from nbdl import layers as L
from nbdl.arena import Arena
from nbdl.gradcheck import gradient_check
from nbdl.kernels.tile import SIMD
from nbdl.losses import loss
from nbdl.model import Sequential
from nbdl.program import Data, Program

pytestmark = pytest.mark.skipif(SIMD == "plain", reason="there are no vectors to fill")

NETS = {
    "lenet": ("conv:6:5:padding=2,relu,pool,conv:16:5,relu,pool,flatten,20,relu,10", (28, 28)),
    "tanh-odd": ("conv:5:3x2:padding=1,tanh,conv:7:3,relu,pool,flatten,10", (3, 13, 11)),
    "between-dense": ("300,tanh,reshape:3x10x10,conv:9:5:padding=2,relu,pool,conv:8:3,flatten,10", (40,)),
    "activation": ("conv:16:5,activation:kind=sigmoid,conv:12:3,flatten,10", (2, 9, 9)),
}


def build(name, dtype=np.float64):
    model = Sequential(L.parse(NETS[name][0]), NETS[name][1], seed=3, dtype=dtype)
    random = np.random.default_rng(4)
    for values in (model.parameters[key] for key in model.parameters):
        values += 0.05 * random.standard_normal(values.shape)
    return model


def program_of(model, batch, backend, training=True):
    random = np.random.default_rng(batch)
    data = Data(random.standard_normal((batch, *model.input_shape)), random.integers(0, 10, (batch, 1)))
    gradients = Arena(model.dtype, "The gradient")
    for key, shape in model.parameters.shapes.items():
        gradients.reserve(key, shape)
    given = {"gradients": gradients.allocate(), "blend": np.array([1, 0], model.dtype)} if training else {}
    program = Program(
        model,
        batch,
        loss("softmax_cross_entropy"),
        data,
        order=np.arange(batch),
        position=np.zeros(1, np.int64),
        backend=backend,
        input_gradient=training,
        **given,
    )
    return program, gradients


def run(program, gradients):
    for _ in range(2):  # the second step must not see what the first one left
        gradients.flat[:] = np.nan
        program.memory.flat[:] = np.nan
        for call in program.calls:
            call.run(*call.arguments)


@pytest.mark.parametrize("batch", [8, 9, 16, 35])
@pytest.mark.parametrize("backend", ["serial", "parallel"])
@pytest.mark.parametrize("name", NETS)
def test_same_numbers_as_in_the_plain_order(name, backend, batch):
    model = build(name)
    (ours, ours_dw), (plain, plain_dw) = (program_of(model, batch, how) for how in (backend, "numpy"))
    names = [call.kernel.name for call in ours.calls]
    assert "convolve_samples_last" in names
    assert "convolve_weights_samples_last" in names
    assert not any("samples_last" in call.kernel.name for call in plain.calls)
    run(ours, ours_dw)
    run(plain, plain_dw)
    for found, wanted in ((ours.input_gradient, plain.input_gradient), (ours.outputs, plain.outputs)):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-12)
    for key in ours_dw:
        np.testing.assert_allclose(ours_dw[key], plain_dw[key], rtol=1e-7, atol=1e-12, err_msg=key)
    for number in range(len(model.layers)):
        np.testing.assert_allclose(ours.activation(number), plain.activation(number), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_gradients(name):
    model, random = build(name), np.random.default_rng(5)
    data = Data(random.standard_normal((9, *model.input_shape)), random.integers(0, 10, 9))
    for check in gradient_check(model, data, loss("softmax_cross_entropy"), batch=9, most=15):
        assert check.error < 1e-5, (check.name, check.gradient, check.measured)


def test_same_bits_for_any_number_of_threads():
    import numba

    model, most, found = build("lenet", np.float32), numba.get_num_threads(), set()
    for backend, threads in (("serial", 1), ("parallel", 1), ("parallel", 2), ("parallel", most)):
        numba.set_num_threads(min(threads, most))
        program, gradients = program_of(model, 40, backend)
        run(program, gradients)
        found.add(b"".join(gradients.read(key).tobytes() for key in gradients))
    numba.set_num_threads(most)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("layers", "shape", "batch", "laid"),
    [
        (NETS["lenet"][0], (28, 28), 64, ["conv2d_1", "maxpool2d_1", "conv2d_2", "maxpool2d_2"]),
        (NETS["lenet"][0], (28, 28), 1, []),  # one sample fills no vector
        ("conv:6:5:strides=2,relu,conv:16:5,relu,flatten,10", (28, 28), 64, ["conv2d_2"]),  # no steps
        ("conv:16:5,gelu,flatten,10", (2, 9, 9), 64, []),  # GELU needs what came before it
        ("conv:16:5,batchnorm,conv:16:5,avgpool2d,flatten,10", (2, 14, 14), 64, ["conv2d_2"]),  # each run for itself
        ("conv:32:3:padding=1,relu,conv:32:3,pool,flatten,10", (16, 16, 16), 64, []),  # Winograd is faster
        ("conv:2:1,pool,flatten,10", (1, 14, 14), 64, []),  # too little to multiply
        ("conv:16:5:padding=2,relu,flatten,10", (3, 64, 64), 64, []),  # maps too large for the cache
        ("pool:3,relu,flatten,10", (3, 9, 9), 64, []),
    ],
)
def test_what_is_laid_so(layers, shape, batch, laid):
    model = Sequential(L.parse(layers), shape)
    program, _ = program_of(model, batch, "auto")
    found = dict.fromkeys(call.label for call in program.forward if call.kernel.name.endswith("samples_last"))
    assert [label for label in found if "." not in label] == laid


def test_what_fills_the_last_block_has_no_part_in_the_gradient():
    model = build("lenet")
    program, gradients = program_of(model, 9, "serial")
    run(program, gradients)
    alone = {key: np.zeros_like(gradients[key]) for key in gradients}
    inputs, targets = program.memory["x"].copy(), program.labels.copy()
    for n in range(9):
        one, mine = program_of(model, 1, "serial")
        for call in [*one.forward, *one.loss, *one.backward]:
            one.memory["x"][...] = inputs[n]
            one.labels[...] = targets[n]
            call.run(*call.arguments)
        for key in alone:
            alone[key] += mine[key] / 9
    for key, mean in alone.items():
        np.testing.assert_allclose(gradients[key], mean, rtol=1e-7, atol=1e-12, err_msg=key)
