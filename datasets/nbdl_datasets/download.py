"""Downloads that are checked, resumed and never half there.

pooch knows where a user's cache is, checks the hash and moves a whole file into place. It cannot resume, so the bytes come
through `_resume`: what arrived before a cut stays in a `.part` file, and the next call asks only for the rest.
"""

import os
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


def fetch(name: str, file: str, urls: tuple[str, ...], md5: str, progress: Progress, download: bool = True) -> Path:
    """The file, from the first address that has it whole. Raises NbdlError that says how to put it there by hand."""
    folder = cache_folder() / name
    by_hand = f"Fetch {urls[0]}{file} by other means and put it in {folder}, or set NBDL_DATA_DIR."
    if not download:
        raise NbdlError(f"{name} is not on this machine: {file} is missing. Run `nbdl datasets download {name}`.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NbdlError(f"cannot make the folder {folder} ({error.strerror}); set NBDL_CACHE_DIR to another.") from None
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    failures = []
    for url in urls:
        try:
            return Path(
                pooch.retrieve(
                    f"{url}{file}",
                    known_hash=f"md5:{md5}",
                    fname=file,
                    path=folder,
                    downloader=lambda address, target, _: _resume(
                        address, Path(target), folder / f"{file}.part", progress
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
    headers = {"Range": f"bytes={start}-"} if start else {}
    with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
        if answer.status_code == 416:  # nothing is left to fetch, or what is there is no part of this file
            os.replace(part, target)
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
    os.replace(part, target)
