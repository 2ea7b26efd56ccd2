"""The one place that makes consoles: results go to stdout, progress and errors to stderr."""

import codecs
import json
import os
import sys
from typing import Any, NoReturn, TextIO

from rich.console import Console

PIPE_WIDTH = 100  # Rich takes 80 in a pipe, and tables are then cut
NARROWEST = 20  # a width below this is a mistake of whoever set it; tables vanish there

_ASCII = {
    "×": "x", "·": ".", "–": "-", "—": "-", "−": "-", "±": "+-", "²": "2", "µ": "u", "≈": "~", "≤": "<=", "≥": ">=",
    "∞": "inf", "…": "...", "→": "->", "✓": "ok", "✗": "x", "█": "#", "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip


def _nearest_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


codecs.register_error("nbdl-ascii", _nearest_ascii)


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError  # Rich would end the process with code 1; main() ends it quietly


def _size(stream: TextIO) -> tuple[int | None, int | None]:
    """Columns and lines where Rich would guess them wrong: in a pipe, and on a dumb terminal."""
    terminal = stream.isatty()
    if terminal and os.environ.get("TERM") != "dumb":
        return None, None
    asked = os.environ.get("COLUMNS", "")
    if asked.isdigit() and int(asked) > 0:
        return max(NARROWEST, int(asked)), 25
    columns = os.get_terminal_size(stream.fileno()).columns if terminal else PIPE_WIDTH
    return columns or PIPE_WIDTH, 25  # a terminal that nobody has sized says 0


def _console(stream: TextIO) -> Console:
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="nbdl-ascii")  # an encoding without block characters must not stop a run
    width, height = _size(stream)
    return _Console(file=stream, width=width, height=height, highlight=False)


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


def colourful(console: Console) -> bool:
    """Whether pictures in colour can be drawn there; the sixteen colours of old terminals are too few."""
    return console.color_system not in (None, "standard", "windows") and not console.no_color and unicode_ok(console)


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout, and nothing else; NaN and infinity become null."""
    sys.stdout.write(json.dumps(plain(document), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
