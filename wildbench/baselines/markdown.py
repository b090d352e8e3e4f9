"""Tables of a Markdown document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers.

    Example:
        >>> print(table(["recipe", "AP50"], [["int8", "61.0"]]))
        | recipe | AP50 |
        | --- | ---: |
        | int8 | 61.0 |
    """
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(_row(cells) for cells in [headings, rule, *rows])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")
