"""Every picture in real pseudo-terminals of several widths and kinds, and in a pipe."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

ALL = """
import numpy as np
from nbdl_cli import console
from nbdl_cli.drawing.confusion import confusion_table
from nbdl_cli.drawing.decision_map import DecisionMap, grid_inputs
from nbdl_cli.drawing.image import Image, ImageRow
from nbdl_cli.drawing.plot import LinePlot, Series
from nbdl_cli.drawing.spark import Sparkline

out = console.out()
x = np.arange(1, 40)
curves = [Series("stochastic, learning rate 0.1", x, 1 / x, band=(0.8 / x, 1.2 / x)), Series("batch", x, 1 / x**0.5)]
out.print(LinePlot(curves, title="cost", x_label="seconds of training", y_label="cost", log_y=True))
inputs = grid_inputs((-1, 1, -1, 1), 72, 20).reshape(20, 72, 2)
out.print(DecisionMap((inputs[:, :, 0] > 0).astype(int), np.ones((20, 72)), (-1, 1, -1, 1), inputs[3, ::9], [0] * 8, "AB"))
out.print(ImageRow([np.eye(28)] * 5, ["8? is 3"] * 5))
out.print(Image(np.random.default_rng(0).random((48, 96, 3))))
out.print(confusion_table(np.arange(100).reshape(10, 10), list("0123456789")))
out.print(Sparkline(x))
"""
MODERN = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
KINDS = {
    "true colours": {},
    "256 colours": {"COLORTERM": ""},
    "16 colours": {"TERM": "xterm", "COLORTERM": ""},
    "no colours": {"NO_COLOR": "1"},
    "dumb": {"TERM": "dumb"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "ascii without colours": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"},
}


def environment(kind):
    ours = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return {**ours, **MODERN, **kind}


def on_terminal(kind, columns):
    """What all pictures look like on a terminal of this kind and width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-c", ALL]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(kind)) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not piece:
                break
            drawn += piece
    os.close(ours)
    text = drawn.decode()
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_fits_and_uses_only_what_the_terminal_has(kind, columns):
    text = on_terminal(KINDS[kind], columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "Traceback" not in text
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= columns
    assert "seconds of training" in plain
    assert plain.count("8? is 3") == 5
    assert ("38;2;" in text) == (kind in ("true colours", "ascii"))
    assert ("38;5;" in text) == (kind == "256 colours")
    assert ("▀" in plain) == (kind in ("true colours", "256 colours"))
    assert plain.isascii() == kind.startswith("ascii")
    if kind not in ("true colours", "256 colours"):
        assert "o batch" in plain, "curves need marks where colours are few"
        assert re.search("aaaa.*bbbb", plain)
    if kind == "dumb":
        assert "\x1b" not in text


def test_a_pipe_gets_plain_text_of_a_width_that_holds_tables():
    done = subprocess.run([sys.executable, "-c", ALL], capture_output=True, text=True, env=environment({}), check=True)
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "confusions" in done.stdout
