"""A file that remembers every finished run, so that an interrupted comparison goes on where it stopped.

JSON lines, only ever appended and on the disk before the next run counts: a first line with the spec, then a line a run,
`{"key": ..., "outcome": {...}}`. A line cut off by a crash is left out, and its run done again.
"""

import json
import os
from pathlib import Path
from typing import IO, Any

from nbdl.comparison.runs import Outcome
from nbdl.comparison.spec import differences
from nbdl.errors import NbdlError

SCHEMA = "nbdl.ledger/1"


class Ledger:
    """The finished runs by their keys. One process at a time may hold a ledger; use it in a `with`.

    Raises NbdlError where the file belongs to another experiment and names the difference; `fresh` begins it anew.
    """

    def __init__(self, path: str | os.PathLike, spec: dict[str, Any], fresh: bool = False):
        self.path = Path(path)
        self.outcomes: dict[str, Outcome] = {}
        self.torn = 0  # lines that a crash has cut off
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = open(self.path, "a+b")  # noqa: SIM115  closed by __exit__
        except OSError as error:
            raise NbdlError(f"cannot write the ledger {self.path} ({error.strerror}); choose another place.") from None
        try:
            self._lock()
            if fresh:
                self._file.truncate(0)
            self._read(json.loads(json.dumps(spec)))
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # pragma: no cover  no such locks on Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NbdlError(
                f"another comparison is writing to the ledger {self.path}; wait for it, or choose another --ledger."
            ) from None

    def _entries(self) -> tuple[bytes, list[Any]]:
        """The file, and what its lines hold, without those that were cut off."""
        self._file.seek(0)
        content = self._file.read()
        entries = []
        self.torn = 0
        for line in content.split(b"\n"):
            try:
                entries += [json.loads(line)] if line else []
            except ValueError:
                self.torn += 1
        return content, entries

    def _read(self, spec: dict[str, Any]) -> None:
        content, entries = self._entries()
        if content and not content.endswith(b"\n"):
            self._write(b"\n")  # what was cut off stays behind as a line of its own
        heads = [entry for entry in entries if isinstance(entry, dict) and "schema" in entry]
        if not heads:
            if entries or self.torn > 1:
                raise NbdlError(f"{self.path} is not a ledger of nbdl; choose another file.")
            self._write(json.dumps({"schema": SCHEMA, "spec": spec}).encode() + b"\n")
            return
        if heads[0]["schema"] != SCHEMA:
            raise NbdlError(f"{self.path} holds {heads[0]['schema']!r}; this version of nbdl writes {SCHEMA!r}.")
        changed = differences(heads[0]["spec"], spec)
        # The digest of the problem follows from the rest; alone, it says that the data are others.
        changed = [line for line in changed if not line.startswith("problem ")] or changed
        if changed:
            raise NbdlError(
                f"the ledger {self.path} belongs to another comparison: {'; '.join(changed)}. "
                "Choose another file, or --fresh to forget what is in it."
            )
        for entry in entries:
            if "key" in entry:
                self.outcomes[entry["key"]] = Outcome.from_data(entry["outcome"])

    def keep(self, key: str, outcome: Outcome) -> None:
        """Write a finished run; when this returns, it is on the disk."""
        self.outcomes[key] = outcome
        self._write(json.dumps({"key": key, "outcome": outcome.as_data()}).encode() + b"\n")

    def on_disk(self) -> int:
        """How many runs the file holds: what an interrupt left there, at whatever moment it came."""
        return len({entry["key"] for entry in self._entries()[1] if "key" in entry})

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise NbdlError(f"cannot write the ledger {self.path} ({error.strerror}); free some room.") from None

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
