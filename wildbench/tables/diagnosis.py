"""Why the accuracy of a scorecard is what it is."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from wildbench.scorecard import Errors, Figure, Scorecard
from wildbench.tables.console import add_row, scaled

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
