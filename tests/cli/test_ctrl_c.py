"""Ctrl-C at the moments in which Python itself would lose it, print a traceback or die of the signal."""

import signal
import subprocess
import sys

import pytest

# The real entry point with one more command, which is interrupted at an awkward moment.
INTERRUPTED = """
import atexit, ctypes, signal, sys, time, types
import click
from nbdl_cli.main import COMMANDS, main

def ctrl_c():
    signal.raise_signal(signal.SIGINT)

@click.command()
@click.argument("where")
def command(where):
    if where == "a callback from C":
        ctypes.CFUNCTYPE(None)(ctrl_c)()
        time.sleep(60)
        print("went on as if nothing had happened")
    if where == "a background job":
        ctrl_c()
        print("went on")
    if where == "work that then fails":
        try:
            ctrl_c()
        except KeyboardInterrupt:
            raise RuntimeError("no compiled object yet")
    if where == "an exec":
        exec("ctrl_c()", {"ctrl_c": ctrl_c})
    if where == "the exit":
        atexit.register(ctrl_c)
    if where == "a destructor that fails":
        class Bad:
            def __del__(self):
                raise OSError("not Ctrl-C")
        Bad()

COMMANDS["work"] = "Works."
sys.modules["nbdl_cli.commands.work"] = types.SimpleNamespace(command=command)
sys.argv = ["nbdl", "work", *sys.argv[1:]]
main()
"""


def run(where, **settings):
    command = [sys.executable, "-c", INTERRUPTED, where]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, **settings)


@pytest.mark.parametrize("where", ["a callback from C", "work that then fails", "an exec"])
def test_it_is_one_word_and_130(where):
    done = run(where)
    assert (done.returncode, done.stderr, done.stdout) == (130, "interrupted\n", "")


def test_it_comes_too_late_when_the_work_is_done():
    done = run("the exit")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_background_job_goes_on():
    done = run("a background job", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_other_errors_of_that_kind_are_still_told():
    assert "not Ctrl-C" in run("a destructor that fails").stderr
