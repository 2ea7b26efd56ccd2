"""Checkpoints: whole files or none, and a clear word about every other file."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import nbdl
from nbdl import Adam, Data, Dense, Sequential, Training
from nbdl.errors import NbdlError


def training(units=8, optimizer=None):
    random = np.random.default_rng(0)
    data = Data(random.standard_normal((20, 4)), random.integers(0, 3, 20))
    model = Sequential([Dense(units, "relu"), Dense(3)], (4,))
    return Training(model, data, nbdl.loss("softmax_cross_entropy"), optimizer or Adam(), batch=5, backend="numpy")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    nbdl.save_checkpoint(path, training())
    return path


def test_any_safetensors_reader_opens_it(saved):
    from safetensors.numpy import load_file

    tensors = load_file(saved)
    assert tensors["dense_1.w"].shape == (4, 8)
    assert "mean/dense_1.w" in tensors


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[:keep])
    with pytest.raises(NbdlError, match="whole safetensors"):
        nbdl.load_checkpoint(saved)


def test_something_else_is_refused(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("dear reader " * 50)
    with pytest.raises(NbdlError, match="whole safetensors"):
        nbdl.load_checkpoint(path)
    with pytest.raises(NbdlError, match="no checkpoint"):
        nbdl.load_checkpoint(tmp_path / "nothing")
    with pytest.raises(NbdlError):
        nbdl.load_checkpoint(tmp_path)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(NbdlError, match="not a checkpoint of nbdl"):
        nbdl.load_checkpoint(tmp_path / "other.safetensors")


def test_a_checkpoint_of_another_network_is_refused(saved):
    with pytest.raises(NbdlError, match="another network"):
        nbdl.load_checkpoint(saved).restore(training(units=9))


def test_a_full_disk_leaves_the_old_file(saved):
    """The limit on file size is how a test gets a disk that is full: the kernel refuses the write."""
    before = saved.read_bytes()
    code = f"""
import resource, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_checkpoint import training
import nbdl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = training(units=4000)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    nbdl.save_checkpoint({str(saved)!r}, run)
except nbdl.NbdlError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "old file is untouched" in done.stdout, done.stderr
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_sigkill_during_a_save_leaves_a_whole_file(tmp_path):
    path = tmp_path / "model.safetensors"
    code = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_checkpoint import training
import nbdl
run = training(units=20_000)
nbdl.save_checkpoint({str(path)!r}, run)
print("saving", flush=True)
while True:
    nbdl.save_checkpoint({str(path)!r}, run)
"""
    random = np.random.default_rng(0)
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert nbdl.load_checkpoint(path).model.parameter_count == 4 * 20_000 + 20_000 + 20_000 * 3 + 3
