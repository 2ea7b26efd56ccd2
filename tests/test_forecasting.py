"""Forecasts: the plain ones by hand, no look ahead, scales from the training part alone, MASE by its definition."""

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl.forecasting import Forecasting
from nbdl.metrics import mean_absolute_scaled_error


def wavy(n=200, season=7):
    t = np.arange(n)
    return 5 + 0.1 * t + np.sin(2 * np.pi * t / season) + np.random.default_rng(0).normal(0, 0.1, n)


def test_plain_forecasts_by_hand():
    p = Forecasting(np.arange(100.0) ** 2, 4, 5, 3)
    np.testing.assert_array_equal(p.naive(np.array([10]))[0], [81] * 5)
    np.testing.assert_array_equal(p.seasonal_naive(np.array([10]))[0], [49, 64, 81, 49, 64])
    np.testing.assert_array_equal(p.truth(np.array([10]))[0], [100, 121, 144, 169, 196])
    assert np.isnan(p.truth(np.array([99]))[0, 1:]).all()


def test_without_a_season_both_are_one():
    p = Forecasting(wavy(), 6, 4)
    origins = p.origins("test")
    np.testing.assert_array_equal(p.naive(origins), p.seasonal_naive(origins))


def test_parts_follow_each_other_and_do_not_overlap():
    p = Forecasting(wavy(), 10, 7, 7)
    seen = {part: p.origins(part) for part in ("train", "validation", "test")}
    for part, last in (("train", p.train), ("validation", p.validation), ("test", 200)):
        assert seen[part][-1] + p.horizon == last
    assert seen["train"][0] == 17
    assert (seen["validation"][0], seen["test"][0]) == (p.train, p.validation)


def test_what_comes_later_changes_nothing():
    x = wavy()
    p = Forecasting(x, 10, 7, 7)
    other = x.copy()
    other[p.train :] += 1000
    q = Forecasting(other, 10, 7, 7)
    for a, b in ((p.data("train").inputs, q.data("train").inputs), (p.data("train").targets, q.data("train").targets)):
        np.testing.assert_array_equal(a, b)
    origin = np.array([150])
    other = x.copy()
    other[150:] = np.nan
    q = Forecasting(other, 10, 7, 7)
    np.testing.assert_array_equal(p.windows(origin), q.windows(origin))
    np.testing.assert_array_equal(p.seasonal_naive(origin), q.seasonal_naive(origin))


def test_what_a_network_learns_is_what_the_season_misses():
    p = Forecasting(wavy(), 10, 9, 7)
    for part in ("train", "test"):
        origins = p.origins(part)
        np.testing.assert_allclose(p.forecasts(p.data(part).targets, origins), p.truth(origins), rtol=1e-5)
    targets = p.data("train").targets
    np.testing.assert_allclose(targets.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(targets.std(axis=0), 1, rtol=1e-4)


def test_a_series_that_never_changes():
    p = Forecasting(np.full(100, 3.0), 5, 4, 7)
    assert not p.data("train").inputs.any()
    np.testing.assert_array_equal(p.forecasts(np.zeros((1, 4)), np.array([90])), np.full((1, 4), 3.0))
    assert np.isnan(mean_absolute_scaled_error(np.zeros(3), np.zeros(3), np.full(9, 3.0)))


@pytest.mark.parametrize("n", [0, 1, 10, 40])
def test_too_short(n):
    with pytest.raises(NbdlError, match="too few"):
        Forecasting(np.zeros(n), 12, 6, 12)


def test_what_is_said_to_be_needed_is_enough():
    try:
        Forecasting(np.zeros(30), 12, 6, 12)
    except NbdlError as error:
        needed = int(str(error).split("about ")[1].split(".")[0])
    assert len(Forecasting(np.zeros(needed), 12, 6, 12).origins("train")) >= 8


@pytest.mark.parametrize("name", ["steps", "horizon", "season"])
def test_settings_below_1(name):
    with pytest.raises(NbdlError, match=name):
        Forecasting(np.zeros(100), **{**dict.fromkeys(("steps", "horizon", "season"), 4), name: 0})


def test_mase_of_the_seasonal_naive_forecast_of_its_own_past_is_1():
    x = wavy(60)
    assert mean_absolute_scaled_error(x[:-7], x[7:], x, 7) == pytest.approx(1)
    assert mean_absolute_scaled_error(x[7:] + 2, x[7:], x, 1) == pytest.approx(2 / np.abs(np.diff(x)).mean())
