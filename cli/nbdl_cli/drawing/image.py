"""Images in half blocks: two pixels in every character, the upper as its colour, the lower as its background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nbdl_cli.console import colourful
from nbdl_cli.drawing.palette import style

RAMP = " .:-=+*#%@"
SMALL = 16  # without colour an image up to this wide gets two columns a pixel, so that it is square


def _pixels(array: Any) -> Any:
    """Any image as (height, width, 3) bytes."""
    import numpy as np

    pixels = np.asarray(array)
    if pixels.dtype != np.uint8:
        pixels = (np.clip(np.nan_to_num(pixels.astype(float)), 0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]


def _shrunk(pixels: Any, factor: int) -> Any:
    """Every square of `factor` x `factor` pixels as its mean; squares at the right and lower edge may be smaller."""
    import numpy as np

    height, width, _ = pixels.shape
    if factor <= 1 or not pixels.size:
        return pixels
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(float), rows, axis=0), columns, axis=1)
    counts = np.minimum(factor, height - rows)[:, None] * np.minimum(factor, width - columns)
    return (sums / counts[:, :, None]).round().astype(np.uint8)


def _in_colour(pixels: Any) -> list[Text]:
    height, width, _ = pixels.shape
    found = []
    for y in range(0, height, 2):
        text = Text(no_wrap=True)
        for x in range(width):
            top = style(pixels[y, x])
            text.append("▀", f"{top} on {style(pixels[y + 1, x])}" if y + 1 < height else top)
        found.append(text)
    return found


def _in_characters(pixels: Any, width: int) -> list[Text]:
    """Shades of characters, which are twice as high as wide."""
    grey = pixels.mean(axis=2) / 255
    small = pixels.shape[1] <= min(SMALL, width // 2)
    found = []
    for y in range(0, len(grey), 1 if small else 2):
        row = grey[y] if small else grey[y : y + 2].max(axis=0)
        shades = "".join(RAMP[round(value * (len(RAMP) - 1))] * (2 if small else 1) for value in row)
        found.append(Text(shades, no_wrap=True))
    return found


def _fitting(array: Any, console: Console, width: int) -> list[Text]:
    """The image line by line, shrunk to at most `width` columns."""
    pixels = _pixels(array)
    pixels = _shrunk(pixels, -(-pixels.shape[1] // max(width, 1)))
    return _in_colour(pixels) if colourful(console) else _in_characters(pixels, width)


@dataclass(frozen=True)
class Image:
    """One image, (height, width) grey or (height, width, 3), of bytes or of numbers from 0 to 1."""

    array: Any

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _fitting(self.array, console, options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        lines = _fitting(self.array, console, options.max_width)
        width = max((line.cell_len for line in lines), default=1)
        return Measurement(width, width)


@dataclass(frozen=True)
class ImageRow:
    """Images side by side with a caption below each, in as many rows as the width asks for.

    Large ones are shrunk where fewer than `across` would fit beside each other, as long as they stay readable.
    """

    images: Sequence[Any]
    captions: Sequence[str]
    gap: int = 2
    across: int = 4

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not len(self.images):
            return
        room = options.max_width - 1
        readable = 12 if colourful(console) else 28
        most = min(room, max(readable, (room + self.gap) // self.across - self.gap))
        drawn = [_fitting(image, console, most) for image in self.images]
        width = max(*(line.cell_len for image in drawn for line in image), *map(cell_len, self.captions), 1)
        width = min(width, room)
        across = max(1, (room + self.gap) // (width + self.gap))
        for first in range(0, len(drawn), across):
            group = drawn[first : first + across]
            for number in range(max(map(len, group))):
                text = Text(" ", no_wrap=True)
                for image in group:
                    line = image[number].copy() if number < len(image) else Text()
                    line.pad_right(width + self.gap - line.cell_len)
                    text.append_text(line)
                text.rstrip()
                yield text
            captions = self.captions[first : first + across]
            if across == 1:
                yield Text(f" {captions[0]}")  # may be longer than the image; Rich folds it
            else:
                yield Text(" " + "".join(set_cell_size(caption, width + self.gap) for caption in captions).rstrip())
