"""Data sets: what there is, what is in them, what is wrong with them, and what a review found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row
from wildbench.datasets.duplicates import KINDS
from wildbench.datasets.formats import ImportReport, Lost
from wildbench.text import counted

if TYPE_CHECKING:
    from wildbench.datasets.duplicates import LeakReport
    from wildbench.datasets.label_checks import Finding
    from wildbench.datasets.summary import DatasetInfo


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
            info.title,
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


def counts_table(report: ImportReport) -> Table:
    """Boxes of each category; beside them, where there are any, the counts and the totals that were published."""
    table = Table(title=Text(f"{report.source}: boxes"), title_justify="left")
    counts, published = report.collection.boxes_by_category(), report.published
    for name in ("category", "found", "published", "difference") if published else ("category", "found"):
        table.add_column(name, justify="left" if name == "category" else "right")
    if published is None:
        for name, count in counts.items():
            add_row(table, name, str(count))
        return table
    names = list(dict.fromkeys([*published.counts, *counts]))
    for name in names:
        count, stated = counts.get(name, 0), published.counts.get(name)
        row = ("-", "-") if stated is None else (str(stated), _signed(count - stated))
        add_row(table, name, str(count), *row, end_section=name == names[-1])
    for where, total in published.totals.items():
        label = f"published categories, by the paper's {where}"
        add_row(table, label, str(report.boxes), str(total), _signed(report.boxes - total))
    return table


def report_lines(report: ImportReport) -> list[str]:
    """Images, parts, what was read in another way than it stands, files that are not used, and which total holds."""
    coco, parts = report.collection.coco, report.collection.parts
    boxed = {annotation["image_id"] for annotation in coco["annotations"]}
    partial = [image for image in coco["images"] if "annotated_categories" in image]
    empty = [image for image in coco["images"] if image["id"] not in boxed and image not in partial]
    lines = [
        f"form: {report.collection.form}",
        f"images: {len(coco['images'])}, of them without boxes {len(empty)}",
    ]
    if partial:
        lines.append(f"images of which only some categories are scored (annotated_categories): {len(partial)}")
    lines.append(f"boxes: {len(coco['annotations'])}, in the label files {report.collection.read.total()}")
    if parts:
        lines.append("parts: " + ", ".join(f"{part} {len(ids)}" for part, ids in parts.items()))
    lines += [f"{note}: {count}" for note, count in sorted(report.collection.notes.items())]
    if report.unused:
        lines.append(f"files not used: {len(report.unused)} ({_first(report.unused)})")
    if report.sha256 is not None:
        lines.append(f"SHA-256: {report.sha256}")
    return [*lines, f"holds: {report.holds}"] if report.published else lines


def lost_table(lost: Lost, form: str, out: Path) -> Table:
    """What a form cannot hold, with the number of entries."""
    table = Table(title=Text(f"{out}: not in {form} form"), title_justify="left")
    table.add_column("what")
    table.add_column("entries", justify="right")
    for what, count in sorted(lost.items()):
        add_row(table, what, str(count))
    return table


def _signed(difference: int) -> str:
    return f"{difference:+d}" if difference else "0"


def _first(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


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
