"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

import signal
from types import FrameType


class Interruptible:
    """While entered, the first Ctrl-C (or SIGTERM) only sets `asked`; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> "Interruptible":
        self._before = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
