"""Files that a command will write: whether they can be written is found out before the work, not after it."""

from pathlib import Path
from tempfile import TemporaryFile

from nbdl.errors import NbdlError


def check_place(option: str, path: str | None) -> None:
    """Raise NbdlError where a file given to `option` has no folder, or one that takes no files; None is fine."""
    if path is None:
        return
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise NbdlError(f"{option} {path}: there is no folder {folder}; make it first.")
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise NbdlError(f"{option} {path}: no file can be made in {folder} ({reason}); choose another place.") from None
