"""A progress bar for downloads, shown only when something is downloaded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Report = Callable[[str, int, int | None], None]


@contextmanager
def progress(console: Console | None) -> Iterator[Report | None]:
    """A function (file, received, total) that draws a bar on this console; None draws nothing."""
    if console is None:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn(" {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=console
    )
    tasks: dict[str, int] = {}

    def report(file: str, received: int, total: int | None) -> None:
        if not tasks:
            bar.start()
        if file not in tasks:
            tasks[file] = bar.add_task(file, total=total)
        bar.update(tasks[file], completed=received, total=total)  # type: ignore[arg-type]

    try:
        yield report
    finally:
        if tasks:
            bar.stop()
