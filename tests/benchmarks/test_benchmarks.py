"""The benchmarks themselves, cut short: the same computation for all, whole documents, usage errors before any work."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from nbdl.errors import NbdlError
from nbdl_benchmarks import allocations, kernels, training
from nbdl_benchmarks.harness import compare
from nbdl_benchmarks.peers.nbdl_training import build
from nbdl_benchmarks.work import NETS

XOR = ("xor", 1, "random")


def benchmark(*arguments, code="from nbdl_benchmarks.__main__ import main; main()"):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def agree(*builders, work=XOR):
    return compare(
        [("nbdl_benchmarks.peers.nbdl_training:build", work), *((builder, work) for builder in builders)],
        threads=1,
        rounds=1,
        seconds=0.001,
        warm_up=NETS[work[0]].checked,
        tolerance=NETS[work[0]].tolerance,
    )


@pytest.mark.parametrize(
    "work",
    [
        XOR,
        ("mlp", 32, "random"),
        ("lenet", 1, "random"),
        ("lenet", 8, "random"),
        ("cifar", 2, "random"),
        ("simplernn", 3, "random"),
        ("lstm", 1, "random"),
        ("gru", 5, "random"),
    ],
)
@pytest.mark.parametrize("peer", training.PEERS)
def test_a_peer_does_the_same_steps_as_nbdl(peer, work):
    builder, library = training.PEERS[peer]
    if library == "sklearn" and work[0] not in ("mlp", "xor"):
        pytest.skip("scikit-learn has dense layers only")
    pytest.importorskip(library)
    assert len(agree(f"nbdl_benchmarks.peers.{builder}", work=work).timings) == 2


@pytest.mark.parametrize("work", [XOR, ("lenet", 8, "random")], ids=["xor", "lenet"])
@pytest.mark.parametrize("wrong", ["faster_rate", "reordered"])
def test_other_steps_are_found_out(wrong, work):
    with pytest.raises(NbdlError, match="nbdl computes something else: after"):
        agree(f"contenders:{wrong}", work=work)


def test_training_writes_all_its_numbers(tmp_path):
    file = tmp_path / "training.json"
    done = benchmark("training", "--peers", "", "--rounds", "2", "--threads", "1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_text())
    assert document["schema"] == "nbdl.benchmark.training/1"
    assert [(case["net"], case["batch"]) for case in document["cases"]] == training.CASES
    for case in document["cases"]:
        (timing,) = case["timings"]
        assert timing["name"] == "nbdl" and len(timing["seconds"]) == len(case["others"]) == 2
    assert {"processor", "cores", "threads", "simd", "numba"} <= document["environment"].keys()
    assert done.stdout.count("µs a step") == len(training.CASES)


def test_products_are_shares_of_the_peak_of_their_round():
    document = kernels.run(False, 1, 3, Console(file=io.StringIO()), shapes=[(33, 17, 9)])
    (product,) = document["products"]
    assert [timing["name"] for timing in product["timings"]] == ["nbdl", "nbdl, B turned", "numpy"]
    assert product["flops"] == 2 * 33 * 17 * 9
    assert len(product["peaks"]) == 3 and min(product["peaks"]) > 0


def test_a_training_step_keeps_no_memory_and_makes_no_array():
    found = allocations.trace(build("mlp", 512, "random").run)
    assert found["array_bytes"] == 0
    assert found["grown_bytes"] < 1000
    assert found["highest_over_start"] < 2000  # an array of one number a sample is 2048 bytes


def test_the_trace_sees_arrays_that_stay_and_arrays_that_go():
    import numpy as np

    kept = []
    found = allocations.trace(lambda count: [kept.append(np.ones(100)) for _ in range(count)] and None)
    assert found["array_bytes"] >= 1000 * 800 and found["grown_bytes"] >= 1000 * 800
    found = allocations.trace(lambda count: [np.ones(512, np.float32).sum() for _ in range(count)] and None)
    assert found["array_bytes"] == 0 and found["highest_over_start"] >= 2048


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["training", "--peers", "torch,tensorflow"], "peer 'tensorflow' is unknown; choose from torch, torch-by-hand"),
        (["training", "--threads", "4096"], "4096 is not in the range 1<=x<="),
        (["kernels", "--rounds", "0"], "0 is not in the range x>=1"),
        (["allocations", "--json", "nowhere/at/all.json"], "nowhere/at is not a folder"),
        (["training", "--data", "cifar"], "'cifar' is not one of"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(arguments, words):
    done = benchmark(*arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_missing_data_ends_with_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NBDL_CACHE_DIR", str(tmp_path))
    done = benchmark("training", "--peers", "", "--data", "real", "--rounds", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "mnist" in done.stderr and "Traceback" not in done.stderr


def test_a_missing_peer_is_named_with_the_extra_that_brings_it(tmp_path):
    code = "import sys; sys.modules['jax'] = None; from nbdl_benchmarks.__main__ import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "training", "--peers", "jax"], stdout=subprocess.PIPE, text=True
    ) as process:
        first = process.stdout.readline()
        process.kill()
    assert first == "jax is not installed: pip install 'nbdl[peers]'\n"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="Linux lists child processes in /proc")
def test_an_interrupted_benchmark_leaves_no_process():
    code = "from nbdl_benchmarks.__main__ import main; main()"
    command = [sys.executable, "-c", code, "training", "--peers", "", "--rounds", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end, workers = time.time() + 60, []
        while not workers and time.time() < end:
            time.sleep(0.05)
            workers = children(process.pid)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert workers and process.returncode == 130
    assert "Traceback" not in errors
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


def children(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if int(file.read().rsplit(")", 1)[1].split()[1]) == parent:
                    found.append(pid)
        except OSError:
            pass
    return found


def test_the_comparison_is_done_twice_over_and_comes_to_the_same(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "c.json"
    done = benchmark(
        "comparison", "--samples", "512", "--rounds", "2", "--rates", "0.1", "--threads", "1", "--json", path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(path.read_text())
    assert [row["updates"] for row in document["runs"]] == [512, 16, 2, 1]
    assert all(len(row["nbdl"]) == len(row["torch"]) == 2 for row in document["runs"])
