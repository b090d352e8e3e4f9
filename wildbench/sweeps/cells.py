"""Figures of a sweep as they are printed, on a terminal and in RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wildbench.scorecard import Figure
from wildbench.sweeps.record import Change, Measures, Place, PointRecord, Spread, spread

HEADINGS = (
    *("", "MB", "times smaller", "non-zeros", "GMAC", "latency"),
    *("mean IoU", "AP50", "AP50 less dense", "AP less dense"),
)
"""Of `point_cells` and `dense_cells`."""

NARROW = ("", "MB", "times smaller", "GMAC", "latency", "AP50", "AP50 less dense")
"""Those of the headings that fit a terminal."""

LEGEND = (
    "AP in %, differences in points, in brackets 95 % intervals; latency over that of the reference network; MB of the "
    "file as it is: what was compressed is also entropy-coded without loss, which is part of its ratio; a latency, an "
    "IoU, an AP or a difference without brackets was measured too little for an interval"
)


def point_cells(point: PointRecord) -> tuple[str, ...]:
    """One point as a row."""
    against = (change(point.overall[name]) for name in ("ap50", "ap"))
    return (label(point), *_costs(point, f"{point.ratio:.2f}"), *_found(point), *against)


def narrow(cells: Sequence[str]) -> tuple[str, ...]:
    """Those cells of a row that fit a terminal; intervals below their values."""
    return tuple(cell.replace(" [", "\n[") for heading, cell in zip(HEADINGS, cells, strict=True) if heading in NARROW)


def label(point: PointRecord) -> str:
    """What tells a point from the others, in words: "unstructured, ratio 0.4, seed 0, of reference"."""
    settings = [f"{key} {value}" for key, value in point.settings.items()]
    graph = [] if point.format == "pt" else [point.format]
    return ", ".join([point.recipe, *settings, *graph, f"seed {point.seed}", f"of {point.dense}"])


def dense_cells(dense: Measures) -> tuple[str, ...]:
    """A dense parent as a row."""
    return (dense.name, *_costs(dense, "1"), *_found(dense), "-", "-")


def _found(one: Measures) -> tuple[str, ...]:
    return number(one.mean_iou50, 1, 3), percent(one.ap50)


def _costs(one: Measures, ratio: str) -> tuple[str, ...]:
    return (
        f"{one.file_bytes / 1e6:.2f}",
        ratio,
        _share(one.nonzero, one.parameters),
        "-" if one.macs.value is None else f"{one.macs.value / 1e9:.3f}",
        number(one.latency_ratio, 1, 2),
    )


def _share(part: Figure, whole: Figure) -> str:
    if part.value is None or not whole.value:
        return "-"
    return f"{100 * part.value / whole.value:.1f} %"


def percent(figure: Figure | None) -> str:
    """A figure between 0 and 1 in percent, with its interval."""
    return number(figure, 100, 1)


def number(figure: Figure | None, scale: float, digits: int) -> str:
    """A figure with its interval; a dash where it has no value."""
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value * scale:.{digits}f}{ends(figure.interval, scale, digits)}"


def change(one: Change, digits: int = 1) -> str:
    """A paired difference in points, with its interval; a dash where it is undefined."""
    if one.difference is None:
        return "-"
    return points_text(one.difference, digits) + ends(one.interval, 100, digits, "+")


def place_change(place: Place) -> str:
    """Difference in AP50: one point's with its interval, or the mean and range of several."""
    if len(place) == 1:
        return change(place[0].overall["ap50"])
    mean = spread([point.overall["ap50"].difference for point in place])
    return f"{spread_text(mean, 100, 1, '+')}, n = {len(place)}"


def points_text(value: float, digits: int = 1) -> str:
    """A difference in points of AP, with its sign.

    Example:
        >>> points_text(-0.0432), points_text(0.0), points_text(-0.0001)
        ('-4.3', '0.0', '-0.0')
    """
    return f"{100 * value:+.{digits}f}" if value else "0.0"


def ends(interval: tuple[float, float] | None, scale: float, digits: int, sign: str = "") -> str:
    """Both ends of an interval in brackets; nothing where there is none."""
    return "" if interval is None else f" [{', '.join(f'{end * scale:{sign}.{digits}f}' for end in interval)}]"


def spread_text(one: Spread | None, scale: float, digits: int, sign: str = "") -> str:
    """A mean and the range around it, or the one value; a dash where it is undefined."""
    if one is None:
        return "-"
    mean, low, high = (f"{value * scale:{sign}.{digits}f}" for value in (one.mean, one.low, one.high))
    return mean if one.low == one.high else f"{mean} ({low} to {high})"


def joined(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    Example:
        >>> joined(["lion"]), joined(["lion", "zebra", "bird"])
        ('lion', 'lion, zebra and bird')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers.

    Example:
        >>> print(table(["recipe", "AP50"], [["int8", "61.0"]]))
        | recipe | AP50 |
        | --- | ---: |
        | int8 | 61.0 |
    """
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(_row(cells) for cells in [headings, rule, *rows])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")
