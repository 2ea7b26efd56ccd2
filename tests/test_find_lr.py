"""The learning-rate sweep: rates, smoothing, the network put back, and suggestions that a training confirms."""

import math

import numpy as np
import pytest

import nbdl
from nbdl import SGD, Adam, BatchNorm, Budget, Data, Dense, Dropout, Flatten, Momentum, Sequential, Training
from nbdl.errors import NbdlError
from nbdl.find_lr import STOP, Point, smoothing, suggest, sweep
from nbdl_datasets import load

LOSS = nbdl.loss("softmax_cross_entropy")
DIGITS = load("digits")
DATA = Data(DIGITS.train.inputs, DIGITS.train.targets, DIGITS.offset, DIGITS.scale)


def network(dropout=0.0):
    layers = [Flatten(), Dense(32, "relu"), *([Dropout(dropout), BatchNorm()] if dropout else []), Dense(10)]
    return Sequential(layers, DIGITS.input_shape, seed=3)


@pytest.mark.parametrize("end", ["whole", "diverged", "left"])
def test_the_network_is_put_back_bit_for_bit(end):
    model = network(dropout=0.2)
    before = model.snapshot().tobytes()
    method, high = (Momentum(0.1), 1e6) if end == "diverged" else (Adam(0.1), 1e-2)
    points = sweep(model, DATA, LOSS, method, low=1e-4, high=high, updates=60, clip=1e6, backend="numpy")
    count = 0
    for point in points:
        assert model.snapshot().tobytes() != before
        count += 1
        if end == "left" and point.update == 20:
            points.close()
    assert (count == 60) == (end == "whole")
    assert model.snapshot().tobytes() == before


def test_rates_grow_by_one_factor_and_the_mean_is_corrected_for_its_start():
    points = list(sweep(network(), DATA, LOSS, SGD(7.0), low=1e-5, high=1e-2, updates=90, backend="numpy"))
    np.testing.assert_allclose([p.rate for p in points], np.geomspace(1e-5, 1e-2, 90), rtol=1e-12)
    beta = smoothing(90)
    for t in (1, 2, 50):
        weights = beta ** np.arange(t)[::-1]
        mean = np.average([p.loss for p in points[:t]], weights=weights)
        assert points[t - 1].smoothed == pytest.approx(mean, rel=1e-12)


def test_the_sweep_is_a_training_with_these_rates():
    swept = list(sweep(network(), DATA, LOSS, Momentum(0.5), low=1e-3, high=1e-3 * 2, updates=40, backend="numpy"))
    trained = Training(
        network(),
        DATA,
        LOSS,
        Momentum(1e-3),
        budget=Budget(updates=40),
        schedule=f"exponential:{2 ** (40 / 39)!r}",
        backend="numpy",
    )
    assert [p.loss for p in swept] == [step.loss for step in trained.steps()]


def test_it_stops_where_training_diverges():
    points = list(sweep(network(), DATA, LOSS, SGD(), low=1e-3, high=1e9, updates=200, backend="numpy"))
    assert len(points) < 150
    smooth = [p.smoothed for p in points]
    assert not smooth[-1] <= max(smooth[0], STOP * min(smooth))
    assert all(s <= max(smooth[0], STOP * min(smooth[: n + 1])) for n, s in enumerate(smooth[:-1]))


@pytest.mark.parametrize("method", [SGD(), Adam()])
def test_the_suggested_rate_learns_and_others_do_not(method):
    found = suggest(list(sweep(network(), DATA, LOSS, method, updates=300, backend="serial")), 300)
    assert found.tenth < found.lowest
    assert min(found.steepest, found.tenth) * 0.95 < found.rate < max(found.steepest, found.tenth) * 1.05

    def after(rate):
        model = network()
        training = Training(model, DATA, LOSS, type(method)(rate), budget=Budget(updates=200), backend="serial")
        try:
            return np.mean([step.loss for step in training.steps()][-20:])
        except nbdl.Diverged:
            return math.inf

    assert after(found.rate) < 0.35
    assert after(found.rate / 100) > 1.5
    assert after(found.rate * 100) > 1.5


def test_a_flat_curve_suggests_nothing():
    for seed in range(3):
        points = list(
            sweep(network(), DATA, LOSS, SGD(), low=1e-9, high=1e-7, updates=300, batch=4, seed=seed, backend="numpy")
        )
        found = suggest(points, 300)
        assert found.rate is None
        assert "hardly falls" in found.reason
    early = list(sweep(network(), DATA, LOSS, SGD(), low=100, high=1e4, updates=300, backend="numpy"))
    assert suggest(early, 300).rate is None
    assert "begin lower" in suggest(early, 300).reason


def curve(function, updates=600, low=1e-6, high=1.0):
    rates = np.geomspace(low, high, updates)
    return [Point(t + 1, float(r), float(function(r)), float(function(r))) for t, r in enumerate(rates)]


def test_the_rules_are_read_where_they_stand():
    def fall(rate):  # fastest at 1e-3
        return 2 - 1 / (1 + (1e-3 / rate))

    found = suggest(curve(lambda r: fall(r) + (r / 0.2) ** 2), 600)
    assert found.steepest == pytest.approx(1e-3, rel=0.1)
    assert found.lowest == pytest.approx(0.027, rel=0.1)  # where 1e-3 / r^2 = 2 r / 0.04
    assert found.tenth == found.lowest / 10
    assert found.rate == pytest.approx(math.sqrt(found.steepest * found.tenth), rel=0.05)
    falling = suggest(curve(fall, high=0.01), 600)
    assert (falling.lowest, falling.tenth) == (None, None)
    assert falling.rate == pytest.approx(1e-3, rel=0.1)
    assert "still falling" in falling.reason


@pytest.mark.parametrize(
    "low, high, updates", [(0, 1, 100), (1, 1, 100), (1, 0.1, 100), (1e-3, math.inf, 100), (1e-3, 1, 5)]
)
def test_ranges_that_are_none(low, high, updates):
    with pytest.raises(NbdlError, match="expected"):
        next(sweep(network(), DATA, LOSS, SGD(), low=low, high=high, updates=updates))
