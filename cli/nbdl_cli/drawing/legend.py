"""What the colours and marks of a picture stand for."""

from collections.abc import Sequence

from rich.text import Text

GAP = "   "


def legend(entries: Sequence[Text], indent: int, width: int) -> list[Text]:
    """The entries in lines of at most `width` columns, broken between entries; a longer one is folded by Rich."""
    lines = []
    line = Text()
    for entry in entries:
        if line and indent + line.cell_len + len(GAP) + entry.cell_len > width:
            lines.append(line)
            line = Text()
        line.append_text(Text.assemble(GAP if line else " " * indent, entry))
    return [*lines, line] if line else lines
