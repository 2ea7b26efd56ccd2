"""The harness on small contenders in real processes: who is timed, who is stopped, who is found out."""

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl_benchmarks import cores
from nbdl_benchmarks.harness import Timing, Worker, compare

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux says in /proc what processes do")


def compared(*contenders, rounds=3):
    return compare(
        [(f"contenders:{name}", arguments) for name, arguments in contenders],
        threads=1,
        rounds=rounds,
        seconds=0.001,
        warm_up=5,
        tolerance=1e-5,
    )


def status(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


def test_every_round_times_every_contender():
    found = compared(("counting", [1.0, "first"]), ("counting", [1.0, "second"]), rounds=4)
    assert [timing.name for timing in found.timings] == ["first", "second"]
    assert [len(timing.seconds) for timing in found.timings] == [4, 4]
    assert all(seconds > 0 for timing in found.timings for seconds in timing.seconds)
    assert len(found.others) == len(found.together) == 4


def test_ratios_are_taken_within_a_round():
    drifting, twice = Timing("a", "1", [1.0, 10.0, 2.0, 5.0]), Timing("b", "1", [2.0, 20.0, 4.0, 10.0])
    assert twice.times(drifting) == (2.0, 2.0, 2.0)
    assert drifting.quartiles == pytest.approx((1.75, 3.5, 6.25))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (("counting", [1.0001, "off"]), "off computes something else: after 5 steps it is off by 1.0e-04 of it"),
        (("counting", [float("nan"), "broken"]), "broken computes something else"),
        (("counting", [0.0, "idle"]), "idle computes something else"),
        (("counting", [1.0, "long", 4]), "long computes something else: 4 numbers, where the others have 3"),
    ],
)
def test_another_computation_is_found_out(other, words):
    with pytest.raises(NbdlError, match=words):
        compared(("counting", [1.0]), other)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing", "contenders:failing ended before it answered: RuntimeError: not today"),
        ("failing_later", "contenders:failing_later ended before it answered: RuntimeError: not this time"),
        ("missing", "AttributeError: module 'contenders' has no attribute 'missing'"),
        ("refusing", r"^there is no such data\.\nPut it there by hand\.$"),
    ],
)
def test_a_contender_that_fails_says_why(name, words):
    with pytest.raises(NbdlError, match=words):
        compared((name, []))


def test_what_a_library_prints_does_not_mix_with_the_answers():
    assert len(compared(("talkative", [])).timings[0].seconds) == 3


@linux
def test_a_contender_that_waits_is_stopped():
    with closing(Worker("contenders:spinning", [], 1)) as worker:
        worker.run(1)
        end = time.time() + 10
        while status(worker.process.pid) != "T" and time.time() < end:
            time.sleep(0.01)
        assert status(worker.process.pid) == "T"
        worker.run(1)


@linux
def test_contenders_have_the_claimed_cores_and_thread_counts():
    count = min(2, len(cores.ALL))
    with cores.claimed(count), closing(Worker("contenders:settings", [], count)) as worker:
        assert worker.result().tolist() == [count] * 5
    assert sorted(os.sched_getaffinity(0)) == cores.ALL


@linux
def test_work_shows_in_what_the_cores_have_done():
    before, start = sum(cores.busy().values()), time.process_time()
    while time.process_time() < start + 0.5:
        np.ones(1000).sum()
    assert sum(cores.busy().values()) - before >= 0.4


@linux
def test_no_process_outlives_a_killed_driver():
    code = """
import sys
from nbdl_benchmarks.harness import Worker
print(Worker("contenders:spinning", [], 1).process.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        worker = int(driver.stdout.readline())
        assert status(worker) != "gone"
        driver.kill()
    end = time.time() + 10
    while status(worker) not in ("gone", "Z") and time.time() < end:
        time.sleep(0.01)
    assert status(worker) in ("gone", "Z")
