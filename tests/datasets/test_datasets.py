"""Named data sets: three parts, the same for the same seed, and a hint for a name that is nearly right."""

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import generated


@pytest.mark.parametrize("name", ["digits", "digits-writers", *generated.NAMES])
def test_loads_in_three_parts(name):
    data = nbdl_datasets.load(name)
    for part in (data.train, data.validation, data.test):
        assert len(part.inputs) == len(part.targets) > 0
        assert part.inputs.shape[1:] == data.input_shape
    again = nbdl_datasets.load(name)
    assert np.array_equal(data.train.inputs, again.train.inputs)
    about = nbdl_datasets.info(name)
    assert (about.input_shape, about.present) == (data.input_shape, True)
    assert about.classes == (data.outputs if data.task == "classification" else 0)


def test_digits_are_all_there_and_stratified():
    data = nbdl_datasets.load("digits")
    labels = np.concatenate([data.train.targets, data.validation.targets, data.test.targets])
    assert np.bincount(labels).tolist() == [554, 571, 557, 572, 568, 558, 558, 566, 554, 562]
    shares = np.bincount(data.test.targets) / np.bincount(labels)
    assert np.ptp(shares) < 0.01
    assert data.train.inputs.dtype == np.uint8
    assert data.train.inputs.max() == 16


def test_digits_writers_keep_the_official_test_set():
    assert len(nbdl_datasets.load("digits-writers").test) == 1797


def test_parts_do_not_overlap_and_follow_the_seed():
    a, b = nbdl_datasets.load("moons", seed=1), nbdl_datasets.load("moons", seed=2)
    assert not np.array_equal(a.train.inputs, b.train.inputs)
    rows = np.concatenate([a.train.inputs, a.validation.inputs, a.test.inputs])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_a_near_name_is_suggested():
    with pytest.raises(NbdlError, match="Did you mean moons"):
        nbdl_datasets.load("moon")
    with pytest.raises(NbdlError, match="unknown"):
        nbdl_datasets.info("qqq")


def test_labels_are_for_files():
    with pytest.raises(NbdlError, match="--label"):
        nbdl_datasets.load("digits", label="x")
