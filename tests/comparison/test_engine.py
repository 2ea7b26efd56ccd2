"""The same numbers from every kind of worker, and from those that die."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

import nbdl
from nbdl.comparison import Comparison, Ledger, Spec, grid, inline, processes, workers
from nbdl.comparison.runs import untimed
from nbdl.errors import NbdlError

RATES = (0.01, 0.1, 1.0, 100.0)


def spec(budget, seeds=(1, 2)):
    return Spec(
        tuple(grid(["stochastic", "mini-batch", "batch"], [10], [nbdl.SGD(), nbdl.Adam()])),
        budget,
        RATES,
        tuning_seeds=(0,),
        seeds=seeds,
    )


def numbers(comparison):
    return {run.key(""): untimed(outcome.as_data()) for run, outcome in comparison.outcomes.items()}


@pytest.fixture
def undisturbed(moons):
    problem = moons()
    comparison = Comparison(spec(problem.budget), problem)
    assert len(list(comparison.run(inline()))) == len(comparison.outcomes) > 6 * 6
    return comparison


def repeat(before, where, ledger=None):
    comparison = Comparison(before.spec, before.problem)
    for _ in comparison.run(where, ledger):
        pass
    return comparison


def test_processes_give_the_same_numbers(undisturbed):
    again = repeat(undisturbed, processes(2, 2))
    assert numbers(again) == numbers(undisturbed)
    assert all(outcome.contended for outcome in again.outcomes.values())
    assert [s.rank for s in again.summaries] == [s.rank for s in undisturbed.summaries]


def test_nothing_finished_is_done_twice(undisturbed, tmp_path):
    identity = undisturbed.identity
    with Ledger(tmp_path / "l", identity) as ledger:
        half = Comparison(undisturbed.spec, undisturbed.problem).run(inline(), ledger)
        for _ in range(17):
            next(half)
        half.close()
    with Ledger(tmp_path / "l", identity) as ledger:
        rest = Comparison(undisturbed.spec, undisturbed.problem)
        done = list(rest.run(inline(), ledger))
    assert len(done) == len(undisturbed.outcomes) - 17
    assert rest.repeated == 17
    assert numbers(rest) == numbers(undisturbed)


def test_failed_runs_are_done_again_only_when_asked(moons, tmp_path):
    slow = moons(timeout=1e-6)
    contenders = tuple(grid(["mini-batch"], [10], [nbdl.SGD()], rates=[0.1]))
    one = Spec(contenders, slow.budget, tuning_seeds=(), seeds=(1,), timeout=1e-6)
    for again, runs in (((), 1), ((), 0), (("timeout",), 1)):
        comparison = Comparison(one, slow, again)
        with Ledger(tmp_path / "l", comparison.identity) as ledger:
            assert len(list(comparison.run(inline(), ledger))) == runs
        assert comparison.summaries[0].failures == {"timeout": 1}


def test_lost_processes_lose_no_run(undisturbed):
    again, killed = Comparison(undisturbed.spec, undisturbed.problem), 0
    for count, _ in enumerate(again.run(processes(2, 2))):
        if count in (3, 11, 30):
            multiprocessing.active_children()[0].kill()
            killed += 1
    assert killed == 3
    assert numbers(again) == numbers(undisturbed)


class Deadly(nbdl.Dense):
    """Ends its process when it is bound for a batch of 7, as a fault in machine code would."""

    def workspace(self, shape, batch):
        if batch == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().workspace(shape, batch)


def test_a_run_that_kills_its_worker_is_given_up_and_no_other(moons):
    problem = replace(moons(), layers=(Deadly(8), nbdl.Dense(2)))
    contenders = tuple(grid(["mini-batch"], [10, 20, 7], [nbdl.SGD()], rates=[0.1]))
    comparison = Comparison(Spec(contenders, problem.budget, tuning_seeds=(), seeds=(1,)), problem)
    found = {o.run.contender.batch: o.failure for o in comparison.run(processes(2, 2))}
    assert found == {10: None, 20: None, 7: "error"}
    assert "3 workers were lost" in comparison.groups[2][0].message


def test_workers_that_cannot_work_are_an_error(moons):
    problem = replace(moons(), layers=(Deadly(8), nbdl.Dense(2)))
    contenders = tuple(grid(["mini-batch"], [7], [nbdl.SGD()], rates=[0.1]))
    comparison = Comparison(Spec(contenders, problem.budget, tuning_seeds=(), seeds=(1, 2)), problem)
    with pytest.raises(NbdlError, match="no worker lives long enough"):
        list(comparison.run(processes(2, 2)))


# -- Dask ------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def started(*command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", *command], **quiet) as process:
        try:
            yield process
        finally:
            process.kill()


def dask_worker(address):
    options = ["--nthreads", "2", "--no-nanny", "--no-dashboard"]
    return started("distributed.cli.dask_worker", address, *options)


@pytest.fixture
def cluster():
    """A scheduler and two workers: real processes."""
    distributed = pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    with ExitStack() as running:
        port = address.rsplit(":", 1)[1]
        scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
        running.enter_context(started(*scheduler))
        both = [running.enter_context(dask_worker(address)) for _ in range(2)]
        for _ in range(100):
            try:
                with distributed.Client(address, timeout=5, set_as_default=False) as client:
                    client.wait_for_workers(2, timeout=60)
                break
            except OSError:
                time.sleep(0.3)
        yield address, both


@pytest.mark.filterwarnings("ignore")  # of distributed: large graphs, and workers that went away
def test_dask_gives_the_same_numbers_although_a_worker_dies(undisturbed, cluster):
    address, both = cluster
    again = Comparison(undisturbed.spec, undisturbed.problem)
    for count, _ in enumerate(again.run(workers.dask(address))):
        if count == 5:
            both[0].kill()
            both[0].wait()
    assert numbers(again) == numbers(undisturbed)


def test_no_scheduler_is_said_in_words(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE", 1)
    with pytest.raises(NbdlError, match="no Dask scheduler answers"):
        workers.dask(f"tcp://127.0.0.1:{free_port()}")
