"""Plates: small grids of numbers as pictures. Orange is above 0, blue below, dark is 0; inputs are grey or in colour.

Every plate can be drawn in half blocks, in characters (two a cell) and in pixels, and some of its cells may be lit: then
the others are dimmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.text import Text

from nbdl_cli.drawing.image import RAMP
from nbdl_cli.drawing.palette import style

STOPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
SIGNED = ((170, 224, 255), (0, 114, 178), (24, 24, 28), (213, 94, 0), (255, 224, 130))
LIT = (230, 159, 0)
WEAK, STRONG = 0.12, 0.55  # shares of the largest number, from which a weight has one sign, and two


@dataclass(frozen=True)
class Plate:
    """`values` (height, width), NaN where there is a gap, or (height, width, 3) colours from 0 to 1.

    `largest` gets the full colour; `lit` (height, width) marks cells. A `strip` is one cell high and as wide as the room.
    """

    values: Any
    largest: float = 1.0
    kind: str = "map"  # map, weights or input
    lit: Any = None
    strip: bool = False
    whole: bool = False  # never made smaller, where it fits at all

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def height(self) -> int:
        return self.values.shape[0]


def largest(values: Any) -> float:
    """The largest magnitude that is a number, or 1."""
    import numpy as np

    found = np.abs(values[np.isfinite(values)])
    return float(found.max()) if found.size and found.max() > 0 else 1.0


def mosaic(pictures: Sequence[Any], across: int, gap: int = 1) -> Any:
    """Pictures of one size in rows of so many, with gaps of NaN between them."""
    import numpy as np

    height, width = pictures[0].shape
    down = -(-len(pictures) // across)
    found = np.full((down * (height + gap) - gap, across * (width + gap) - gap), np.nan)
    for number, picture in enumerate(pictures):
        y, x = number // across * (height + gap), number % across * (width + gap)
        found[y : y + height, x : x + width] = picture
    return found


def fitted(plate: Plate, room: int, zoom: int = 1) -> Plate:
    """The plate at most `room` cells wide: shrunk to the strongest of each block (an input: to its mean), or enlarged."""
    import numpy as np

    values, lit = plate.values, plate.lit
    if plate.strip:
        edges = np.linspace(0, plate.width, room + 1)
        first = np.minimum(edges[:-1].astype(int), plate.width - 1)
        behind = np.maximum(np.ceil(edges[1:]).astype(int), first + 1)
        pick = [_strongest(values[:, a:b].reshape(1, -1)) for a, b in zip(first, behind, strict=True)]
        found = np.concatenate(pick)[None]
        shown = None
        if lit is not None:
            shown = np.array([lit[:, a:b].any() for a, b in zip(first, behind, strict=True)])[None]
        return replace(plate, values=found, lit=shown)
    if plate.width > room:
        by = -(-plate.width // room)
        rows, columns = range(0, plate.height, by), range(0, plate.width, by)
        blocks = [[values[y : y + by, x : x + by] for x in columns] for y in rows]
        if plate.kind == "input":
            values = np.array([[block.mean(axis=(0, 1)) for block in row] for row in blocks])
        else:
            values = np.array([[_strongest(block.reshape(1, -1))[0] for block in row] for row in blocks])
        if lit is not None:
            lit = np.array([[lit[y : y + by, x : x + by].any() for x in columns] for y in rows])
    elif zoom > 1:
        values = values.repeat(zoom, axis=0).repeat(zoom, axis=1)
        lit = None if lit is None else lit.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return replace(plate, values=values, lit=lit)


def _strongest(blocks: Any) -> Any:
    """The number with the largest magnitude of every row; NaN where there are no numbers."""
    import numpy as np

    at = np.nan_to_num(np.abs(blocks), nan=-1.0).argmax(axis=1)
    return blocks[np.arange(len(blocks)), at]


def colours(plate: Plate) -> tuple[Any, Any]:
    """Pixels (height, width, 3) bytes, and which of them are gaps."""
    import numpy as np

    values = plate.values
    if values.ndim == 3:
        pixels, gaps = np.clip(values, 0, 1) * 255, np.isnan(values).any(axis=2)
    elif plate.kind == "input":
        gaps = np.isnan(values)
        pixels = np.repeat(np.clip(values / plate.largest, 0, 1)[:, :, None] * 255, 3, axis=2)
    else:
        gaps = np.isnan(values)
        share = np.clip(np.nan_to_num(values / plate.largest), -1, 1)
        pixels = np.stack([np.interp(share, STOPS, [stop[c] for stop in SIGNED]) for c in range(3)], axis=2)
    if plate.lit is not None:
        lit = plate.lit[:, :, None]
        if plate.kind == "input":
            pixels = np.where(lit, 0.62 * pixels + 0.38 * np.array(LIT), 0.45 * pixels)
        else:
            grey = pixels.mean(axis=2, keepdims=True)
            pixels = np.where(lit, pixels, 0.45 * grey)
    return np.nan_to_num(pixels).round().astype(np.uint8), gaps


def in_colour(plate: Plate) -> list[Text]:
    """Two cells in every character; a strip has its own line."""
    pixels, gaps = colours(plate)
    if plate.strip:
        pixels, gaps = pixels.repeat(2, axis=0), gaps.repeat(2, axis=0)
    found = []
    for y in range(0, len(pixels), 2):
        text = Text(no_wrap=True)
        for x in range(pixels.shape[1]):
            below = y + 1 < len(pixels) and not gaps[y + 1, x]
            if not gaps[y, x]:
                upper = style(pixels[y, x])
                text.append("▀", f"{upper} on {style(pixels[y + 1, x])}" if below else upper)
            elif below:
                text.append("▄", style(pixels[y + 1, x]))
            else:
                text.append(" ")
        found.append(text)
    return found


def in_characters(plate: Plate) -> list[Text]:
    """Two characters a cell: weights as signs (++ + . - --), the rest as shades; what is not lit has one shade only."""
    import numpy as np

    values = plate.values.mean(axis=2) if plate.values.ndim == 3 else plate.values / plate.largest
    found = []
    signs = plate.kind == "weights" or (plate.kind == "map" and np.nanmin(values) < 0)
    for y, row in enumerate(values):
        words = []
        for x, value in enumerate(row):
            if np.isnan(value):
                word = "| " if signs and x + 1 < len(row) and not np.isnan(row[x + 1]) else "  "
            elif signs:
                sign = "+" if value > 0 else "-"
                word = ". " if abs(value) < WEAK else f"{sign} " if abs(value) < STRONG else 2 * sign
            else:
                shade = RAMP[round(float(np.clip(value, 0, 1)) * (len(RAMP) - 1))]
                if plate.lit is None:
                    word = 2 * shade
                else:
                    word = 2 * (shade if shade != " " else ".") if plate.lit[y, x] else f" {shade}"
            words.append(word)
        found.append(Text("".join(words), no_wrap=True))
    return found
