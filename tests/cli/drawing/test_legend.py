"""Legends break between entries."""

from rich.text import Text

from nbdl_cli.drawing.legend import legend


def test_an_entry_is_never_torn():
    entries = [Text(f"* mini-batch {n}") for n in range(6)]
    lines = legend(entries, indent=4, width=40)
    assert all(line.cell_len <= 40 for line in lines)
    assert [line.plain.strip().split("   ") for line in lines] == [
        ["* mini-batch 0", "* mini-batch 1"],
        ["* mini-batch 2", "* mini-batch 3"],
        ["* mini-batch 4", "* mini-batch 5"],
    ]
    assert legend([], indent=4, width=40) == []
