"""Data sets: what there is, what is in them, what is wrong with them, and what a review found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from wildbench.cli.tables._console import add_row, table_of
from wildbench.datasets.duplicates import KINDS
from wildbench.datasets.image_groups import field_of
from wildbench.datasets.transfer import ImportReport, Lost
from wildbench.text import counted

if TYPE_CHECKING:
    from wildbench.datasets.duplicates import LeakReport
    from wildbench.datasets.findings import Finding
    from wildbench.datasets.registry import DatasetInfo


def datasets_table(infos: Sequence[DatasetInfo]) -> Table:
    """One row per registered data set."""
    headings = ("name", "splits", "categories", "images", "boxes", "what it is")
    table = table_of("data sets", *headings, left=("splits", "what it is"))
    for info in infos:
        counts = ("-" if count is None else str(count) for count in (info.categories, info.images, info.boxes))
        add_row(table, info.name, ", ".join(info.splits), *counts, info.title)
    return table


def summary_tables(summary: dict[str, Any]) -> list[Table]:
    """Two tables of a data set's counts, one column per split: boxes by category and size, images by what they show."""
    splits: dict[str, dict[str, Any]] = summary["splits"]
    name = Path(summary["name"]).name
    columns = ["", *splits, *(["all"] if len(splits) > 1 else [])]
    boxes = table_of(f"{name}: boxes", *columns)
    for group in ("categories", "sizes"):
        _add_counts(boxes, [split[group] for split in splits.values()])
    add_row(boxes, "all boxes", *_with_total([split["boxes"] for split in splits.values()]))
    images = table_of(f"{name}: images", *columns)
    for group in ("time_of_day", "weather"):
        _add_counts(images, [split[group] for split in splits.values()])
    add_row(images, "without boxes", *_with_total([split["empty_images"] for split in splits.values()]))
    add_row(images, "all images", *_with_total([split["images"] for split in splits.values()]))
    add_row(images, "locations", *_with_total([len(split["locations"]) for split in splits.values()]))
    return [boxes, images]


def _add_counts(table: Table, counts: Sequence[dict[str, int]]) -> None:
    for name in dict.fromkeys(name for split in counts for name in split):
        add_row(table, name, *_with_total([split.get(name, 0) for split in counts]))
    table.add_section()


def _with_total(counts: Sequence[int]) -> list[str]:
    return [str(count) for count in (*counts, sum(counts))] if len(counts) > 1 else [str(counts[0])]


def findings_table(findings: Sequence[Finding], examples: int = 3, *, hint: str = "") -> Table:
    """One row per code: how often it was found, the first places, and the remedy; `hint` says where the others are."""
    headings = ("code", "severity", "count", "where, and what", "remedy")
    table = table_of(counted(len(findings), "finding"), *headings, left={*headings} - {"count"})
    table.columns[0].no_wrap = True
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        places = [f"{finding.place}: {finding.message}" for finding in same[:examples]]
        if len(same) > examples:
            places.append(f"and {len(same) - examples} more" + (f"; {hint}" if hint else ""))
        add_row(table, code, same[0].severity, str(len(same)), "\n".join(places), same[0].remedy)
    return table


def counts_table(report: ImportReport) -> Table:
    """Boxes of each category; beside them, where there are any, the counts and the totals that were published."""
    counts, published = report.collection.boxes_by_category(), report.published
    table = table_of(
        f"{report.source}: boxes", "category", "found", *(("published", "difference") if published else ())
    )
    if published is None:
        for name, count in counts.items():
            add_row(table, name, str(count))
        return table
    for name in dict.fromkeys([*published.counts, *counts]):
        count, stated = counts.get(name, 0), published.counts.get(name)
        row = ("-", "-") if stated is None else (str(stated), _signed(count - stated))
        add_row(table, name, str(count), *row)
    table.add_section()
    for where, total in published.totals.items():
        label = f"published categories, by the paper's {where}"
        add_row(table, label, str(report.boxes), str(total), _signed(report.boxes - total))
    return table


def understood_lines(report: ImportReport) -> list[str]:
    """What was understood, in five lines: form, pictures, boxes by category, parts and places, repairs."""
    coco, parts = report.collection.coco, report.collection.parts
    boxed = {annotation["image_id"] for annotation in coco["annotations"]}
    empty = [image for image in coco["images"] if image["id"] not in boxed and "annotated_categories" not in image]
    counts = sorted(report.collection.boxes_by_category().items(), key=lambda one: -one[1])
    named = ", ".join(f"{name} {count}" for name, count in counts[:8]) + (", ..." if len(counts) > 8 else "")
    known = {
        what: len({value for image in coco["images"] if (value := field_of(image, key)) is not None})
        for key, what in (("location", "locations"), ("seq_id", "sequences"))
    }
    places = ", ".join(f"{what} {count or 'not recorded'}" for what, count in known.items())
    divided = ", ".join(f"{part} {len(ids)}" for part, ids in parts.items()) or "none"
    severe = Counter(finding.severity for finding in report.collection.findings)
    codes = Counter(finding.code for finding in report.collection.findings)
    most = ", ".join(f"{code} {count}" for code, count in codes.most_common(5)) + (", ..." if len(codes) > 5 else "")
    repairs = f"{severe['error']} left out, {severe.total() - severe['error']} changed or to be looked at ({most})"
    return [
        f"form: {report.collection.form}",
        f"images: {len(coco['images'])}, of them without boxes {len(empty)}",
        f"boxes: {len(coco['annotations'])}; categories: {len(counts)} ({named})",
        f"parts: {divided}; {places}",
        f"repairs: {repairs if codes else 'none'}",
    ]


def report_lines(report: ImportReport) -> list[str]:
    """What was read differently from what the files say, unused files, and which total holds."""
    collection = report.collection
    lines = [f"boxes in the label files: {collection.read.total()}"] if collection.read else []
    if partial := sum("annotated_categories" in image for image in collection.coco["images"]):
        lines.append(f"images of which only some categories are scored (annotated_categories): {partial}")
    lines += [f"{note}: {count}" for note, count in sorted(collection.notes.items())]
    if report.unused:
        more = ", ..." if len(report.unused) > 3 else ""
        lines.append(f"files not used: {len(report.unused)} ({', '.join(report.unused[:3])}{more})")
    if report.sha256 is not None:
        lines.append(f"SHA-256: {report.sha256}")
    return [*lines, f"holds: {report.holds}"] if report.published else lines


def lost_table(lost: Lost, form: str, out: Path) -> Table:
    """What a form cannot hold, with the number of entries."""
    table = table_of(f"{out}: not in {form} form", "what", "entries")
    for what, count in sorted(lost.items()):
        add_row(table, what, str(count))
    return table


def _signed(difference: int) -> str:
    return f"{difference:+d}" if difference else "0"


def leak_tables(report: LeakReport, examples: int = 10) -> list[Table]:
    """How many pairs there are between which parts, and the strongest of them."""
    counts = Counter((leak.a.part, leak.b.part, leak.pair.kind) for leak in report.leaks)
    table = table_of(f"{len(report.leaks)} pairs of images across parts", "parts", "images", *KINDS)
    for one, other in combinations(report.images, 2):
        numbers = [str(counts[one, other, kind]) for kind in KINDS]
        add_row(table, f"{one} and {other}", f"{report.images[one]} and {report.images[other]}", *numbers)
    if not report.leaks:
        return [table]
    title = f"the strongest {min(examples, len(report.leaks))}"
    strongest = table_of(title, "kind", "score", "image", "image", left=["image"])
    for leak in report.leaks[:examples]:
        one, other = (f"{place.part}: {place.file_name}" for place in (leak.a, leak.b))
        add_row(strongest, leak.pair.kind, f"{leak.pair.score:.2f}", one, other)
    return [table, strongest]


def views_table(views: Mapping[str, int]) -> Table:
    """One row per saved view with the number of its images."""
    table = table_of("saved views", "view", "images")
    for name, images in views.items():
        add_row(table, name, str(images))
    return table


def forgotten_table(dense: str, compressed: str, rows: Sequence[tuple[str, int, int, int, int, int]]) -> Table:
    """One row for each category and size: the counts of `curation.questions.Row`."""
    title = f"what {compressed} forgot of what {dense} finds"
    table = table_of(title, "", "boxes", dense, compressed, "forgotten", "gained", caption="boxes, at IoU 0.5")
    sizes, before = ("small", "medium", "large"), ""
    for part, *counts in rows:
        if part == "all" or (part in sizes and before not in sizes):
            table.add_section()
        add_row(table, part, *map(str, counts))
        before = part
    return table
