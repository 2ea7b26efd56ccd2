"""The entry point: exit codes, closed pipes and streams, errors of every kind, Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from nbdl_cli.main import COMMANDS

NBDL = [sys.executable, "-m", "nbdl_cli.main"]

# The real entry point with one more command, which fails the way it is told to.
FAILING = """
import sys, time, types, warnings
import click
from nbdl.errors import NbdlError
from nbdl_cli.main import COMMANDS, main

@click.command()
@click.argument("how")
def command(how):
    if how == "bad input":
        raise NbdlError("the layer is 'relo'; expected relu.")
    if how == "no file":
        open("no/such/file")
    if how == "no memory":
        raise MemoryError
    if how == "mistake":
        raise RuntimeError("nobody thought of this")
    if how == "diverged":
        raise click.exceptions.Exit(3)
    if how == "warning":
        warnings.warn("a library is old", DeprecationWarning)
        warnings.warn("a kernel is slow")
    if how == "sleep":
        print("asleep", flush=True)
        time.sleep(60)

COMMANDS["fail"] = "Fails."
sys.modules["nbdl_cli.commands.fail"] = types.SimpleNamespace(command=command)
sys.argv = ["nbdl", "fail", *sys.argv[1:]]
main()
"""


def fail(how, **variables):
    return subprocess.run(
        [sys.executable, "-c", FAILING, how],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=60,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_is_there(name):
    module = import_module(f"nbdl_cli.commands.{name.replace('-', '_')}")
    assert isinstance(module.command, click.Command)


@pytest.mark.parametrize(
    "how, code, says",
    [
        ("bad input", 1, "error: the layer is 'relo'; expected relu.\n"),
        ("no file", 1, "error: No such file or directory (no/such/file)\n"),
        ("no memory", 1, "error: there is not enough memory"),
        ("mistake", 1, "error: nbdl made a mistake, RuntimeError: nobody thought of this."),
        ("diverged", 3, ""),
        ("warning", 0, ""),
    ],
)
def test_each_kind_of_failure_has_its_code_and_one_paragraph(how, code, says):
    done = fail(how)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == bool(says)
    assert done.stdout == ""


def test_debug_shows_where_an_error_came_from():
    assert "Traceback" in fail("bad input", NBDL_DEBUG="1").stderr


def test_ctrl_c_is_130_and_one_word():
    with subprocess.Popen(
        [sys.executable, "-c", FAILING, "sleep"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "interrupted\n")


def into_closed_pipe(arguments, stream):
    reader, writer = os.pipe()
    os.close(reader)
    other = "stderr" if stream == "stdout" else "stdout"
    done = subprocess.run([*NBDL, *arguments], **{stream: writer, other: subprocess.PIPE}, timeout=60, check=False)
    os.close(writer)
    return done.returncode, getattr(done, other)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["models"], ["models", "--json"]])
def test_a_closed_pipe_ends_quietly_with_zero(arguments):
    assert into_closed_pipe(arguments, "stdout") == (0, b"")


@pytest.mark.parametrize("arguments, code", [(["trian"], 2), (["train", "digts"], 1)])
def test_an_error_keeps_its_code_when_nobody_reads_it(arguments, code):
    assert into_closed_pipe(arguments, "stderr") == (code, b"")


@pytest.mark.parametrize("arguments", ["models", "models --json"])
def test_a_stream_that_the_caller_closed(arguments):
    done = subprocess.run(f"{' '.join(NBDL)} {arguments} >&-", shell=True, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["models", "--json"]])
def test_a_full_disk_is_an_error_in_words(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*NBDL, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_version_and_completion():
    assert subprocess.run([*NBDL, "--version"], capture_output=True, text=True).stdout.startswith("nbdl, version ")
    words = {"_NBDL_COMPLETE": "bash_complete", "COMP_WORDS": "nbdl comp", "COMP_CWORD": "1"}
    done = subprocess.run(NBDL, capture_output=True, text=True, env={**os.environ, **words})
    assert done.stdout == "plain,compare-optimizers\n"


@pytest.mark.parametrize(
    "variables, red",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["colour", "none", "dumb"],
)
def test_errors_are_red_only_where_colours_are_wanted(variables, red):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", **variables}
    done = subprocess.run([*NBDL, "train", "digts"], stderr=theirs, stdout=subprocess.PIPE, env=environment, timeout=60)
    said = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 1
    assert "error:" in said
    assert ("31m" in said) == red
