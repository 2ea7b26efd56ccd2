"""Sequences in a comparison: lengths stay with their samples, texts stay in their order, the digest sees both."""

from dataclasses import replace

import numpy as np

from nbdl import Budget, Data, Dense
from nbdl.comparison import Problem


def problem(**changes):
    lengths = np.arange(1, 41)
    inputs = np.repeat(lengths[:, None, None].astype(np.float32), 3, axis=1)
    first, second = (
        Data(inputs[part], np.arange(40)[part] % 2, lengths=lengths[part]) for part in (slice(30), slice(30, 40))
    )
    return Problem((Dense(2),), (3, 1), first, second, second, "softmax_cross_entropy", Budget(epochs=1), **changes)


def test_lengths_stay_with_their_samples():
    one = problem()
    train, validation = one.split(5)
    for part in (train, validation):
        np.testing.assert_array_equal(part.inputs[:, 0, 0], part.lengths)
    assert sorted([*train.lengths, *validation.lengths]) == list(range(1, 41))
    assert not np.array_equal(train.lengths, one.split(6)[0].lengths)


def test_texts_stay_in_their_order():
    one = problem()
    text = replace(one, train=replace(one.train, continuous=True))
    assert text.split(5) == (text.train, text.validation)


def test_the_digest_sees_lengths():
    one = problem()
    other = replace(one, train=replace(one.train, lengths=one.train.lengths[::-1].copy()))
    assert one.digest != other.digest
