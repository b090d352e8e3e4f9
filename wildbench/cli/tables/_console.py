"""Printing, and the cells of every table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from wildbench.scorecard import Figure
from wildbench.text import printable


def print_tables(*tables: Table) -> None:
    """Print tables to stdout, one below the other; never narrower than 100 columns, so that a pipe loses nothing."""
    console = Console()
    if console.width < 100:
        console = Console(width=100)
    for table in tables:
        console.print(_Harmless(table))


@dataclass(frozen=True)
class _Harmless:
    """A table without the characters that steer a terminal, wherever in it they are."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self.table, options):
            yield Segment(printable(text), style, control)


def table_of(title: str, *columns: str, left: Collection[str] = (), caption: str = "") -> Table:
    """A table without rows; the first column, and those named in `left`, hold text, the others numbers."""
    table = Table(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    for place, name in enumerate(columns):
        text = place == 0 or name in left
        table.add_column(Text(name), justify="left" if text else "right", overflow="fold" if text else "ellipsis")
    return table


def add_row(table: Table, *cells: str, end_section: bool = False) -> None:
    """Add a row of plain text, in which brackets are not markup."""
    table.add_row(*map(Text, cells), end_section=end_section)


def scaled(figure: Figure | None, scale: float = 1.0, digits: int = 1) -> str:
    """A figure as it is printed; a dash where it has no value."""
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value * scale:,.{digits}f}"


def ends_of(figure: Figure, form: str, scale: float = 100, digits: int = 0) -> str:
    """Both ends of an interval, where there is one, in percent unless another scale is given."""
    return form.format(*(f"{scale * end:.{digits}f}" for end in figure.interval)) if figure.interval else ""
