"""Tables for a terminal: each function turns plain data into one `rich` table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wildbench.scorecard import Figure, Scorecard

if TYPE_CHECKING:
    from wildbench.datasets.findings import Finding
    from wildbench.datasets.registry import DatasetInfo
    from wildbench.submissions.inspection import Inspection


def print_tables(*tables: Table) -> None:
    """Print tables to stdout, one below the other; never narrower than 100 columns, so that a pipe loses nothing."""
    console = Console()
    if console.width < 100:
        console = Console(width=100)
    for table in tables:
        console.print(table)


def _add_row(table: Table, *cells: str, end_section: bool = False) -> None:
    """Add a row of plain text: brackets in a name or a message are no markup."""
    table.add_row(*map(Text, cells), end_section=end_section)


def _scaled(figure: Figure | None, scale: float = 1.0, digits: int = 1) -> str:
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value * scale:,.{digits}f}"


def scorecards_table(cards: Sequence[Scorecard]) -> Table:
    """One row a scorecard: the four measures side by side.

    AP columns are in percent, as papers print them; the record itself keeps 0..1.
    """
    first = cards[0].dataset
    split = f" {first.split}" if first.split else ""
    title = f"{first.name}{split}: {first.boxes} boxes in {first.images} images"
    table = Table(
        title=Text(title), title_justify="left", caption="AP in %; latency end to end, batch 1", caption_justify="left"
    )
    table.add_column("submission")
    for name in ("AP", "AP50", "AP75", "small", "medium", "large", "MB", "GMAC", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for card in cards:
        accuracy, size, compute, latency = card.accuracy, card.size, card.compute, card.latency
        shown = (accuracy.ap, accuracy.ap50, accuracy.ap75, accuracy.ap_small, accuracy.ap_medium, accuracy.ap_large)
        _add_row(
            table,
            card.submission.name,
            *(_scaled(figure, 100) for figure in shown),
            _scaled(size.file_bytes if size else None, 1e-6, 2),
            _scaled(compute.macs if compute else None, 1e-9, 3),
            _scaled(latency.p50 if latency else None),
            _scaled(latency.p99 if latency else None),
        )
    return table


def category_table(cards: Sequence[Scorecard]) -> Table:
    """One row a category: AP50 of each scorecard beside the number of boxes it is over."""
    table = Table(title="AP50 by category, in %", title_justify="left")
    table.add_column("category")
    table.add_column("boxes", justify="right")
    for card in cards:
        table.add_column(Text(card.submission.name), justify="right")
    for name in cards[0].accuracy.per_category:
        figures = [card.accuracy.per_category[name].ap50 for card in cards]
        boxes = next((str(figure.n) for figure in figures if figure.n is not None), "-")
        _add_row(table, name, boxes, *(_scaled(figure, 100) for figure in figures))
    return table


def datasets_table(infos: Sequence[DatasetInfo]) -> Table:
    """One row a registered data set."""
    table = Table(title="data sets", title_justify="left")
    for name in ("name", "splits", "categories", "images", "boxes", "what it is"):
        table.add_column(name, justify="right" if name in ("categories", "images", "boxes") else "left")
    for info in infos:
        _add_row(
            table,
            info.name,
            ", ".join(info.splits),
            str(info.categories),
            str(info.images),
            str(info.boxes),
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
    _add_row(boxes, "all boxes", *_with_total([split["boxes"] for split in splits.values()]))
    images = _counts_table(f"{name}: images", splits)
    for group in ("time_of_day", "weather"):
        _add_counts(images, [split[group] for split in splits.values()])
    _add_row(images, "without boxes", *_with_total([split["empty_images"] for split in splits.values()]))
    _add_row(images, "all images", *_with_total([split["images"] for split in splits.values()]))
    _add_row(images, "locations", *_with_total([len(split["locations"]) for split in splits.values()]))
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
        _add_row(
            table, name, *_with_total([split.get(name, 0) for split in counts]), end_section=name == list(names)[-1]
        )


def _with_total(counts: Sequence[int]) -> list[str]:
    return [str(count) for count in (*counts, sum(counts))] if len(counts) > 1 else [str(counts[0])]


def findings_table(findings: Sequence[Finding], examples: int = 3) -> Table:
    """One row a code: how often it was found, the first places, and the remedy."""
    table = Table(title=Text(f"{len(findings)} findings"), title_justify="left")
    table.add_column("code", no_wrap=True)
    table.add_column("severity")
    table.add_column("count", justify="right")
    table.add_column("where, and what")
    table.add_column("remedy")
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        places = [f"{finding.place}: {finding.message}" for finding in same[:examples]]
        if len(same) > examples:
            places.append(f"and {len(same) - examples} more")
        _add_row(table, code, same[0].severity, str(len(same)), "\n".join(places), same[0].remedy)
    return table


def inspection_tables(inspection: Inspection, most: int = 12) -> list[Table]:
    """Three tables: the manifest, bytes by part, and the largest tensors."""
    manifest = Table(title=Text(f"{inspection.path.name} ({inspection.kind})"), title_justify="left", show_header=False)
    for key, value in inspection.manifest.model_dump(mode="json", exclude_defaults=True).items():
        _add_row(manifest, key, ", ".join(value) if key in ("categories", "authors") else str(value))
    parts = Table(title="bytes by part", title_justify="left", show_footer=True)
    parts.add_column("part", "the file")
    parts.add_column("bytes", f"{inspection.file_bytes:,}", justify="right")
    parts.add_column("share", "100.0 %", justify="right")
    for name, size in inspection.bytes_by_part.items():
        _add_row(parts, name, f"{size:,}", f"{100 * size / inspection.file_bytes:.1f} %")
    if inspection.tensors is None:
        parts.caption = Text(f"tensors not listed: {inspection.reason}")
        return [manifest, parts]
    return [manifest, parts, _tensor_table(inspection, most)]


def _tensor_table(inspection: Inspection, most: int) -> Table:
    """The tensors that take most bytes, and in the footer all of them."""
    tensors = sorted(inspection.tensors or [], key=lambda tensor: (-tensor.bytes, tensor.name))
    nonzero = [tensor.nonzero for tensor in tensors if tensor.nonzero is not None]
    table = Table(title=Text(f"the largest of {len(tensors)} tensors"), title_justify="left", show_footer=True)
    table.add_column("tensor", "all tensors")
    table.add_column("shape")
    table.add_column("type")
    table.add_column("codec")
    table.add_column("elements", f"{sum(tensor.elements for tensor in tensors):,}", justify="right")
    table.add_column("non-zero", f"{sum(nonzero):,}" if len(nonzero) == len(tensors) else "-", justify="right")
    table.add_column("bytes", f"{sum(tensor.bytes for tensor in tensors):,}", justify="right")
    for tensor in tensors[:most]:
        shape = " x ".join(map(str, tensor.shape)) or "scalar"
        count = "-" if tensor.nonzero is None else f"{tensor.nonzero:,}"
        _add_row(
            table, tensor.name, shape, tensor.dtype, tensor.codec, f"{tensor.elements:,}", count, f"{tensor.bytes:,}"
        )
    return table
