"""Splits and leaks on the terminal."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from rich.table import Table

from wildbench.datasets.duplicates import KINDS
from wildbench.tables.console import add_row

if TYPE_CHECKING:
    from wildbench.datasets.leaks import LeakReport


def leak_tables(report: LeakReport, examples: int = 10) -> list[Table]:
    """A table of how many pairs there are between which parts, and one of the strongest."""
    counts = Counter((leak.a.part, leak.b.part, leak.pair.kind) for leak in report.leaks)
    table = Table(title=f"{len(report.leaks)} pairs of images across parts", title_justify="left")
    for name in ("parts", "images", *KINDS):
        table.add_column(name, justify="left" if name == "parts" else "right")
    for one, other in combinations(report.images, 2):
        numbers = [str(counts[one, other, kind]) for kind in KINDS]
        add_row(table, f"{one} and {other}", f"{report.images[one]} and {report.images[other]}", *numbers)
    if not report.leaks:
        return [table]
    strongest = Table(title=f"the strongest {min(examples, len(report.leaks))}", title_justify="left")
    for name in ("kind", "score", "image", "image"):
        strongest.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    for leak in report.leaks[:examples]:
        one, other = (f"{place.part}: {place.file_name}" for place in (leak.a, leak.b))
        add_row(strongest, leak.pair.kind, f"{leak.pair.score:.2f}", one, other)
    return [table, strongest]
