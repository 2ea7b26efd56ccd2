"""Colours that stay apart for colour-blind eyes and on dark and light screens (Okabe and Ito, Color Universal Design)."""

from collections.abc import Sequence

COLOURS = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 158, 115),  # green
    (204, 121, 167),  # purple
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
    (150, 150, 150),  # grey
    (240, 228, 66),  # yellow, last because it fades on white
)
ON_WHITE = (*(COLOURS[n] for n in (5, 4, 2, 3, 1, 0)), (0, 0, 0))  # the darkest first, without what white swallows
RIGHT, WRONG = "#009e73", "#d55e00"  # green and vermilion: apart for eyes that see no red or no green

MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def colour(number: int) -> tuple[int, int, int]:
    """Colour of class or series `number`; they repeat after eight."""
    return COLOURS[number % len(COLOURS)]


def mark(number: int) -> str:
    """Letter of class `number`, where there is no colour; they repeat after twenty-six."""
    return MARKS[number % len(MARKS)]


def letters(number: int) -> str:
    """Letters of row `number` of a table: A to Z, then AA, AB and so on."""
    return (letters(number // len(MARKS) - 1) if number >= len(MARKS) else "") + MARKS[number % len(MARKS)]


def style(rgb: Sequence[int]) -> str:
    """Red, green and blue from 0 to 255 as Rich writes them."""
    return f"#{rgb[0]:02x}{rgb[1]:02x}{rgb[2]:02x}"
