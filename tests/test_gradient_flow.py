"""The gradient at every state on the way back: held against measured slopes, and seen to vanish and to explode."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nbdl
from nbdl import GRU, LSTM, SimpleRNN
from nbdl.gradient_flow import gradient_flow, scaled, training_norms


@pytest.mark.parametrize("layer", [SimpleRNN(5), LSTM(5), GRU(5)], ids=lambda layer: type(layer).__name__)
def test_the_norm_at_every_state_is_the_measured_one(layer):
    x = np.random.default_rng(1).standard_normal((6, 2)).astype(np.float32)
    found = gradient_flow(layer, x, gain=1.3, seed=2)
    model, double = scaled(layer, 2, 6, 1.3, 2), nbdl.Sequential([layer], (6, 2), dtype=np.float64)
    for name in double.parameters:
        double.parameters[name][...] = model.parameters[name]
    stepper = nbdl.Stepper(double)
    states = [stepper.states.flat.copy()]
    for row in x:
        stepper.step(row)
        states.append(stepper.states.flat.copy())

    def end(state, t):
        stepper.states.flat[:] = state
        for row in x[t:]:
            stepper.step(row)
        return stepper.states[next(iter(stepper.states))].sum() / np.sqrt(5)

    for t, state in enumerate(states):
        slopes = []
        for j in np.eye(state.size) * 1e-6:
            slopes.append((end(state + j, t) - end(state - j, t)) / 2e-6)
        assert np.linalg.norm(slopes) == pytest.approx(found[t], rel=1e-4), t


def test_a_small_gain_makes_it_vanish_and_a_large_one_explode():
    x = np.random.default_rng(3).uniform(0, 0.1, (40, 2)).astype(np.float32)
    rectified = SimpleRNN(16, activation="relu")
    assert gradient_flow(SimpleRNN(16), x, gain=0.6)[0] < 1e-8
    assert gradient_flow(rectified, x, gain=3.0)[0] > 1e8
    with pytest.raises(nbdl.NbdlError, match="gain is 0"):
        gradient_flow(rectified, x, gain=0)


def test_clipping_saves_a_training_that_explodes():
    random = np.random.default_rng(4)
    data = nbdl.Data(random.uniform(0, 1, (64, 30, 2)).astype(np.float32), random.uniform(0, 2, (64, 1)))

    def train(clip):
        model = nbdl.Sequential([SimpleRNN(16, activation="relu"), nbdl.Dense(1)], (30, 2), seed=1)
        model.parameters["simplernn_1.u"][...] *= 2
        return list(training_norms(model, data, nbdl.loss("mean_squared_error"), rate=0.05, updates=20, clip=clip))

    with pytest.raises(nbdl.Diverged):
        train(None)
    clipped = train(1.0)
    assert len(clipped) == 20 and max(norm for *_, norm in clipped) > 100


def test_the_command(tmp_path):
    command = [sys.executable, "-m", "nbdl_cli.main", "gradient-flow", "--steps", "20", "--updates", "5"]
    done = subprocess.run([*command, "--gain", "2", "--svg", str(tmp_path / "f.svg")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SimpleRNN" in done.stdout and "clipped at 1" in done.stdout and (tmp_path / "f.svg").read_text()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    document = json.loads(done.stdout)
    assert document["schema"] == "nbdl.gradient-flow/1"
    assert all(len(norms) == 21 and norms[-1] == pytest.approx(1, abs=1e-6) for norms in document["norms"].values())
    done = subprocess.run([*command, "--gain", "-1"], capture_output=True, text=True)
    assert done.returncode == 1 and "--gain is -1.0; expected a number above 0" in done.stderr
