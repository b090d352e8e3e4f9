"""What a review found: its views, and what compression forgot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row

_SECTIONS_END_BEFORE = ("small", "medium", "large", "all")


def views_table(views: Mapping[str, int]) -> Table:
    """One row a saved view with the number of its images."""
    table = Table(title="saved views", title_justify="left")
    table.add_column("view")
    table.add_column("images", justify="right")
    for name, images in views.items():
        add_row(table, name, str(images))
    return table


def forgotten_table(dense: str, compressed: str, rows: Sequence[tuple[str, int, int, int, int, int]]) -> Table:
    """One row a category and one a size.

    Args:
        dense: Name of the dense detector.
        compressed: Name of the one made from it.
        rows: Category, size or "all"; boxes; those that the dense one finds, the compressed one finds, that only the
            first finds, that only the second finds.
    """
    title = f"what {compressed} forgot of what {dense} finds"
    table = Table(title=Text(title), title_justify="left", caption="boxes, at IoU 0.5", caption_justify="left")
    table.add_column("")
    for name in ("boxes", dense, compressed, "forgotten", "gained"):
        table.add_column(Text(name), justify="right")
    following = [row[0] for row in rows[1:]] + [""]
    for (part, *counts), after in zip(rows, following, strict=True):
        ends = after == "all" or (after in _SECTIONS_END_BEFORE and part not in _SECTIONS_END_BEFORE)
        add_row(table, part, *map(str, counts), end_section=ends)
    return table
