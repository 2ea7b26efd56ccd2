"""Data made here: tones, films and drawn pictures follow the seed, are balanced, and mean what they say."""

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import drawings, motion, spectrogram, tones, waves


@pytest.mark.parametrize(("name", "n"), [("tones", 3000), ("motion", 2400)])
def test_parts_follow_the_seed_and_are_balanced(name, n):
    data, again, other = (nbdl_datasets.load(name, seed=seed) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        a, b = getattr(data, part), getattr(again, part)
        assert (a.inputs.tobytes(), a.targets.tobytes()) == (b.inputs.tobytes(), b.targets.tobytes())
        assert not np.array_equal(a.inputs, getattr(other, part).inputs)
        assert len(set(np.bincount(a.targets, minlength=data.outputs))) == 1
    assert [len(p) for p in (data.train, data.validation, data.test)] == [0.7 * n, 0.1 * n, 0.2 * n]
    rows = np.concatenate([p.inputs.reshape(len(p), -1) for p in (data.train, data.validation, data.test)])
    assert len(np.unique(rows, axis=0)) == n
    about = nbdl_datasets.info(name)
    assert (about.input_shape, about.samples, about.classes) == (data.input_shape, n, data.outputs)


def test_tones_are_sounds_from_minus_1_to_1():
    data = nbdl_datasets.load("tones")
    assert (data.input_shape, data.train.inputs.dtype) == ((1, tones.LENGTH), np.float32)
    assert abs(data.train.inputs).max() <= 1
    loud = abs(data.train.inputs[:, 0]).max(axis=1)
    assert loud.min() > 0.15


def test_instruments_differ_by_their_overtones():
    """The second overtone is strong on a violin, and all but missing on a clarinet."""
    shares = {}
    for name in ("violin", "clarinet"):
        found = []
        for seed in range(20):
            power = abs(np.fft.rfft(tones._tone(np.random.default_rng(seed), name))) ** 2
            pitch = 110 * 2 ** np.random.default_rng(seed).uniform(0, 2) * tones.LENGTH / tones.RATE
            first, second = (power[max(0, round(h * pitch) - 3) : round(h * pitch) + 4].sum() for h in (1, 2))
            found.append(second / first)
        shares[name] = np.median(found)
    assert shares["violin"] > 10 * shares["clarinet"]


def test_films_move_the_way_they_are_called():
    """Every frame, pushed on around the ring, is most like the next but one where it is pushed the way of its class."""
    data = nbdl_datasets.load("motion")
    assert (data.input_shape, data.train.inputs.dtype) == ((1, 8, 16, 16), np.uint8)
    assert data.train.inputs.max() == 255
    f = np.fft.fft2(data.test.inputs[:, 0].astype(float))
    like = (f[:, 2:] * f[:, :-2].conj()).sum(axis=1)  # a push is a turn of each wave of the picture
    y, x = np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16), indexing="ij")
    fits = []
    for dx, dy in motion.WAYS.values():
        pushes = [2 * speed / np.hypot(dx, dy) for speed in np.linspace(0.5, 1.4, 7)]
        fits.append(
            np.max([(like * np.exp(2j * np.pi * p * (x * dx + y * dy))).real.sum(axis=(1, 2)) for p in pushes], 0)
        )
    assert (np.argmax(fits, axis=0) == data.test.targets).mean() > 0.99


def test_no_frame_tells_the_way():
    """The mean of all first frames is as good as the same for each way."""
    data = nbdl_datasets.load("motion")
    x, y = data.train.inputs[:, 0, 0].astype(float), data.train.targets
    means = np.stack([x[y == way].mean(axis=0) for way in range(8)])
    assert abs(means - means.mean(axis=0)).max() < 6 * x.std() / np.sqrt(len(x) / 8)


def test_drawn_pictures_follow_the_seed():
    for part, again, other in zip(drawings.pictures(5), drawings.pictures(5), drawings.pictures(6), strict=True):
        assert part.inputs.tobytes() == again.inputs.tobytes()
        assert not np.array_equal(part.inputs, other.inputs)
        assert part.targets.mean() == 0.5
        assert (part.inputs.min(), part.inputs.max()) == (0, 255)


def test_the_adding_problem_is_the_sum_of_what_is_marked():
    data = nbdl_datasets.load("adding-problem", steps=30)
    x, y = data.train.inputs, data.train.targets[:, 0]
    marks = x[:, :, 1].astype(int)
    assert (marks[:, :15].sum(axis=1) == 1).all()
    assert (marks[:, 15:].sum(axis=1) == 1).all()
    np.testing.assert_allclose((x[:, :, 0] * marks).sum(axis=1), y, rtol=1e-6)
    assert abs(y.var() - 1 / 6) < 0.01
    assert nbdl_datasets.load("adding-problem").input_shape == (100, 2)
    for steps in (0, 1, -3):
        with pytest.raises(NbdlError, match="2 or more"):
            nbdl_datasets.load("adding-problem", steps=steps)


def test_the_sine_series_goes_on_from_window_to_window():
    data = nbdl_datasets.load("sine-series")
    np.testing.assert_array_equal(data.train.inputs[1:, -1, 0], data.train.targets[:-1, 0])
    np.testing.assert_array_equal(data.train.inputs[1:, :-1], data.train.inputs[:-1, 1:])
    assert data.train.targets.shape[1:] == (waves.HORIZON,)
    assert len(data.train) + len(data.validation) + len(data.test) == waves.LENGTH - waves.STEPS - 3 * waves.HORIZON + 3


def test_tones_moment_by_moment_are_the_same_tones():
    sounds, moments = nbdl_datasets.load("tones"), nbdl_datasets.load("tones-sequence")
    np.testing.assert_array_equal(sounds.test.targets, moments.test.targets)
    found = spectrogram.sequence(sounds.test.inputs[5, 0], tones.RATE, 99)
    np.testing.assert_array_equal(moments.test.inputs[5], found)
    assert moments.input_shape == (15, 32)


def test_only_what_is_made_of_steps_takes_them():
    for name in ("digits", "tones-sequence", "moons"):
        with pytest.raises(NbdlError, match="has its own"):
            nbdl_datasets.load(name, steps=5)
