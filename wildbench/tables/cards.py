"""Scorecards side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from wildbench.scorecard import Figure, Scorecard
from wildbench.tables.console import add_row, scaled


def scorecards_table(cards: Sequence[Scorecard]) -> Table:
    """One row a scorecard: the four measures side by side, AP with its interval below it.

    AP columns are in percent, as papers print them; the record itself keeps 0..1.
    """
    first = cards[0].dataset
    split = f" {first.split}" if first.split else ""
    title = f"{first.name}{split}: {first.boxes} boxes in {first.images} images"
    table = Table(title=Text(title), title_justify="left", caption_justify="left")
    table.add_column("submission")
    for name in ("AP", "AP50", "AP75", "small", "medium", "large", "MB", "GMAC", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    shown: list[Figure] = []
    for card in cards:
        accuracy, size, compute, latency = card.accuracy, card.size, card.compute, card.latency
        own = (accuracy.ap, accuracy.ap50, accuracy.ap75, accuracy.ap_small, accuracy.ap_medium, accuracy.ap_large)
        shown += own
        add_row(
            table,
            card.submission.name,
            *(scaled(figure, 100) + _ends(figure, "\n{}–{}") for figure in own),
            scaled(size.file_bytes if size else None, 1e-6, 2),
            scaled(compute.macs if compute else None, 1e-9, 3),
            scaled(latency.p50 if latency else None),
            scaled(latency.p99 if latency else None, digits=0),
        )
    below = ", below it its 95 % interval" if any(figure.interval for figure in shown) else ""
    cautions = dict.fromkeys(figure.caution for figure in shown if figure.caution)
    table.caption = Text("\n".join([f"AP in %{below}; latency end to end, batch 1", *cautions]))
    return table


def category_table(cards: Sequence[Scorecard]) -> Table:
    """One row a category: AP50 of each scorecard, with its interval, beside the number of boxes it is over."""
    table = Table(title="AP50 by category, in %", title_justify="left", caption_justify="left")
    table.add_column("category")
    table.add_column("boxes", justify="right")
    for card in cards:
        table.add_column(Text(card.submission.name), justify="right")
    cautions: dict[str, list[str]] = {}
    for name in cards[0].accuracy.per_category:
        figures = [card.accuracy.per_category[name].ap50 for card in cards]
        boxes = next((str(figure.n) for figure in figures if figure.n is not None), "-")
        add_row(table, name, boxes, *(scaled(figure, 100) + _ends(figure, " [{}, {}]") for figure in figures))
        for caution in dict.fromkeys(figure.caution for figure in figures if figure.caution):
            cautions.setdefault(caution, []).append(name)
    table.caption = Text("\n".join(f"{caution} ({', '.join(names)})" for caution, names in cautions.items()))
    return table


def _ends(figure: Figure, form: str) -> str:
    """Both ends of an interval in percent; nothing where there is none."""
    return form.format(*(f"{100 * end:.0f}" for end in figure.interval)) if figure.interval else ""
