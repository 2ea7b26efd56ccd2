"""The one exception that nbdl raises for bad input: its message is written for the person who typed it."""


class NbdlError(ValueError):
    """Names what was given, what was expected and what to do; the command line prints it without a traceback."""
