"""Ctrl-C that is never lost: inside a callback from C, such as the compiler's, Python prints KeyboardInterrupt and goes on."""

import signal
import sys
from types import FrameType

AGAIN_AFTER = 0.05  # seconds; the callback that swallowed it has ended by then


class CtrlC:
    """Raises KeyboardInterrupt as Python does, remembers it in `pressed`, and raises it again where it was swallowed."""

    def __init__(self) -> None:
        self.pressed = False

    def listen(self) -> None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job ignores it
            signal.signal(signal.SIGINT, self._press)
        sys.unraisablehook = self._swallowed

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        raise KeyboardInterrupt

    def _swallowed(self, unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
            return
        from threading import Timer, main_thread

        # To the main thread, so that what it waits in is cut short; a signal of the timer's own thread would not do that.
        Timer(AGAIN_AFTER, signal.pthread_kill, [main_thread().ident, signal.SIGINT]).start()

    def ignore(self) -> None:
        """For the last moments of the process, in which Python would answer with a traceback or die of the signal."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        exec("")  # makes Python forget a KeyboardInterrupt that came out of an exec, as those in dataclasses are
