"""Scorecards side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row, scaled
from wildbench.scorecard import Errors, Figure, Scorecard


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


_KINDS = {
    "cls": "wrong category",
    "loc": "badly placed",
    "both": "wrong category and badly placed",
    "dup": "second detection of one box",
    "bkg": "on background",
    "miss": "box that nothing comes near",
}


def errors_tables(card: Scorecard) -> list[Table]:
    """Kinds of error with what each costs, then the calibration of the scores; none where the card does not tell."""
    if card.errors is None:
        return []
    return [_kinds_table(card.errors, card.accuracy.mean_iou50), _calibration_table(card.errors)]


def _kinds_table(errors: Errors, overlap: Figure | None) -> Table:
    images = errors.images
    caption = (
        f"IoU {errors.iou:g}; what AP50 would gain if these errors alone were mended\n"
        f"at score {scaled(images.threshold, digits=3)} and above: mean F1 {scaled(images.mean_f1, digits=3)}, "
        f"{scaled(images.without_error, digits=0)} of {images.without_error.n} images without error"
    )
    if overlap is not None and overlap.value is not None:
        ends = f" [{overlap.interval[0]:.3f}, {overlap.interval[1]:.3f}]" if overlap.interval else ""
        caption += f"\nand mean IoU of the {overlap.n:,} matches {scaled(overlap, digits=3)}{ends}"
    if errors.unfound:
        caption += f"\nnot one box is found of: {', '.join(errors.unfound)}"
    table = Table(title="errors by TIDE", title_justify="left", caption=Text(caption), caption_justify="left")
    table.add_column("kind")
    table.add_column("errors", justify="right")
    table.add_column("AP50 points", justify="right")
    for key, error in errors.tide.items():
        add_row(table, _KINDS[key], f"{error.count:,}", scaled(error.gain, 100), end_section=key == "miss")
    add_row(table, "all wrong detections", "", scaled(errors.false_positives, 100))
    add_row(table, "all missed boxes", "", scaled(errors.false_negatives, 100))
    return table


def _calibration_table(errors: Errors) -> Table:
    """A row a bin of score that has detections."""
    calibration = errors.calibration
    caption = (
        f"expected calibration error {scaled(calibration.ece, digits=3)}, largest {scaled(calibration.mce, digits=3)}"
    )
    table = Table(title="calibration", title_justify="left", caption=Text(caption), caption_justify="left")
    for name in ("score", "detections", "mean score", "precision"):
        table.add_column(name, justify="right")
    for part in calibration.bins:
        if part.score is not None and part.precision is not None:
            shown = (f"{part.low:.1f}-{part.high:.1f}", f"{part.detections:,}", f"{part.score:.3f}")
            add_row(table, *shown, f"{part.precision:.3f}")
    return table
