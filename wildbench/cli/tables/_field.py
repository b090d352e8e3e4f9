"""What a ranger sees: the empty filter, animals by their size in the picture, counts, and slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, ends_of, scaled, table_of

if TYPE_CHECKING:
    from wildbench.scorecard import EmptyFilter, FieldFigures, Figure, Scorecard, Slicing

SHOWN = ("0.1", "0.2", "0.3", "0.5", "0.7")
"""Thresholds that the terminal has room for."""

_SAYS = {
    "given": "as given",
    "manifest": "as its manifest states",
    "val": "where F1 is best on these images of val",
}


def seen_tables(card: Scorecard) -> list[Table]:
    """What a ranger sees; none for a record made before there were such figures."""
    if card.field is None:
        return []
    tables = [_filter_table(card.field.empty_filter), _sizes_table(card.field)]
    if card.field.counts.error.value is not None:
        tables.append(_counts_table(card.field))
    return [*tables, *(_slices_table(name, one) for name, one in card.field.slices.items())]


def _filter_table(screen: EmptyFilter) -> Table:
    headings = ("from score", "animals kept, %", "false alarms per 1,000", "empties removed, %")
    caption = f"{screen.with_animals} images with an animal, {screen.empty} empty ones"
    if screen.hard_negatives:
        caption += f", of which {screen.hard_negatives} may hold another animal: hard negatives, not true empties"
    table = table_of("as an empty filter", "", *headings, caption=caption)
    points = {f"keep {float(name):.0%}": point for name, point in screen.at_recall.items()}
    points |= {f"score {name}": screen.at_threshold[name] for name in SHOWN if name in screen.at_threshold}
    for name, point in points.items():
        cells = scaled(point.threshold, digits=2), _share(point.recall), _ends(point.false_alarms, 1)
        add_row(table, name, *cells, _share(point.empties_removed), end_section=name == f"keep {0.99:.0%}")
    return table


def _share(figure: Figure) -> str:
    return _ends(figure, 100)


def _ends(figure: Figure, scale: float, digits: int = 0) -> str:
    return scaled(figure, scale, digits) + ends_of(figure, " [{}, {}]", scale)


def _sizes_table(seen: FieldFigures) -> Table:
    from wildbench.measures.field import SHARES, SIDES  # loads a compiler

    caption = f"boxes found at IoU 0.5 by a detection from score {seen.recall_threshold:.2f} on"
    if seen.operating_point.threshold.value is None:
        caption += ", which keeps 95 % of the images with an animal: no threshold is stated"
    table = table_of("found, by size", "size", "boxes", "found, %", caption=caption)
    sizes = ("% of picture", SHARES, seen.recall_by_share), ("px side", SIDES, seen.recall_by_side)
    for unit, names, by_size in sizes:
        for name in names:
            figure = by_size[name]
            add_row(table, f"{name} {unit}", f"{figure.n:,}", _share(figure), end_section=name == ">10")
    return table


def _counts_table(seen: FieldFigures) -> Table:
    source = _SAYS.get(seen.operating_point.source or "", "")
    caption = f"from score {scaled(seen.operating_point.threshold, digits=2)} on, {source}"
    headings = ("counted", "mean error", "bias", "exact, %")
    table = table_of("counts", "", *headings, caption=caption)
    rows = {"by image": seen.counts} | ({"by sequence": seen.by_sequence} if seen.by_sequence else {})
    for name, counts in rows.items():
        cells = (
            f"{one.value:.2f}{_span(one)}" if one.value is not None else "-" for one in (counts.error, counts.bias)
        )
        add_row(table, name, f"{counts.exact.n:,}", *cells, _share(counts.exact))
    if seen.by_sequence:
        found, false = seen.by_sequence.events_found, seen.by_sequence.false_events
        events = f"events found {_share(found)} % of {found.n}; false events per 1,000 {_ends(false, 1)} of {false.n}"
        table.caption = Text(f"{caption}\n{events}")
    return table


def _span(figure: Figure) -> str:
    return " [{:.2f}, {:.2f}]".format(*figure.interval) if figure.interval else ""


def _slices_table(field: str, slicing: Slicing) -> Table:
    headings = ("images", "AP50, %", "animals kept, %", "false alarms per 1,000", "p")
    table = table_of(f"by {field}", field, *headings)
    for name, one in sorted(slicing.slices.items(), key=lambda entry: _order(entry[1].ap50)):
        p_value = "-" if one.p_value is None else f"{one.p_value:.2g}"
        add_row(
            table, name, f"{one.images:,}", _share(one.ap50), _share(one.recall), _ends(one.false_alarms, 1), p_value
        )
    notes = [f"from score {slicing.threshold:.2f} on; {slicing.drawn} are drawn", slicing.verdict]
    if slicing.left_out:
        notes.append(f"{slicing.left_out:,} images say nothing of it, or are in slices beyond the largest")
    if slicing.drawn == "images within locations":
        notes.append("intervals hold for the images of these places, not for other places")
    table.caption = Text("\n".join([*notes, *_cautions({name: one.ap50 for name, one in slicing.slices.items()})]))
    return table


def _order(figure: Figure) -> float:
    return 2.0 if figure.value is None else figure.value


def _cautions(figures: Mapping[str, Figure]) -> list[str]:
    return list(dict.fromkeys(figure.caution for figure in figures.values() if figure.caution))
