"""Files that a command will write: whether they can be written is found out before the work, not after it."""

import os
from pathlib import Path

from nbdl.errors import NbdlError


def check_place(option: str, path: str | None) -> None:
    """Raise NbdlError where a file given to `option` has no folder, or one that is read-only; None is fine."""
    if path is None:
        return
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise NbdlError(f"{option} {path}: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise NbdlError(f"{option} {path}: the folder {folder} is read-only; choose another place.")
