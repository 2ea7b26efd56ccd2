"""Kernels compiled at once in several processes: real ones, with an empty cache, some of which die."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

TRAINING = """
import hashlib, json, sys
import numpy as np
import nbdl
from nbdl import Budget, Data, Dense, Momentum, Sequential, Training, compiling
from nbdl.kernel import compilations

compiling._cores = lambda: 2
if sys.argv[1] == "workers that die":
    compiling.WORKER = "raise SystemExit(1)"
if sys.argv[1] == "workers that die later":
    compiling.WORKER = "import os, threading; threading.Timer(4, os._exit, [1]).start(); " + compiling.WORKER
random, announced = np.random.default_rng(0), []
data = Data(random.integers(0, 256, (50, 12)).astype(np.uint8), random.integers(0, 3, 50), 0.0, 1 / 255)
model = Sequential([Dense(16, "relu"), Dense(3)], (12,), seed=0)
training = Training(
    model, data, nbdl.loss("softmax_cross_entropy"), Momentum(0.1), batch=16, budget=Budget(epochs=3), announce=announced.append
)
list(training.steps())
print(json.dumps({
    "compiled": [f"{c.kernel} {c.variant}" for c in compilations if not c.cached],
    "loaded": [f"{c.kernel} {c.variant}" for c in compilations if c.cached],
    "announced": announced,
    "weights": hashlib.sha256(model.parameters.flat.tobytes()).hexdigest(),
}))
"""


def train(folder, case):
    """What TRAINING prints, run where another `nbdl` lies in the working directory."""
    environment, elsewhere = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}, folder / "elsewhere"
    (elsewhere / "nbdl").mkdir(parents=True, exist_ok=True)
    (elsewhere / "nbdl" / "__init__.py").write_text("raise SystemExit(1)")
    (folder / "training.py").write_text(TRAINING)
    command = [sys.executable, str(folder / "training.py"), case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, cwd=elsewhere)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    return folder, train(folder, "as it is")


def test_what_others_compile_is_loaded_here_and_announced(first):
    _, found = first
    wanted = {"dense_forward serial", "gather serial", "momentum serial", "multiply tiles float32"}
    assert wanted <= set(found["compiled"]) <= set(found["loaded"])
    assert len(found["announced"]) == len(found["compiled"])


def test_a_full_cache_starts_no_process(first):
    folder, found = first
    again = train(folder, "as it is")
    assert again["compiled"] == again["announced"] == []
    assert again["weights"] == found["weights"]


@pytest.mark.parametrize("case", ["workers that die", "workers that die later"])
def test_what_others_fail_to_compile_is_compiled_here(first, tmp_path, case):
    found = train(tmp_path, case)
    assert found["weights"] == first[1]["weights"]
    assert "dense_forward serial" in found["compiled"]


THREADS = """
import threading
import numpy as np
from nbdl import compiling
from nbdl.kernels.updates import sgd

compiling._cores = lambda: 2
a, bound = np.ones(2, np.float32), []

def bind():
    bound.append(sgd.bind("serial", a, a.copy(), np.ones(2, np.float32)))

def build():
    thread = threading.Thread(target=bind)
    thread.start()
    thread.join()
    bind()

compiling.at_once(build)
print(*(call.run.__name__ for call in bound))
"""


def test_only_the_thread_that_plans_does_not_bind(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    assert "_not_yet" not in done.stdout and len(done.stdout.split()) == 2


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="looks for what is left of a group of processes")
def test_ctrl_c_leaves_no_process_behind(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "nbdl_cli.main", "train"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    line = process.stderr.readline()
    assert "compiling" in line
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (130, "interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
