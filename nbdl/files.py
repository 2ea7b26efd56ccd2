"""Files that are either whole or not there: written under a temporary name, flushed to the disk, then renamed."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nbdl.errors import NbdlError


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Put `content` at `path` so that a crash, a full disk or SIGKILL leaves the old file or the new one, never a part.

    Raises NbdlError that names the reason; the old file is then untouched.
    """
    path = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        kept = " The old file is untouched." if path.is_file() else ""
        raise NbdlError(f"cannot write {path} ({reason}).{kept} Choose another place or free some room.") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)
