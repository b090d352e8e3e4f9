"""What an import found, beside what the paper says; and what an export could not hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from wildbench.categories import PAPER_COUNTS
from wildbench.datasets.exporting import Lost
from wildbench.datasets.importing import PUBLISHED, ImportReport
from wildbench.tables.console import add_row
from wildbench.text import counted


def counts_table(report: ImportReport) -> Table:
    """Boxes of each category, found and as the paper's table gives them; then the two published totals."""
    table = Table(title=Text(f"{report.source}: boxes"), title_justify="left")
    for name in ("category", "found", "published", "difference"):
        table.add_column(name, justify="left" if name == "category" else "right")
    counts = report.collection.boxes_by_category()
    names = [*PAPER_COUNTS, *(name for name in counts if name not in PAPER_COUNTS)]
    for name in names:
        found, published = counts.get(name, 0), PAPER_COUNTS.get(name)
        row = ("-", "-") if published is None else (str(published), _signed(found - published))
        add_row(table, name, str(found), *row, end_section=name == names[-1])
    for where, total in PUBLISHED.items():
        label = f"the thirteen, by the paper's {where}"
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
    return [*lines, f"holds: {report.holds}"]


def parks_doubt(report: ImportReport) -> str | None:
    """Why nothing says that what was handed over as `parks` is the authors' data set; None where its counts do."""
    totals = " or ".join(map(str, sorted(PUBLISHED.values())))
    if not report.published:
        unlike = f"not the published set by its counts: {counted(report.boxes, 'box')}, where the paper has {totals}"
        return f"{unlike}; it is parks here, and its hash is not trusted"
    return None if report.sha256 else "a folder has no hash, so nothing shows later that it is still the same"


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
