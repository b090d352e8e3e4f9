"""The table and the picture of a sweep: AP and AP50 against every cost, each point with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wildbench.files import write_atomically
from wildbench.measures import Measure, all_measures
from wildbench.pictures import VEGA_LITE, svg
from wildbench.scorecard import Figure
from wildbench.sweeps.record import PAIRED, Change, Measured, PointRecord, Summary, series_of

DENSE = "dense"
SIDE = 260
"""Of a panel, in pixels."""

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


def write_charts(summary: Summary, stem: Path) -> None:
    """Write `STEM.svg` and `STEM.png`, atomically."""
    import vl_convert

    spec = chart(summary)
    write_atomically(stem.with_name(f"{stem.name}.svg"), svg(spec))
    png = vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=2)
    write_atomically(stem.with_name(f"{stem.name}.png"), png)


def chart(summary: Summary) -> dict[str, Any]:
    """The sweep's panels in Vega-Lite: one row for AP and one for AP50, one column per cost; dense are diamonds.

    A cost is a measure with `limits`.
    """
    costs = [measure for measure in shown() if measure.limits and _differs(summary, measure.key)]
    figures = [measure for measure in all_measures() if measure.key in PAIRED]
    rows = [_row(one, DENSE, one.name, costs + figures) for one in summary.dense]
    for point in summary.points:
        rows.append(_row(point, series_of(point), f"{point.dense} {point.seed}", costs + figures))
    data = summary.dataset
    where = f"{data.name} {data.split or ''}".strip()
    colours = "tableau20" if len({row["series"] for row in rows}) > 10 else "tableau10"
    subtitle = f"{where}: {data.boxes} boxes in {data.images} images; bars are 95 % intervals"
    panels = [
        {"hconcat": [_panel(cost, figure, any(row[f"{cost.key}_low"] for row in rows)) for cost in costs]}
        for figure in figures
    ]
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
        "title": {"text": summary.summary, "subtitle": subtitle, "anchor": "start"},
        "background": "white",
        "data": {"values": rows},
        "vconcat": panels,
        "config": {
            "legend": {"orient": "bottom", "columns": 4, "labelLimit": 300, "symbolOpacity": 1},
            "range": {"category": {"scheme": colours}},
        },
    }


def _differs(summary: Summary, key: str) -> bool:
    """Whether a cost differs by more than 1 %: otherwise the points of its panel would coincide."""
    values = [value for one in (*summary.dense, *summary.points) if (value := one.value(key)) is not None]
    return bool(values) and max(values) > 1.01 * min(values)


def _row(one: Measured, series: str, line: str, measures: list[Measure]) -> dict[str, Any]:
    row: dict[str, Any] = {"series": series, "line": f"{series} {line}", "name": one.name}
    for measure in measures:
        figure = one.figures.get(measure.key)
        ends = (figure.interval if figure else None) or (None, None)
        for suffix, value in zip(("", "_low", "_high"), (one.value(measure.key), *ends), strict=True):
            row[measure.key + suffix] = None if value is None else float(f"{value * measure.scale:.6g}")
    return row


def _panel(cost: Measure, figure: Measure, uncertain: bool) -> dict[str, Any]:
    x = {
        "field": cost.key,
        "type": "quantitative",
        "title": titled(cost),
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"format": ".3~g", "tickCount": 4},
    }
    y = {"field": figure.key, "type": "quantitative", "title": titled(figure), "scale": {"zero": False}}
    colour = {"field": "series", "type": "nominal", "title": None}
    is_dense = {"test": f"datum.series === '{DENSE}'"}
    shape = {"condition": is_dense | {"value": "diamond"}, "value": "circle"}
    size = {"condition": is_dense | {"value": 120}, "value": 40}
    bar = {"mark": {"type": "rule", "opacity": 0.35}}
    ends = {"x": x, "y": y | {"field": f"{figure.key}_low"}, "y2": {"field": f"{figure.key}_high"}}
    if uncertain:  # a noisy cost would make a scribble of the line
        x_ends = {"x": x | {"field": f"{cost.key}_low"}, "x2": {"field": f"{cost.key}_high"}, "y": y}
        second = bar | {"encoding": x_ends}
    else:
        line = {"x": x, "y": y, "detail": {"field": "line"}, "order": {"field": cost.key}}
        second = {"mark": {"type": "line", "opacity": 0.5}, "encoding": line}
    mark = {"type": "point", "filled": True, "opacity": 1}
    points = {"mark": mark, "encoding": {"x": x, "y": y, "shape": shape, "size": size}}
    layers = [bar | {"encoding": ends}, second, points]
    return {"width": SIDE, "height": SIDE, "encoding": {"color": colour}, "layer": layers}
