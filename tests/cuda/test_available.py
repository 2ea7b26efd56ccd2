"""Asking for a GPU is always safe; using one that is not there says why."""

import numpy as np
import pytest

import nbdl
from nbdl.cuda import available, to_device
from nbdl.kernels.matmul import matmul


def test_answer_comes_with_a_reason_and_in_silence(capfd):
    available.cache_clear()
    usable, text = available()
    assert isinstance(usable, bool)
    assert text.strip() and "\n" not in text
    assert capfd.readouterr() == ("", "")


def test_using_a_missing_gpu_says_why():
    usable, reason = available()
    if usable:
        pytest.skip(f"there is one: {reason}")
    square = np.ones((2, 2), np.float32)
    for use in (lambda: to_device(square), lambda: matmul.bind("cuda", square, square, square)):
        with pytest.raises(nbdl.errors.NbdlError) as caught:
            use()
        assert reason in str(caught.value)
