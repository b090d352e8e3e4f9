"""Figures of a sweep as tables print them."""

from __future__ import annotations

from wildbench.measures import Measure, all_measures
from wildbench.scorecard import Figure
from wildbench.sweeps.record import Change, Measured, PointRecord, Summary

LEGEND = (
    "differences from the dense detector in points of AP, in brackets 95 % intervals; latency over that of the "
    "reference network; the size of the file as it is: what was compressed is also entropy-coded without loss, which "
    "is part of its ratio; a figure without brackets was measured too little for an interval"
)


def shown() -> list[Measure]:
    """The measures that are columns of a sweep's table."""
    return [measure for measure in all_measures() if measure.headline]


def headings() -> list[str]:
    """The first row of the table."""
    return ["", "times smaller", *map(titled, shown()), "AP50 less dense"]


def titled(measure: Measure) -> str:
    """A measure's title with its unit, unless it is a ratio: "file size in MB"."""
    unit = measure.shown_unit or measure.unit
    return measure.title if unit in ("1", "x") else f"{measure.title} in {unit}"


def rows(summary: Summary) -> list[list[str]]:
    """The other rows: dense parents, then points; intervals stand below their values."""
    dense = [[one.name, "1", *_figures(one), "-"] for one in summary.dense]
    points = [[label(one), f"{one.ratio:.2f}", *_figures(one), change(one.overall["ap50"])] for one in summary.points]
    return [[cell.replace(" [", "\n[") for cell in row] for row in dense + points]


def label(point: PointRecord) -> str:
    """What distinguishes a point, in words: "unstructured, ratio 0.4, seed 0, of reference"."""
    settings = [f"{key} {value}" for key, value in point.settings.items()]
    graph = [] if point.format == "pt" else [point.format]
    return ", ".join([point.recipe, *settings, *graph, f"seed {point.seed}", f"of {point.dense}"])


def _figures(one: Measured) -> list[str]:
    return [number(one.figures.get(measure.key), measure.scale, measure.digits) for measure in shown()]


def number(figure: Figure | None, scale: float, digits: int) -> str:
    """A figure with its interval; a dash where it has no value."""
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value * scale:.{digits}f}{_ends(figure.interval, scale, digits)}"


def change(one: Change, digits: int = 1) -> str:
    """A paired difference in points, with its interval; a dash where it is undefined."""
    if one.difference is None:
        return "-"
    difference = f"{100 * one.difference:+.{digits}f}" if one.difference else "0.0"
    return difference + _ends(one.interval, 100, digits, "+")


def _ends(interval: tuple[float, float] | None, scale: float, digits: int, sign: str = "") -> str:
    return "" if interval is None else f" [{', '.join(f'{end * scale:{sign}.{digits}f}' for end in interval)}]"
