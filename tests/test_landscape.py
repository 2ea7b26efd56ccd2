"""Paths through the weights, planes that hold them, and the cost over a plane."""

import math

import numpy as np
import pytest

import nbdl
from nbdl import SGD, Budget, Conv2D, Data, Dense, Flatten, Momentum, Sequential
from nbdl import landscape as scape
from nbdl.errors import NbdlError
from nbdl.landscape import (
    Path,
    descend,
    only_weights,
    plane_of_paths,
    plane_of_random_directions,
    plane_of_weights,
    surface,
    weight_place,
)
from nbdl_datasets import load

LINE = load("linear")
DATA = Data(LINE.train.inputs, LINE.train.targets)
X, Y = LINE.train.inputs[:, 0].astype(np.float64), LINE.train.targets[:, 0].astype(np.float64)
SQUARES = nbdl.loss("mean_squared_error")
NAMES = ("dense_1.w[0,0]", "dense_1.b[0]")
HESSIAN = 2 * np.array([[np.mean(X * X), np.mean(X)], [np.mean(X), 1]])


def line(w=-1.0, b=1.0):
    model = Sequential([Dense(1)], (1,), dtype=np.float64)
    model.parameters["dense_1.w"][...], model.parameters["dense_1.b"][...] = w, b
    return model


def down(model, rate=0.1, method="batch", batch="full", **options):
    options.setdefault("budget", Budget(epochs=20))
    optimizer = options.pop("optimizer", SGD(rate))
    return descend(model, DATA, SQUARES, optimizer, method, batch=batch, backend="numpy", **options)


def test_cost_over_two_weights_is_the_mean_square():
    model = line()
    before = model.parameters.flat.tobytes()
    plane = plane_of_weights(model, NAMES)
    xs, ys = np.linspace(-2, 2, 5), np.linspace(-1, 1, 4)
    rows = list(surface(model, DATA, SQUARES, plane, xs, ys, backend="numpy"))
    truth = [[np.mean((w * X + b - Y) ** 2) for w in xs] for b in ys]
    np.testing.assert_allclose(rows, truth, rtol=1e-12)
    assert model.parameters.flat.tobytes() == before


def test_batch_path_is_gradient_descent_by_hand():
    model = line()
    before = model.parameters.flat.tobytes()
    path = down(model)
    assert model.parameters.flat.tobytes() == before
    w, b, places, length = -1.0, 1.0, [(-1.0, 1.0)], 0.0
    for _ in range(20):
        error = w * X + b - Y
        step = 0.1 * 2 * np.mean(error * X), 0.1 * 2 * np.mean(error)
        w, b, length = w - step[0], b - step[1], length + math.hypot(*step)
        places.append((w, b))
    np.testing.assert_allclose(plane_of_weights(model, NAMES).coordinates(path.points), places, rtol=1e-6)
    assert path.updates == list(range(21))
    assert (path.length, path.cost) == pytest.approx((length, np.mean((w * X + b - Y) ** 2)))
    assert path.distance == pytest.approx(math.hypot(w + 1, b - 1))


def test_a_bowl_holds_every_rate_below_two_over_its_steepest_curvature():
    limit = 2 / np.linalg.eigvalsh(HESSIAN)[-1]
    below = down(line(), 0.99 * limit, budget=Budget(updates=2000))
    assert below.diverged is None
    assert below.cost == pytest.approx(np.linalg.lstsq(np.stack([X, X * 0 + 1], 1), Y)[1][0] / len(X), rel=1e-6)
    above = down(line(), 1.01 * limit, budget=Budget(updates=2000))
    assert above.diverged == "blow-up"
    assert above.cost == math.inf
    assert np.isfinite(above.points).all()


def test_long_paths_are_thinned_and_keep_both_ends(monkeypatch):
    whole = down(line(), method="mini-batch", batch=7)
    monkeypatch.setattr(scape, "MOST_POINTS", 40)
    thin = down(line(), method="mini-batch", batch=7)
    assert len(whole.points) == 1 + 20 * 35 > 40 >= len(thin.points) - 1 >= 20
    assert (thin.updates[0], thin.updates[-1]) == (0, 700)
    assert set(np.diff(thin.updates)[:-1]) == {32}
    np.testing.assert_array_equal(thin.points, whole.points[thin.updates])
    assert thin.length == whole.length


def path_of(points, diverged=None):
    points = np.asarray(points, np.float32)
    return Path("batch", 1, points, list(range(len(points))), 1, 0.0, 1.0, 1.0, diverged)


def test_principal_plane_is_that_of_the_singular_values(monkeypatch):
    monkeypatch.setattr(scape, "SAMPLED", 30)
    random = np.random.default_rng(0)
    paths = [path_of(np.cumsum(random.standard_normal((30, 12)), axis=0)) for _ in range(3)]
    plane = plane_of_paths(paths)
    points = np.concatenate([path.points for path in paths]).astype(np.float64)
    _, values, vectors = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    for direction, vector in zip((plane.across, plane.up), vectors, strict=False):
        assert abs(direction @ vector) == pytest.approx(1)
    assert plane.share(paths) == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())
    assert plane.names[0] == f"principal direction 1 ({math.floor(100 * values[0] ** 2 / (values**2).sum())} %)"
    way = sum(path.points[-1] - path.points[0] for path in paths)
    assert plane.across @ way > 0
    with pytest.raises(NbdlError, match="straight"):
        plane_of_paths([path_of(np.outer(np.arange(4), np.ones(5)))])


def test_random_directions_are_as_long_as_the_filters():
    model = Sequential([Conv2D(4, 3, activation="relu"), Flatten(), Dense(5)], (8, 8), seed=1)
    centre = model.parameters.flat.copy()
    plane = plane_of_random_directions(model, centre, seed=2)
    for direction in (plane.across, plane.up):
        for name, axes in (("conv2d_1.w", (1, 2, 3)), ("dense_1.w", 0)):
            weights = model.parameters[name].astype(np.float64)
            drawn = direction[model.parameters.places[name]].reshape(weights.shape)
            np.testing.assert_allclose((drawn**2).sum(axis=axes), (weights**2).sum(axis=axes))
        assert not direction[model.parameters.places["dense_1.b"]].any()
    points = np.array([plane.weights(x, y) for x, y in ((0, 0), (0.3, -2), (1, 5))])
    np.testing.assert_allclose(plane.coordinates(points), [(0, 0), (0.3, -2), (1, 5)], atol=1e-12)
    assert plane.coordinates(points + 0).shape == (3, 2)
    off = np.random.default_rng(3).standard_normal(centre.size)
    x, y = plane.coordinates(off[None] + plane.origin)[0]
    rest = off - x * plane.across - y * plane.up
    assert max(abs(rest @ plane.across), abs(rest @ plane.up)) < 1e-9


def test_weights_by_name():
    model = Sequential([Dense(3, "tanh"), Dense(1)], (2,))
    assert model.parameters.flat[weight_place(model, "dense_1.w[1,2]")] == model.parameters["dense_1.w"][1, 2]
    assert weight_place(model, "dense_2.b") == weight_place(model, " dense_2.b[0] ")
    for name, word in (
        ("dense_3.w[0,0]", "has dense_1.w, dense_1.b"),
        ("dense_1.w", "such as dense_1.w[1,2]"),
        ("dense_1.w[2,0]", "2 × 3"),
        ("dense_1.w[0]", "2 × 3"),
        ("dense_1.w[-1,0]", "unknown"),
    ):
        with pytest.raises(NbdlError) as error:
            weight_place(model, name)
        assert word in str(error.value)
    with pytest.raises(NbdlError, match="13 weights"):
        only_weights(model)
    with pytest.raises(NbdlError, match="same weight"):
        plane_of_weights(model, ("dense_2.b", "dense_2.b[0]"))
    assert only_weights(line()) == NAMES


def test_paths_of_one_seed_are_the_same_and_others_differ():
    points = [down(line(), method="stochastic", batch=1, seed=s, optimizer=Momentum(0.01)).points for s in (1, 1, 2)]
    assert points[0].tobytes() == points[1].tobytes() != points[2].tobytes()
