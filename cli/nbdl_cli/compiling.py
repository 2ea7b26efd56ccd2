"""What is said while kernels are compiled, which the first run on a machine takes some seconds for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def compiling(err: Console, talks: bool) -> Iterator[Callable[[str], None] | None]:
    """Gives what `announce` of a training takes: a spinner on a terminal, one line in a pipe, None for who is quiet."""
    if not talks:
        yield None
    elif err.is_terminal:
        with err.status("preparing", spinner="dots") as status:
            yield lambda name: status.update(f"compiling (once): {name}")
    else:
        told: list[str] = []

        def tell(name: str) -> None:
            if not told:
                told.append(name)
                err.print(" compiling kernels for this processor (once) ...", style="dim")

        yield tell
