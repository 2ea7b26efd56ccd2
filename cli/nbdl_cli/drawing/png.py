"""PNG pictures from bytes of red, green and blue, and letters of pixels to write into them.

Source: Portable Network Graphics Specification, W3C 2003.
"""

import struct
import zlib
from typing import Any

# Five rows of pixels, drawn for this file; small letters are written as capitals.
_GLYPHS = {
    "A": ".#. #.# ### #.# #.#", "B": "##. #.# ##. #.# ##.", "C": ".## #.. #.. #.. .##", "D": "##. #.# #.# #.# ##.",
    "E": "### #.. ##. #.. ###", "F": "### #.. ##. #.. #..", "G": ".## #.. #.# #.# .##", "H": "#.# #.# ### #.# #.#",
    "I": "# # # # #", "J": "..# ..# ..# #.# .#.", "K": "#.# #.# ##. #.# #.#", "L": "#.. #.. #.. #.. ###",
    "M": "#...# ##.## #.#.# #...# #...#", "N": "#..# ##.# #.## #..# #..#", "O": ".#. #.# #.# #.# .#.",
    "P": "##. #.# ##. #.. #..", "Q": ".##. #..# #..# #.#. .#.#", "R": "##. #.# ##. #.# #.#", "S": ".## #.. .#. ..# ##.",
    "T": "### .#. .#. .#. .#.", "U": "#.# #.# #.# #.# .##", "V": "#.# #.# #.# #.# .#.",
    "W": "#...# #...# #.#.# ##.## #...#", "X": "#.# #.# .#. #.# #.#", "Y": "#.# #.# .#. .#. .#.", "Z": "### ..# .#. #.. ###",
    "0": "### #.# #.# #.# ###", "1": ".# ## .# .# .#", "2": "##. ..# .#. #.. ###", "3": "##. ..# .#. ..# ##.",
    "4": "#.# #.# ### ..# ..#", "5": "### #.. ##. ..# ##.", "6": ".## #.. ### #.# ###", "7": "### ..# .#. .#. .#.",
    "8": "### #.# ### #.# ###", "9": "### #.# ### ..# ##.", ".": ". . . . #", ",": ".. .. .. .# #.", ":": ". # . # .",
    ";": ".. .# .. .# #.", "-": "... ... ### ... ...", "–": "... ... ### ... ...", "_": "... ... ... ... ###",
    "+": "... .#. ### .#. ...", "×": "... #.# .#. #.# ...", "/": "..# ..# .#. #.. #..", "%": "#.# ..# .#. #.. #.#",
    "(": ".# #. #. #. .#", ")": "#. .# .# .# #.", "=": "... ### ... ### ...", "'": "# # . . .", "?": "##. ..# .#. ... .#.",
    "!": "# # # . #", "|": "# # # # #", " ": ".. .. .. .. ..",
}  # fmt: skip
LETTERS = {letter: rows.split() for letter, rows in _GLYPHS.items()}
UNKNOWN = ["###"] * 5
LETTER_HEIGHT = 5


def png(pixels: Any) -> bytes:
    """The file, from (height, width, 3) bytes."""
    import numpy as np

    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # every row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits of three colours
    body = zlib.compress(rows.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_width(words: str, scale: int) -> int:
    """Pixels that a line of letters takes."""
    return sum((len(LETTERS.get(letter, UNKNOWN)[0]) + 1) * scale for letter in words.upper())


def write(pixels: Any, x: int, y: int, words: str, colour: tuple[int, int, int], scale: int) -> None:
    """Put letters into the picture, their upper left corner at (x, y); what goes over the edge is lost."""
    for letter in words.upper():
        rows = LETTERS.get(letter, UNKNOWN)
        for down, row in enumerate(rows):
            for across, dot in enumerate(row):
                if dot == "#":
                    left, top = x + across * scale, y + down * scale
                    pixels[top : top + scale, left : left + scale] = colour
        x += (len(rows[0]) + 1) * scale
