"""Downloads that are checked, resumed and never half there.

pooch knows where a user's cache is, checks the hash and moves a whole file into place. It cannot resume, so the bytes come
through `_resume`: what arrived before a cut stays in a `.part` file, and the next call asks only for the rest.
"""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from nbdl.errors import NbdlError

Progress = Callable[[str, int, int | None], None] | None
CHUNK = 1 << 14
PATIENCE = 20  # seconds without a byte


def cache_folder() -> Path:
    """Where downloads go: `NBDL_CACHE_DIR`, else the user's cache folder."""
    given = os.environ.get("NBDL_CACHE_DIR")
    if given:
        return Path(given)
    import pooch

    return Path(pooch.os_cache("nbdl"))


def folders(name: str) -> list[Path]:
    """Folders in which the files of a data set are looked for, first things first."""
    shared = os.environ.get("NBDL_DATA_DIR")
    return [*([Path(shared) / name] if shared else []), cache_folder() / name]


def addresses(name: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """Where a data set is fetched from: a variable such as NBDL_CIFAR10_URL, with blanks between addresses, or as usual."""
    given = os.environ.get(f"NBDL_{name.upper().replace('-', '_')}_URL")
    return tuple(given.split()) if given else usual


def fetch(
    name: str,
    file: str,
    urls: tuple[str, ...],
    checksum: str | None,
    progress: Progress,
    download: bool = True,
    folder: str | None = None,
) -> Path:
    """The file, from the first address that has it whole: by its checksum (`md5:...` or `sha256:...`), or without one as
    a zip archive that can be read.

    It goes to `folder` (as a rule the data set's name) below the cache's. Raises NbdlError that says how to put it there by
    hand.
    """
    place = cache_folder() / (folder or name)
    by_hand = f"Fetch {urls[0]} by other means and put it in {place}, or set NBDL_DATA_DIR."
    if not download:
        raise NbdlError(f"{name} is not on this machine: {file} is missing. Run `nbdl datasets download {name}`.")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NbdlError(f"cannot make the folder {place} ({error.strerror}); set NBDL_CACHE_DIR to another.") from None
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    failures = []
    for url in urls:
        try:
            return Path(
                pooch.retrieve(
                    url,
                    known_hash=checksum,
                    fname=file,
                    path=place,
                    downloader=lambda address, target, _: _resume(
                        address, Path(target), place / f"{file}.part", progress
                    ),
                )
            )
        except Exception as error:
            failures.append(f"{url}: {_reason(error)}")
    raise NbdlError(f"{file} of {name} could not be downloaded ({'; '.join(failures)}). {by_hand}")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "no connection"
    if "hash" in str(error):
        return "what came is not the file (its checksum differs)"
    return str(error) or type(error).__name__


def _resume(url: str, target: Path, part: Path, progress: Progress) -> None:
    """Download to `part`, from where an earlier try stopped, then move it to `target` for pooch to check."""
    import requests

    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
        if answer.status_code == 416:  # nothing is left to fetch, or what is there is no part of this file
            _keep(part, target)
            return
        answer.raise_for_status()
        start = start if answer.status_code == 206 else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        received = start
        with part.open("ab" if start else "wb") as file:
            for piece in answer.iter_content(CHUNK):
                file.write(piece)
                received += len(piece)
                if progress is not None:
                    progress(part.stem, received, total)
    if total is not None and received < total:
        raise ConnectionError(f"cut off after {received:,} of {total:,} bytes; the next try goes on from there")
    _keep(part, target)


def _keep(part: Path, target: Path) -> None:
    if part.stem.endswith(".zip") and not zipfile.is_zipfile(part):
        part.unlink()
        raise ValueError("what came is no zip archive")
    os.replace(part, target)
