"""Images in half blocks: two pixels in every character, the upper as its colour, the lower as its background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nbdl_cli.console import unicode_ok

RAMP = " .:-=+*#%@"


def colourful(console: Console) -> bool:
    """Whether half blocks in colour can be drawn there."""
    return console.color_system not in (None, "standard", "windows") and not console.no_color and unicode_ok(console)


def _pixels(array: Any) -> Any:
    """Any image as (height, width, 3) bytes."""
    import numpy as np

    pixels = np.asarray(array)
    if pixels.dtype != np.uint8:
        pixels = (np.clip(np.nan_to_num(pixels.astype(float)), 0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]


def lines(array: Any, console: Console) -> list[Text]:
    """The image line by line; without colours as shades of characters, two columns a pixel so that it is square."""
    pixels = _pixels(array)
    height, width, _ = pixels.shape
    found = []
    if colourful(console):
        for y in range(0, height, 2):
            text = Text(no_wrap=True)
            for x in range(width):
                top = "#{:02x}{:02x}{:02x}".format(*pixels[y, x])
                if y + 1 < height:
                    bottom = "#{:02x}{:02x}{:02x}".format(*pixels[y + 1, x])
                    text.append("▀", f"{top} on {bottom}")
                else:
                    text.append("▀", top)
            found.append(text)
        return found
    grey = pixels.mean(axis=2) / 255
    step = 1 if width <= 16 else 2  # large images at half size: a character is a pixel
    for y in range(0, height, 1 if step == 1 else 2):
        row = grey[y] if step == 1 else grey[y : y + 2].max(axis=0)
        shades = "".join(RAMP[round(value * (len(RAMP) - 1))] * (2 if step == 1 else 1) for value in row)
        found.append(Text(shades, no_wrap=True))
    return found


@dataclass(frozen=True)
class Image:
    """One image, (height, width) grey or (height, width, 3), of bytes or of numbers from 0 to 1."""

    array: Any

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from lines(self.array, console)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = max((line.cell_len for line in lines(self.array, console)), default=1)
        return Measurement(width, width)


@dataclass(frozen=True)
class ImageRow:
    """Images side by side with a caption below each, in as many rows as the width asks for."""

    images: Sequence[Any]
    captions: Sequence[str]
    gap: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = [lines(image, console) for image in self.images]
        if not drawn:
            return
        width = max(*(line.cell_len for image in drawn for line in image), *map(len, self.captions), 1)
        across = max(1, (options.max_width - 1 + self.gap) // (width + self.gap))
        for first in range(0, len(drawn), across):
            group = drawn[first : first + across]
            for number in range(max(map(len, group))):
                text = Text(" ", no_wrap=True)
                for image in group:
                    line = image[number].copy() if number < len(image) else Text()
                    line.pad_right(width + self.gap - line.cell_len)
                    text.append_text(line)
                yield text
            captions = self.captions[first : first + across]
            yield Text(" " + "".join(f"{caption:<{width + self.gap}}" for caption in captions).rstrip(), no_wrap=True)
