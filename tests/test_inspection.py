"""What inspection says of a network, held against the network itself."""

import numpy as np
import pytest

import nbdl
from nbdl.inspection import inspect, strongest, weights, window
from nbdl.layers import parse

LOSS = nbdl.loss("mean_squared_error")

NETWORKS = {
    "strides and padding": ("conv2d:2:3:strides=2:padding=1,conv2d:3:3:padding=same", (1, 9, 11)),
    "dilation": ("conv2d:2:3:dilation=2,conv2d:2:2", (2, 9, 8)),
    "partial windows": ("maxpool2d:2:ceil_mode=true,conv2d:2:2,avgpool2d:2:strides=1", (1, 9, 9)),
    "pooling with padding": ("conv2d:2:3x2,maxpool2d:3:strides=2:padding=1", (1, 9, 9)),
    "a picture without channels": ("dropout:0.5,conv2d:2:3,relu", (8, 8)),
    "up and back": ("upsample:2,conv2d:2:3", (2, 5, 6)),
    "transposed": ("conv2dtranspose:2:3:strides=2:padding=1,conv2d:2:2", (2, 5, 6)),
    "transposed and dilated": ("conv2dtranspose:2:3:strides=2:dilation=2:output_padding=1", (1, 5, 5)),
    "transposed, same": ("conv2dtranspose:2:4:strides=3:padding=same", (1, 5, 6)),
    "a sound": ("conv1d:2:5:strides=3,maxpool1d:2,conv1d:2:2:padding=same", (1, 40)),
    "a film": ("conv3d:2:3:padding=same,maxpool3d:1x2x2,conv3d:1:2", (1, 4, 6, 6)),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_window_is_what_a_cell_sees_no_more_and_no_less(case):
    """A NaN in one input cell reaches exactly the cells whose window holds it."""
    text, shape = NETWORKS[case]
    layers = [layer for layer in parse(text) if getattr(layer, "kind", "") != "relu"]
    model = nbdl.Sequential(layers, shape)
    axes = layers[-1].axes
    cells = shape[-axes:]
    reached = []
    for place in np.ndindex(*cells):
        sample = np.zeros(shape, np.float32)
        sample[(..., *place)] = np.nan
        reached.append(np.isnan(inspect(model, LOSS, sample)[-1].y[0]))
    touched = np.array(reached).reshape(*cells, *reached[0].shape)
    for cell in np.ndindex(*reached[0].shape):
        seen = np.argwhere(touched[(..., *cell)])
        found = window(model, model.places[-1], cell)
        if case == "transposed and dilated":  # sees every other cell of a block, or none
            assert all(a <= i < b for place in seen for i, (a, b) in zip(place, found, strict=True))
            continue
        assert found == tuple((int(a), int(b) + 1) for a, b in zip(seen.min(axis=0), seen.max(axis=0), strict=True))


def test_a_dense_layer_sees_all():
    model = nbdl.Sequential(parse("conv:2:3,flatten,3"), (1, 5, 5))
    assert window(model, model.places[-1], (1,)) is None
    assert window(model, model.places[0], (2, 0)) == ((2, 5), (0, 3))
    model = nbdl.Sequential(parse("conv:2:3,globalaveragepool"), (1, 5, 5))
    assert window(model, model.places[-1], (1,)) is None


@pytest.mark.parametrize("pool", ["maxpool2d:2:ceil_mode=true", "maxpool2d:3:strides=1:padding=1", "avgpool2d:2"])
def test_what_pooling_keeps(pool):
    model = nbdl.Sequential(parse(pool), (2, 5, 5))
    x = np.random.default_rng(0).standard_normal((2, 5, 5)).astype(np.float32)
    (one,) = inspect(model, LOSS, x)
    assert one.kept.shape == x.shape
    if "max" in pool:
        for c in range(2):  # every winner stands in what goes on, and all that goes on has a winner
            assert set(x[c][one.kept[c] > 0]) == set(one.y[c].reshape(-1))
        assert one.kept.sum() == one.y.size
    else:
        assert one.kept[:, :4, :4] == pytest.approx(0.25)
        assert not one.kept[:, 4].any()


def test_maps_peaks_and_the_scale_of_the_data():
    model = nbdl.Sequential(parse("conv:3:3,relu,pool,flatten,4"), (6, 6), seed=3)
    sample = np.random.default_rng(1).integers(0, 255, (6, 6), dtype=np.uint8)
    found = inspect(model, LOSS, sample, offset=10, scale=1 / 255)
    assert [one.place.name for one in found] == ["conv2d_1", "maxpool2d_1", "flatten_1", "dense_1"]
    x, w = (sample - 10.0) / 255, model.parameters["conv2d_1.w"]
    y = np.array(
        [[[max(0, (x[i : i + 3, j : j + 3] * w[f, 0]).sum()) for j in range(4)] for i in range(4)] for f in range(3)]
    )
    assert found[0].y == pytest.approx(y, abs=1e-5)
    peak = found[0].peaks[1]
    assert peak.value == pytest.approx(y[1].max(), abs=1e-5)
    i, j = peak.cell
    assert peak.window == ((i, i + 3), (j, j + 3))
    assert found[-1].y == pytest.approx(nbdl.predict(model, sample[None], LOSS, offset=10, scale=1 / 255)[0], abs=1e-5)


def test_weights_as_pictures():
    model = nbdl.Sequential(parse("conv2dtranspose:4:2:groups=2,conv:6:1:groups=2,flatten,3,relu,5"), (6, 2, 2))
    turned, grouped, flat, dense, plain = (weights(model, place) for place in model.places)
    w = model.parameters["conv2dtranspose_1.w"]  # (6, 2, 2, 2): inputs 0 to 2 paint the maps 0 and 1
    assert turned.shape == (4, 3, 2, 2)
    assert turned[3, 1].tolist() == w[4, 1].tolist()
    assert grouped.shape == (6, 2, 1, 1)
    assert flat is None
    assert dense.shape == (3, 6, 3, 3)
    assert dense[2].reshape(-1).tolist() == model.parameters["dense_1.w"][:, 2].tolist()
    assert plain.shape == (5, 1, 3)


def test_the_strongest_samples():
    model = nbdl.Sequential(parse("conv:2:2"), (1, 4, 4))
    model.parameters["conv2d_1.w"][1] = 1
    inputs = np.zeros((150, 1, 4, 4), np.float32)
    inputs[7, 0, 1, 2], inputs[140, 0, 3, 3] = 2, 5  # in two batches
    (first, one), (second, two) = strongest(model, LOSS, inputs, model.places[0], 1, 2)
    assert (first, one.value, one.window) == (140, 5, ((2, 4), (2, 4)))
    assert (second, two.value, two.cell) == (7, 2, (0, 1))
