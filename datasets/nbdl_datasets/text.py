"""Text: characters as numbers, cut into windows; at each step the network is asked which character comes next.

    inputs[i]   the characters    steps i     ...  steps i + steps - 1
    targets[i]  the characters    steps i + 1 ...  steps i + steps

Window i + 1 goes on where window i ended, so that a network can carry its state from one to the next.
"""

from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Split
from nbdl_datasets.download import Progress, addresses, fetch, folders

STEPS = 64
SHARES = (0.9, 0.05)  # of the text, from its beginning: to learn from, to check on; the rest is the test
SHAKESPEARE = "tiny-shakespeare"
SUMMARY = "40,000 lines of Shakespeare, character by character"
CREDIT = "W. Shakespeare, public domain; put together by A. Karpathy for char-rnn"
FOLDER, FILE = "tinyshakespeare", "input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
ADDRESSES = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",)


def read(path: Path) -> str:
    """The text of a file, lines ended alike; raises NbdlError where it is not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NbdlError(f"{path} cannot be read ({error.strerror or error}); expected a text file.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NbdlError(
            f"{path} is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}. Save it as UTF-8 (plain text, no "
            "word processor's file)."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def windows(numbers: np.ndarray, steps: int) -> Split:
    """Whole windows of a text in numbers; the few characters behind the last one are left out."""
    n = max(0, len(numbers) - 1) // steps
    return Split(numbers[: n * steps].reshape(n, steps), numbers[1 : n * steps + 1].reshape(n, steps))


def dataset(
    name: str,
    text: str,
    steps: int | None = None,
    *,
    shares: tuple[float, float] = SHARES,
    summary: str = "",
    credit: str = "your own",
) -> Dataset:
    """A text cut by position into three parts, and these into windows of `steps` characters.

    Raises NbdlError for a text without two distinct characters, and where a part is shorter than a window.
    """
    steps = STEPS if steps is None else steps
    if steps < 1:
        raise NbdlError(f"windows of {steps} characters: expected 1 or more.")
    found, numbers = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    characters = tuple(map(chr, found))
    if not characters:
        raise NbdlError(f"{name} is empty; expected a text to learn from.")
    if len(characters) == 1:
        raise NbdlError(
            f"{name} holds one distinct character, {characters[0]!r}, {len(text)} times; there is nothing to learn: what "
            "comes next is always the same. Give a text with two or more."
        )
    numbers = numbers.reshape(-1).astype(np.min_scalar_type(len(characters) - 1))
    bounds = np.round(np.cumsum(shares) * len(numbers)).astype(int)
    parts = np.split(numbers, bounds)
    if min(map(len, parts)) < steps + 1:
        needed = int(np.ceil(round((steps + 2) / min(*shares, 1 - sum(shares)), 6)))
        raise NbdlError(
            f"{name} is too short: {len(text):,} characters, of which {min(map(len, parts)):,} would be left to check on. "
            f"With windows of {steps} characters it takes {needed:,} or more; give a longer text or a smaller --steps."
        )
    train, validation, test = (windows(part, steps) for part in parts)
    return Dataset(
        name, train, validation, test, "classification", characters, kind="text", continuous=True,
        summary=summary or f"{len(text):,} characters, {len(characters)} distinct", credit=credit,
    )  # fmt: skip


def load_file(path: Path, steps: int | None = None) -> Dataset:
    """A text file of the user's own."""
    if not path.is_file():
        raise NbdlError(f"there is no text file {path}.")
    return dataset(str(path), read(path), steps)


def find() -> Path | None:
    """Tiny Shakespeare, if it is here."""
    return next((path for folder in folders(FOLDER) if (path := folder / FILE).is_file()), None)


def load_shakespeare(steps: int | None = None, progress: Progress = None, download: bool = True) -> Dataset:
    """Tiny Shakespeare, downloaded if need be: 90 % to learn from, 5 % to check on, 5 % kept for the end."""
    path = find() or fetch(
        SHAKESPEARE, FILE, addresses(SHAKESPEARE, ADDRESSES), f"sha256:{SHA256}", progress, download, FOLDER
    )
    return dataset(SHAKESPEARE, read(path), steps, summary=SUMMARY, credit=CREDIT)
