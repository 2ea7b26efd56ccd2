"""A surface with paths over it as SVG: shades, lines of equal height, and the ways down."""

import base64
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbdl_cli.drawing.contour import LEVELS, Surface, Track
from nbdl_cli.drawing.palette import style
from nbdl_cli.drawing.svg import FAINT, LETTER, MARGIN, Axis, Page, colour, cross, dot, path, px, ring, text

LOWEST, HIGHEST = (255, 255, 255), (150, 168, 196)  # white to a blue grey
CONTOUR = "#7d8ba3"
PIXELS = 240  # across and down, of the shades: a browser stretches them
SERIES = (1, 0, 6)  # colours of the tracks: vermilion, blue and black


@dataclass(frozen=True)
class SurfaceChart:
    """The picture of `surface_map.SurfaceMap`, for browsers."""

    surface: Surface
    tracks: Sequence[Track]
    title: str
    description: str
    width: int = 720
    height: int = 560

    def svg(self) -> str:
        page = Page(self.title, self.description, self.width, self.height, list(self._entries()))
        left, right, bottom, top = self.surface.extent
        floor, key = self.height - MARGIN - 42, 74
        y = Axis(bottom, top, floor, page.head, label=self.surface.y_label)
        x = Axis(left, right, MARGIN + 20 + LETTER * 6 + 9, self.width - MARGIN - key, label=self.surface.x_label)
        wide, tall = x.last - x.first, y.first - y.last
        # A nested picture cuts off what leaves it.
        inside = f'<svg x="{px(x.first)}" y="{px(y.last)}" width="{px(wide)}" height="{px(tall)}" viewBox='
        frame = f'{inside}"{px(x.first)} {px(y.last)} {px(wide)} {px(tall)}" overflow="hidden">'
        ground = (
            f'<image x="{px(x.first)}" y="{px(y.last)}" width="{px(wide)}" height="{px(tall)}" '
            f'preserveAspectRatio="none" href="data:image/png;base64,{base64.b64encode(self._shades()).decode()}"/>'
        )
        drawing = [frame, ground, *self._lines(x, y), *self._ways(x, y), "</svg>"]
        return page.draw([*drawing, *page.axes(x, y, grid=False), *self._key(x.last + 14, y)])

    def _entries(self) -> Iterator[tuple[str, str]]:
        yield ring(13, 0, 6), "start"
        for track in self.tracks:
            number = SERIES[track.series]
            sign = "".join(path([(0, 0), (20, 0)], number)) + (cross if track.diverged else _end)(20, 0, number)
            yield sign, track.name + (" (diverged)" if track.diverged else "")

    def _shades(self) -> bytes:
        """A PNG with a palette: one byte a pixel."""
        import numpy as np

        shades = (self.surface.shades(PIXELS, PIXELS) * 255).round().astype(np.uint8)
        colours = bytes(part for n in range(256) for part in _mix(n / 255))
        rows = b"".join(b"\0" + row.tobytes() for row in shades)

        def chunk(kind: bytes, content: bytes) -> bytes:
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

        header = struct.pack(">IIBBBBB", PIXELS, PIXELS, 8, 3, 0, 0, 0)
        parts = [chunk(b"IHDR", header), chunk(b"PLTE", colours), chunk(b"IDAT", zlib.compress(rows, 9))]
        return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])

    def _lines(self, x: Axis, y: Axis) -> Iterator[str]:
        for level in self.surface.levels():
            way = "".join(
                f"M{px(_at(x, a))} {px(_at(y, b))}L{px(_at(x, c))} {px(_at(y, d))}"
                for (a, b), (c, d) in self.surface.line(level)
            )
            if way:
                yield f'<path d="{way}" fill="none" stroke="{CONTOUR}" stroke-width="0.8"><title>cost {level:.3g}</title></path>'

    def _ways(self, x: Axis, y: Axis) -> Iterator[str]:
        far = 4 * (x.last - x.first)
        for track in self.tracks:
            number = SERIES[track.series]
            spots = [(_near(_at(x, a), far), _near(_at(y, b), far)) for a, b in track.places]
            thin = 2 if len(spots) < 200 else 1
            yield f"<g><title>{track.name}</title>"
            for line in path(spots, number, stroke_linejoin="round"):
                yield line.replace('stroke-width="2"', f'stroke-width="{thin}"')
            if len(spots) < 60:
                yield from (dot(*spot, number, 2.2) for spot in spots)
            yield "</g>"
        for track in reversed(self.tracks):
            spots = [(_near(_at(x, a), far), _near(_at(y, b), far)) for a, b in track.places]
            yield (cross if track.diverged else _end)(*spots[-1], SERIES[track.series])
        for track in self.tracks[:1]:
            yield ring(_at(x, track.places[0][0]), _at(y, track.places[0][1]), 6)

    def _key(self, left: float, y: Axis) -> Iterator[str]:
        """Which shade is which cost."""
        height = (y.first - y.last - 24) / LEVELS
        low, span = self.surface.low, self.surface.high - self.surface.low
        yield text(left, y.last + 10, "cost", fill=FAINT)
        for k in range(LEVELS):
            top = y.first - (k + 1) * height
            shade = style(_mix((k + 0.5) / LEVELS))
            yield (
                f'<rect x="{px(left)}" y="{px(top)}" width="12" height="{px(height)}" fill="{shade}" '
                f'stroke="{CONTOUR}" stroke-width="0.5"/>'
            )
        for k in range(0, LEVELS + 1, 3):
            yield text(left + 17, y.first - k * height + 4, _cost(low + (k / LEVELS) ** 2 * span), fill=FAINT)


def _mix(share: float) -> list[int]:
    return [round(a + share * (b - a)) for a, b in zip(LOWEST, HIGHEST, strict=True)]


def _cost(value: float) -> str:
    """What fits in the little room beside the key."""
    return f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}".replace("e-0", "e-")


def _at(axis: Axis, value: float) -> float:
    found = axis(value)
    assert found is not None
    return found


def _near(value: float, far: float) -> float:
    """A length that a browser can hold, however far a diverged path went."""
    return max(-far, min(far, value))


def _end(x: float, y: float, number: int) -> str:
    return f'<circle cx="{px(x)}" cy="{px(y)}" r="5" fill="{colour(number)}" stroke="#ffffff" stroke-width="1.5"/>'
