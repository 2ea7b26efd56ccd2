"""The one place that makes consoles: results go to stdout, progress and errors to stderr."""

import json
import os
import sys
from typing import Any, TextIO

from rich.console import Console

PIPE_WIDTH = 100  # Rich takes 80 in a pipe, and tables are then cut


def _console(stream: TextIO) -> Console:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # an encoding without block characters must not stop a run
    terminal = stream.isatty()
    width = None
    if not terminal or os.environ.get("TERM") == "dumb":
        try:
            width = int(os.environ["COLUMNS"])
        except (KeyError, ValueError):
            width = None if terminal else PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, safe_box=True)


def out() -> Console:
    """Where results go."""
    return _console(sys.stdout)


def err() -> Console:
    """Where progress and errors go."""
    return _console(sys.stderr)


def unicode_ok(console: Console) -> bool:
    """Whether braille and block characters can be written there."""
    try:
        "█⣿▀".encode(console.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout, and nothing else; NaN and infinity become null."""
    sys.stdout.write(json.dumps(_plain(document), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
