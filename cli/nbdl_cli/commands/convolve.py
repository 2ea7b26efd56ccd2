"""`nbdl convolve`: one small convolution by hand, window by window, then pooling and the flattened vector."""

import sys

import click

from nbdl.errors import NbdlError
from nbdl_cli.options import json_option

GRID = "0 0 0 0 0 0 0/0 0 1 0 1 0 0/0 0 0 0 0 0 0/0 0 0 1 0 0 0/0 1 0 0 0 1 0/0 0 1 1 1 0 0/0 0 0 0 0 0 0"
FILTER = "0 0 1/1 0 0/0 1 1"
SHOWN = 3  # windows in detail, unless all are asked for


def read_grid(text: str, what: str):
    """Rows between slashes or on lines, numbers between blanks or commas; raises NbdlError that says what is wrong."""
    import numpy as np

    rows = [row.replace(",", " ").split() for row in text.replace("/", "\n").splitlines() if row.strip()]
    if not rows:
        raise NbdlError(f"the {what} is empty; expected rows of numbers, such as '0 1/1 0'.")
    if len({len(row) for row in rows}) > 1:
        raise NbdlError(
            f"the rows of the {what} have {', '.join(str(len(r)) for r in rows)} numbers; expected as many in each."
        )
    try:
        values = np.array([[float(word) for word in row] for row in rows])
    except ValueError as error:
        raise NbdlError(
            f"the {what} holds something that is not a number ({error}); a file is given with --{what}-file."
        ) from None
    if not np.isfinite(values).all():
        raise NbdlError(f"the {what} holds a number that is not finite.")
    return values


def _text(typed: str | None, file: str | None, usual: str, what: str) -> str:
    if typed is not None and file is not None:
        raise click.UsageError(f"give the {what} either typed or from a file, not both.")
    if file is None:
        return usual if typed is None else typed
    try:
        return sys.stdin.read() if file == "-" else open(file, encoding="utf-8").read()
    except (OSError, UnicodeDecodeError) as error:
        raise NbdlError(f"{file} cannot be read as text ({error}).") from None


@click.command()
@click.option("--grid", metavar="ROWS", help="The input, rows between slashes: '0 1 0/1 1 1/0 1 0'.")
@click.option("--grid-file", metavar="FILE", help="The input from a text file; - is standard input.")
@click.option("--filter", "filter_", metavar="ROWS", help="The filter, in the same form.")
@click.option("--filter-file", metavar="FILE", help="The filter from a text file.")
@click.option("--stride", type=click.IntRange(min=1), default=1, show_default=True, help="Cells from window to window.")
@click.option(
    "--padding", type=click.IntRange(min=0), default=0, show_default=True, help="Rings of zeros around the input."
)
@click.option("--bias", type=float, default=0.0, show_default=True, help="Added to every sum.")
@click.option(
    "--activation", type=click.Choice(["linear", "relu", "sigmoid", "tanh"]), default="linear", show_default=True
)
@click.option(
    "--pool", type=click.IntRange(min=1), default=2, show_default=True, help="Cells of a side of a pooling window."
)
@click.option("--pooling", type=click.Choice(["max", "avg"]), default="max", show_default=True)
@click.option("--drop-partial", is_flag=True, help="Drop the pooling windows that the edge cuts.")
@click.option("--all", "every", is_flag=True, help="Show every window in detail.")
@click.option("--step", is_flag=True, help="Wait for Enter after each window (on a terminal).")
@json_option
def command(grid, grid_file, filter_, filter_file, every, step, as_json, **settings):
    """Slide a small filter over a small grid and see every sum; then pool the map and flatten it.

    Without options: the example of a 7 x 7 grid and a 3 x 3 filter.
    """
    import numpy as np

    from nbdl.layers import AvgPool2D, Conv2D, MaxPool2D
    from nbdl_cli import console

    image = read_grid(_text(grid, grid_file, GRID, "grid"), "grid")
    weights = read_grid(_text(filter_, filter_file, FILTER, "filter"), "filter")
    layer = Conv2D(1, weights.shape, settings["stride"], padding=settings["padding"], activation=settings["activation"])
    pool = (MaxPool2D if settings["pooling"] == "max" else AvgPool2D)(
        settings["pool"], ceil_mode=not settings["drop_partial"]
    )
    bordered = np.pad(image, settings["padding"])
    if any(w > b for w, b in zip(weights.shape, bordered.shape, strict=True)):
        raise NbdlError(
            f"the filter ({weights.shape[0]} x {weights.shape[1]}) is larger than the grid with its padding "
            f"({bordered.shape[0]} x {bordered.shape[1]})."
        )
    feature_map = _run(layer, image, weights, settings["bias"])
    if min(feature_map.shape) < settings["pool"]:
        raise NbdlError(
            f"a pooling window of {settings['pool']} x {settings['pool']} does not fit into the map of "
            f"{feature_map.shape[0]} x {feature_map.shape[1]}; take a smaller --pool."
        )
    pooled = _run(pool, feature_map)
    if as_json:
        console.emit_json(
            {
                "schema": "nbdl.convolve/1", "grid": image, "filter": weights, "settings": settings, "map": feature_map,
                "pooled": pooled, "flattened": pooled.reshape(-1),
            }
        )  # fmt: skip
        return
    _show(console.out(), bordered, weights, feature_map, pooled, settings, every, step)


def _run(layer, image, weights=None, bias=0.0):
    """The layer's own kernel on one picture, in float64."""
    import numpy as np

    from nbdl.layers import Views

    x = image.reshape(1, 1, *image.shape).astype(np.float64)
    out = np.empty((1, *layer.out_shape(x.shape[1:])))
    saved = {name: np.empty((1, *shape)) for name, shape in layer.scratch(x.shape[1:]).items()}
    saved |= {name: np.empty(shape) for name, shape in layer.workspace(x.shape[1:], 1).items()}
    v = Views(0, x, out, saved=saved)
    if weights is not None:
        v.parameters = {"w": weights.reshape(1, 1, *weights.shape), "b": np.array([bias])}
    for kernel, arguments in layer.forward(v):
        kernel.reference(*arguments)
    return out[0, 0]


def _winners(feature_map, size: int):
    """The first largest cell of every pooling window, true."""
    import numpy as np

    found = np.zeros(feature_map.shape, bool)
    for y in range(0, feature_map.shape[0], size):
        for x in range(0, feature_map.shape[1], size):
            window = feature_map[y : y + size, x : x + size]
            i, j = np.unravel_index(int(window.argmax()), window.shape)
            found[y + i, x + j] = True
    return found


def _show(out, bordered, weights, feature_map, pooled, settings, every, step):
    from nbdl_cli.console import colourful
    from nbdl_cli.drawing.folded import Folded
    from nbdl_cli.drawing.grid import Beside, lines, number, pooled_lines

    def say(words: str, look: str = ""):
        out.print(Folded(words, look))

    colour, stride, padding = colourful(out), settings["stride"], settings["padding"]
    (height, width), (rows, columns) = weights.shape, feature_map.shape
    ring = f", {padding} {'ring' if padding == 1 else 'rings'} of zeros around them included" if padding else ""
    steps = "one cell" if stride == 1 else f"{stride} cells"
    say(
        f"A filter of {height} × {width} slides over {bordered.shape[0]} × {bordered.shape[1]} cells{ring}, {steps} at a "
        "time. In each place, multiply every cell of the window by the number of the filter that lies on it, and add up. "
        "Where the filter is 0 nothing is added: those products are not written."
    )
    out.print()
    detail = rows * columns if every or step else min(SHOWN, rows * columns)
    for place in range(detail):
        y, x = divmod(place, columns)
        top, left = y * stride, x * stride
        under = bordered[top : top + height, left : left + width]
        say(f"window {place + 1} of {rows * columns}, for row {y + 1}, column {x + 1} of the map", "bold")
        known = lines(feature_map, (y, y + 1, x, x + 1), place + 1, colour)
        out.print(
            Beside(
                lines(bordered, (top, top + height, left, left + width), None, colour), "×", lines(weights), "→", known
            )
        )
        say(_sum(under, weights, settings, feature_map[y, x], number))
        out.print()
        if step and place + 1 < detail and sys.stdin.isatty() and out.is_terminal:
            click.pause(" Enter: the next window ")
    if detail < rows * columns:
        say(f"... and so on for all {rows * columns} windows (--all shows them, --step waits at each).")
        out.print()
    then = f" after {settings['activation']}" if settings["activation"] != "linear" else ""
    say(f"feature map, {rows} × {columns}{then}", "bold")
    out.print(Beside(lines(feature_map)))
    out.print()
    wins, size = settings["pooling"] == "max", settings["pool"]
    shown = feature_map
    say(f"pooled: {'the largest' if wins else 'the mean'} of every {size} × {size} cells goes on", "bold")
    if rows % size or columns % size:
        if settings["drop_partial"]:
            shown = feature_map[: rows - rows % size, : columns - columns % size]
            say("The windows that the edge cuts are dropped.")
        else:
            say(f"At the edge fewer than {size} × {size} cells are left: those windows take what is there.")
    out.print(Beside(pooled_lines(shown, size, _winners(shown, size) if wins else None, colour), "→", lines(pooled)))
    out.print()
    say(f"flattened: the {pooled.size} numbers row by row, as a dense layer takes them", "bold")
    say(" ".join(number(v) for v in pooled.reshape(-1)))


def _sum(under, weights, settings, result, number):
    """The products of one window written out; those with a 0 in the filter are left out."""
    terms = [
        f"{number(a)}·{number(b) if b >= 0 else f'({number(b)})'}"
        for a, b in zip(under.reshape(-1), weights.reshape(-1), strict=True)
        if b != 0
    ]
    total = float((under * weights).sum())
    text = f"{' + '.join(terms) or '0'} = {number(total)}"
    if settings["bias"]:
        total += settings["bias"]
        text += f", with the bias {number(settings['bias'])}: {number(total)}"
    if settings["activation"] != "linear":
        text += f", {settings['activation']}: {number(result)}"
    return text
