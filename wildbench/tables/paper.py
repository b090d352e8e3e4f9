"""Tables of papers beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from wildbench.tables.console import add_row


def paper_table(
    title: str, headings: Sequence[str], sections: Sequence[Sequence[Sequence[str]]], notes: Sequence[str]
) -> Table:
    """Rows of cells in sections, a line between two; the notes stand below, a paragraph each."""
    table = Table(title=Text(title), title_justify="left", caption=Text("\n".join(notes)), caption_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=number > 0)
    for section in sections:
        for number, row in enumerate(section, start=1):
            add_row(table, *row, end_section=number == len(section))
    return table
