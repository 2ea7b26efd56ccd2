"""Consoles in pipes, on dumb terminals and on ASCII streams, and the JSON that programs read."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest

from nbdl_cli.console import emit_json

WIDTH = "from nbdl_cli import console; print(console.out().width)"
ASCII = "from nbdl_cli import console; console.out().print('R² 3 × 4 in 5 µs – 日 █ ≤ ∞')"


def run(code, stdout=subprocess.PIPE, **variables):
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stdout=stdout, env={**environment, **variables}, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    "columns, width", [(None, 100), ("50", 50), ("300", 300), ("0", 100), ("-5", 100), ("wide", 100), ("5", 20)]
)
def test_the_width_of_a_pipe(columns, width):
    assert int(run(WIDTH, **({"COLUMNS": columns} if columns else {}))) == width


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_a_terminal_has_its_own_width(term):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 57, 0, 0))
    run(f"import os; os.dup2(1, 0); os.dup2(1, 2); {WIDTH}", stdout=theirs, TERM=term)
    assert int(os.read(ours, 1000)) == 57
    os.close(theirs)
    os.close(ours)


def test_an_ascii_stream_gets_the_nearest_characters():
    assert run(ASCII, PYTHONIOENCODING="ascii").decode() == "R2 3 x 4 in 5 us - ? # <= inf\n"
    assert run(ASCII, PYTHONIOENCODING="latin-1").decode("latin-1") == "R² 3 × 4 in 5 µs - ? # <= inf\n"
    assert run(ASCII, PYTHONIOENCODING="utf-8").decode() == "R² 3 × 4 in 5 µs – 日 █ ≤ ∞\n"


def test_json_is_one_document_that_every_program_can_read(capsys):
    emit_json({"loss": float("nan"), "rates": (float("inf"), 0.5), 3: np.float32("-inf"), "a": np.array([1.5, np.nan])})
    text = capsys.readouterr().out
    assert json.loads(text) == {"loss": None, "rates": [None, 0.5], "3": None, "a": [1.5, None]}
    assert "NaN" not in text
    assert "Infinity" not in text
    assert text.endswith("}\n")
