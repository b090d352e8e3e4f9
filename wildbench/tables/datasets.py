"""Data sets: what there is, what is in it, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from wildbench.tables.console import add_row
from wildbench.text import counted

if TYPE_CHECKING:
    from wildbench.datasets.findings import Finding
    from wildbench.datasets.registry import DatasetInfo


def datasets_table(infos: Sequence[DatasetInfo]) -> Table:
    """One row a registered data set."""
    table = Table(title="data sets", title_justify="left")
    for name in ("name", "splits", "categories", "images", "boxes", "what it is"):
        table.add_column(name, justify="right" if name in ("categories", "images", "boxes") else "left")
    for info in infos:
        add_row(
            table,
            info.name,
            ", ".join(info.splits),
            *("-" if count is None else str(count) for count in (info.categories, info.images, info.boxes)),
            info.description,
        )
    return table


def summary_tables(summary: dict[str, Any]) -> list[Table]:
    """Two tables of a data set's counts, a column a split: boxes by category and size, images by what they show."""
    splits: dict[str, dict[str, Any]] = summary["splits"]
    name = Path(summary["name"]).name
    boxes = _counts_table(f"{name}: boxes", splits)
    for group in ("categories", "sizes"):
        _add_counts(boxes, [split[group] for split in splits.values()])
    add_row(boxes, "all boxes", *_with_total([split["boxes"] for split in splits.values()]))
    images = _counts_table(f"{name}: images", splits)
    for group in ("time_of_day", "weather"):
        _add_counts(images, [split[group] for split in splits.values()])
    add_row(images, "without boxes", *_with_total([split["empty_images"] for split in splits.values()]))
    add_row(images, "all images", *_with_total([split["images"] for split in splits.values()]))
    add_row(images, "locations", *_with_total([len(split["locations"]) for split in splits.values()]))
    return [boxes, images]


def _counts_table(title: str, splits: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("")
    for name in (*splits, "all") if len(splits) > 1 else splits:
        table.add_column(Text(name), justify="right")
    return table


def _add_counts(table: Table, counts: Sequence[dict[str, int]]) -> None:
    """A row a name, and a line below them."""
    names = dict.fromkeys(name for split in counts for name in split)
    for name in names:
        add_row(
            table, name, *_with_total([split.get(name, 0) for split in counts]), end_section=name == list(names)[-1]
        )


def _with_total(counts: Sequence[int]) -> list[str]:
    return [str(count) for count in (*counts, sum(counts))] if len(counts) > 1 else [str(counts[0])]


def findings_table(findings: Sequence[Finding], examples: int = 3, *, hint: str = "") -> Table:
    """One row a code: how often it was found, the first places, and the remedy; `hint` says where the others are."""
    table = Table(title=Text(counted(len(findings), "finding")), title_justify="left")
    table.add_column("code", no_wrap=True)
    table.add_column("severity")
    table.add_column("count", justify="right")
    table.add_column("where, and what", overflow="fold")
    table.add_column("remedy", overflow="fold")
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        places = [f"{finding.place}: {finding.message}" for finding in same[:examples]]
        if len(same) > examples:
            places.append(f"and {len(same) - examples} more" + (f"; {hint}" if hint else ""))
        add_row(table, code, same[0].severity, str(len(same)), "\n".join(places), same[0].remedy)
    return table
