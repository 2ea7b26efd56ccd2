"""Charts as SVG text: they open in any browser and stand in any HTML page, without scripts, fonts or ids of their own.

Lengths are in pixels. Every chart has a light ground, a title and a description for those who cannot see it, and colours
of palette.py that also differ in their dashes.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from nbdl_cli.drawing.axis import labels, linear_ticks, log_ticks
from nbdl_cli.drawing.palette import ON_WHITE, style
from nbdl_cli.drawing.plot import Series

INK, FAINT, GRID, GROUND = "#222222", "#595959", "#e4e4e4", "#ffffff"
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # after as many series as there are colours the next pattern begins
SIZE = 13  # of the letters
LETTER = 0.55 * SIZE  # a guess at the width of one, that is rather too large
LINE = 18
MARGIN = 14
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def colour(number: int) -> str:
    """Colour of series `number` on a white ground."""
    return style(ON_WHITE[number % len(ON_WHITE)])


def dash(number: int) -> str:
    """Dashes of series `number`, as the attribute of a line."""
    pattern = DASHES[number // len(ON_WHITE) % len(DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def px(value: float) -> str:
    """A length with one decimal place at most: more cannot be seen."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, anchor: str = "start", **attributes: Any) -> str:
    """A line of text that stands on y."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{px(x)}" y="{px(y)}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def note(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Letters that stay readable over lines: a white rim lies below them."""
    rim = text(x, y, words, anchor, font_weight=600, stroke=GROUND, stroke_width=4, stroke_linejoin="round")
    return rim + text(x, y, words, anchor, font_weight=600)


def path(points: Iterable[tuple[float, float] | None], number: int, **attributes: Any) -> Iterator[str]:
    """A line through the points in the colour of series `number`; None is a gap, a lone point a dot."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    for piece in pieces(points):
        if len(piece) == 1:
            yield dot(*piece[0], number)
        else:
            way = "L".join(f"{px(x)} {px(y)}" for x, y in piece)
            yield f'<path d="M{way}" fill="none" stroke="{colour(number)}" stroke-width="2"{dash(number)}{more}/>'


def pieces(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The points between the gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def dot(x: float, y: float, number: int, radius: float = 2.5) -> str:
    return f'<circle cx="{px(x)}" cy="{px(y)}" r="{px(radius)}" fill="{colour(number)}"/>'


def cross(x: float, y: float, number: int, arm: float = 5) -> str:
    """A cross on white, so that it is seen where lines meet."""
    a, b, c, d = px(x - arm), px(x + arm), px(y - arm), px(y + arm)
    way = f'd="M{a} {c}L{b} {d}M{a} {d}L{b} {c}" fill="none" stroke-linecap="round"'
    return f'<path {way} stroke="#ffffff" stroke-width="6"/><path {way} stroke="{colour(number)}" stroke-width="2.5"/>'


def ring(x: float, y: float, number: int) -> str:
    return (
        f'<circle cx="{px(x)}" cy="{px(y)}" r="6" fill="#ffffff" fill-opacity="0.6" stroke="{colour(number)}" '
        'stroke-width="2.5"/>'
    )


@dataclass(frozen=True)
class Axis:
    """Numbers from `low` to `high` (their logarithms, where `log`) on the pixels from `first` to `last`."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False
    label: str = ""

    @classmethod
    def over(
        cls, values: Iterable[float], first: float, last: float, log: bool, label: str, pad: float = 0.0
    ) -> "Axis":
        """The axis that holds all the values that can be drawn on it, and a share `pad` of room beside them."""
        found = [math.log10(v) if log else float(v) for v in values if drawable(v, log)]
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        if high - low < 1e-12 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        room = pad * (high - low)
        return cls(low - room, high + room, first, last, log, label)

    def __call__(self, value: float | None) -> float | None:
        """The pixel of a value; None where there is none."""
        if not drawable(value, self.log):
            return None
        assert value is not None
        share = ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self, most: int, whole: bool = False) -> list[tuple[float, str]]:
        """Pixels of round numbers, and what is written there."""
        if self.log:
            values = log_ticks(self.low, self.high, most)
            written = [labels([10**value])[0] for value in values]
        else:
            values = linear_ticks(self.low, self.high, most, whole)
            written = labels(values)
        span = (self.last - self.first) / (self.high - self.low)
        return [(self.first + (v - self.low) * span, name) for v, name in zip(values, written, strict=True)]


def drawable(value: Any, log: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not log)


def spots(xs: Any, ys: Any, x_axis: Axis, y_axis: Axis) -> list[tuple[float, float] | None]:
    """Pixels of the points; None where one of the two numbers is missing."""
    found: list[tuple[float, float] | None] = []
    for x, y in zip(xs, ys, strict=True):
        at, up = x_axis(x), y_axis(y)
        found.append(None if at is None or up is None else (at, up))
    return found


@dataclass(frozen=True)
class Page:
    """What every chart has around it: the ground, title, subtitle, legend, and a frame of axes with the picture inside."""

    title: str
    description: str
    width: int
    height: int
    entries: Sequence[tuple[str, str]] = ()  # of the legend: the sign as SVG around (0, 0), and its name

    @property
    def head(self) -> float:
        """Where the frame begins."""
        return MARGIN + LINE * (len(self._title()) + len(self._legend())) + 14

    def _title(self) -> list[str]:
        return wrap(self.title, int((self.width - 2 * MARGIN) / (1.2 * LETTER)))

    def _legend(self) -> list[list[tuple[float, str, str]]]:
        """The entries in lines that fit the width: (x, sign, name)."""
        lines: list[list[tuple[float, str, str]]] = []
        x = math.inf
        for sign, name in self.entries:
            room = 34 + LETTER * len(name) + 16
            if x + room - 16 > self.width - MARGIN:
                lines.append([])
                x = MARGIN
            lines[-1].append((x, sign, name))
            x += room
        return lines

    def draw(self, body: Iterable[str]) -> str:
        """The whole picture."""
        attributes = (
            f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" aria-label={quoteattr(self.title)} font-family="{FONT}" '
            f'font-size="{SIZE}" fill="{INK}"'
        )
        rows = [
            f"<svg {attributes}>",
            f"<title>{escape(self.title)}</title>",
            f"<desc>{escape(self.description)}</desc>",
        ]
        rows.append(f'<rect width="{self.width}" height="{self.height}" fill="{GROUND}"/>')
        for number, words in enumerate(self._title()):
            rows.append(text(MARGIN, MARGIN + LINE * number + 13, words, font_size=SIZE + 2, font_weight=600))
        for number, line in enumerate(self._legend(), len(self._title())):
            y = MARGIN + LINE * number + 15
            for x, sign, name in line:
                rows += [f'<g transform="translate({px(x)} {px(y - 4)})">{sign}</g>', text(x + 34, y, name)]
        return "\n".join([*rows, *body, "</svg>\n"])

    def axes(self, x: Axis, y: Axis, whole: bool = False, grid: bool = True) -> Iterator[str]:
        """Lines behind the picture, and the numbers around it; `whole` when x counts things."""
        left, right, bottom, top = x.first, x.last, y.first, y.last
        wide = LETTER * (5 if x.log else 8) + 14
        free = -math.inf
        for at, name in x.ticks(max(2, int((right - left) / wide)), whole):
            if grid:
                yield f'<path d="M{px(at)} {px(top)}V{px(bottom)}" stroke="{GRID}"/>'
            half = LETTER * len(name) / 2
            if at - half > free:
                yield text(at, bottom + 17, name, "middle", fill=FAINT)
                free = at + half + 4
        for at, name in y.ticks(max(2, int((bottom - top) / 36))):
            if grid:
                yield f'<path d="M{px(left)} {px(at)}H{px(right)}" stroke="{GRID}"/>'
            yield text(left - 7, at + 4, name, "end", fill=FAINT)
        yield f'<path d="M{px(left)} {px(top)}V{px(bottom)}H{px(right)}" fill="none" stroke="{FAINT}"/>'
        if x.label:
            yield text((left + right) / 2, bottom + 36, x.label, "middle")
        if y.label:
            turn = f"rotate(-90 {px(MARGIN + 4)} {px((top + bottom) / 2)})"
            yield text(MARGIN + 4, (top + bottom) / 2, y.label, "middle", transform=turn)


@dataclass(frozen=True)
class Mark:
    """A place to point at: a `cross` (a run that diverged), a `ring`, or a `line` down to the axis; no y is the top edge."""

    x: float
    y: float | None = None
    words: str = ""
    shape: str = "cross"
    series: int = 0


@dataclass(frozen=True)
class LineChart:
    """Curves over one x axis, with bands, marks and a legend; the same `Series` as the plots of the terminal."""

    series: Sequence[Series]
    title: str
    description: str = ""
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    marks: Sequence[Mark] = ()
    width: int = 720
    height: int = 420

    def svg(self) -> str:
        several = len(self.series) > 1
        page = Page(self.title, self._describe(), self.width, self.height, list(self._entries()) if several else ())
        ys = [y for s in self.series for line in (s.y, *(s.band or ())) for y in line]
        ys += [mark.y for mark in self.marks if mark.y is not None]
        xs = [x for s in self.series for x in s.x] + [mark.x for mark in self.marks]
        bottom = self.height - MARGIN - (42 if self.x_label else 22)
        y = Axis.over(ys, bottom, page.head, self.log_y, self.y_label, pad=0.04)
        widest = max((len(name) for _, name in y.ticks(max(2, int((bottom - page.head) / 36)))), default=1)
        left = MARGIN + (20 if self.y_label else 0) + LETTER * widest + 9
        x = Axis.over(xs, left, self.width - MARGIN - 6, self.log_x, self.x_label, pad=0.01)
        whole = not self.log_x and all(v is not None and float(v).is_integer() for v in xs)
        if not any(drawable(v, self.log_x) for v in xs) or not any(drawable(v, self.log_y) for v in ys):
            return page.draw([text(self.width / 2, self.height / 2, "nothing to draw yet", "middle", fill=FAINT)])
        return page.draw([*page.axes(x, y, whole), *self._bands(x, y), *self._curves(x, y), *self._marks(x, y)])

    def _describe(self) -> str:
        if self.description:
            return self.description
        names = ", ".join(s.name + (f" ({s.ending})" if s.diverged else "") for s in self.series)
        return f"{self.y_label or 'values'} against {self.x_label or 'x'}: {names}."

    def _entries(self) -> Iterator[tuple[str, str]]:
        for number, one in enumerate(self.series):
            sign = dot(13, 0, number, 3.5) if one.dots else "".join(path([(0, 0), (26, 0)], number))
            yield sign, one.name + (f" ({one.ending})" if one.diverged else "")

    def _bands(self, x: Axis, y: Axis) -> Iterator[str]:
        for number, one in enumerate(self.series):
            if one.band is None:
                continue
            low, high = (spots(one.x, edge, x, y) for edge in one.band)
            below = pieces(a if b else None for a, b in zip(low, high, strict=True))
            above = pieces(b if a else None for a, b in zip(low, high, strict=True))
            for lower, upper in zip(below, above, strict=True):
                way = "L".join(f"{px(a)} {px(b)}" for a, b in [*lower, *reversed(upper)])
                yield f'<path d="M{way}Z" fill="{colour(number)}" fill-opacity="0.16"/>'

    def _curves(self, x: Axis, y: Axis) -> Iterator[str]:
        for number, one in enumerate(self.series):
            curve = spots(one.x, one.y, x, y)
            yield f"<g><title>{escape(one.name)}</title>"
            if one.dots:
                yield from (dot(*spot, number) for spot in curve if spot)
            else:
                yield from path(curve, number, stroke_linejoin="round")
            ends = [spot for spot in curve if spot]
            if one.diverged and ends:
                yield cross(*ends[-1], number)
            yield "</g>"

    def _marks(self, x: Axis, y: Axis) -> Iterator[str]:
        for mark in self.marks:
            at, up = x(mark.x), y.last + 8 if mark.y is None else y(mark.y)
            if at is None or up is None:
                continue
            if mark.shape == "line":
                yield f'<path d="M{px(at)} {px(y.last)}V{px(y.first)}" stroke="{INK}" stroke-dasharray="4 3"/>'
                up = y.last + 8
            else:
                yield (cross if mark.shape == "cross" else ring)(at, up, mark.series)
            if mark.words:
                left = at + 10 + LETTER * len(mark.words) > x.last
                yield note(at + (-10 if left else 10), up + 4, mark.words, "end" if left else "start")
