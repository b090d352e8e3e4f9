"""The picture of a sweep: AP and AP50 against bytes, MACs and latency, each point with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert

from wildbench.files import write_atomically
from wildbench.scorecard import Figure
from wildbench.sweeps.record import Measures, Summary, series_of

COSTS = {"bytes": "bytes of the file", "macs": "MACs an image", "latency": "latency, over the reference network's"}
FIGURES = {"ap": "AP in %", "ap50": "AP50 in %"}
DENSE = "dense"
VEGA_LITE = "6.4"
"""The Vega-Lite that charts are written for."""

SIDE = 260
"""Of a panel, in pixels."""


def write_charts(summary: Summary, stem: Path) -> None:
    """Write `STEM.svg` and `STEM.png`, atomically."""
    spec = chart(summary)
    write_atomically(stem.with_name(f"{stem.name}.svg"), svg(spec))
    png = vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=2)
    write_atomically(stem.with_name(f"{stem.name}.png"), png)


def svg(spec: dict[str, Any]) -> bytes:
    """Draw a Vega-Lite specification."""
    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE).encode()


def chart(summary: Summary) -> dict[str, Any]:
    """The sweep's panels in Vega-Lite: a row a figure, a column a cost; dense parents are diamonds."""
    rows = [_row(one, DENSE, one.name) for one in summary.dense]
    rows += [_row(point, series_of(point), f"{point.dense} {point.seed}") for point in summary.points]
    where = f"{summary.dataset.name} {summary.dataset.split or ''}".strip()
    colours = "tableau20" if len({row["series"] for row in rows}) > 10 else "tableau10"
    shown = f"{where}: {summary.dataset.boxes} boxes in {summary.dataset.images} images; bars are 95 % intervals"
    costs = [cost for cost in COSTS if cost == "bytes" or _differs([row[cost] for row in rows])]
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
        "title": {"text": summary.summary, "subtitle": shown, "anchor": "start"},
        "background": "white",
        "data": {"values": rows},
        "vconcat": [{"hconcat": [_panel(cost, figure) for cost in costs]} for figure in FIGURES],
        "config": {
            "legend": {"orient": "bottom", "columns": 4, "labelLimit": 300, "symbolOpacity": 1},
            "range": {"category": {"scheme": colours}},
        },
    }


def _differs(values: list[float | None]) -> bool:
    """Whether a cost differs by more than 1 %: otherwise its panel would be a line of points above each other."""
    known = [value for value in values if value is not None]
    return bool(known) and max(known) > 1.01 * min(known)


def _row(one: Measures, series: str, line: str) -> dict[str, Any]:
    row = {"series": series, "line": f"{series} {line}", "name": one.name, "bytes": one.file_bytes}
    row |= {"macs": one.macs.value, "latency": one.latency_ratio.value}
    low, high = one.latency_ratio.interval or (None, None)
    return row | {"latency_low": low, "latency_high": high} | _percent("ap", one.ap) | _percent("ap50", one.ap50)


def _percent(name: str, figure: Figure) -> dict[str, float | None]:
    values = (figure.value, *(figure.interval or (None, None)))
    keys = (name, f"{name}_low", f"{name}_high")
    return {key: None if value is None else round(100 * value, 4) for key, value in zip(keys, values, strict=True)}


def _panel(cost: str, figure: str) -> dict[str, Any]:
    x = {
        "field": cost,
        "type": "quantitative",
        "title": COSTS[cost],
        "scale": {"type": "log", "nice": False, "padding": 12},
    }
    x["axis"] = {"format": ".3~s", "tickCount": 4}
    y = {"field": figure, "type": "quantitative", "title": FIGURES[figure], "scale": {"zero": False}}
    colour = {"field": "series", "type": "nominal", "title": None}
    is_dense = {"test": f"datum.series === '{DENSE}'"}
    shape = {"condition": is_dense | {"value": "diamond"}, "value": "circle"}
    size = {"condition": is_dense | {"value": 120}, "value": 40}
    bar = {"mark": {"type": "rule", "opacity": 0.35}}
    layers: list[dict[str, Any]] = [
        bar | {"encoding": {"x": x, "y": y | {"field": f"{figure}_low"}, "y2": {"field": f"{figure}_high"}}},
        {
            "mark": {"type": "point", "filled": True, "opacity": 1},
            "encoding": {"x": x, "y": y, "shape": shape, "size": size},
        },
    ]
    if cost != "latency":  # whose noise would make a scribble of the line
        line = {"x": x, "y": y, "detail": {"field": "line"}, "order": {"field": "bytes"}}
        layers.insert(1, {"mark": {"type": "line", "opacity": 0.5}, "encoding": line})
    else:
        ends = {"x": x | {"field": "latency_low"}, "x2": {"field": "latency_high"}, "y": y}
        layers.insert(1, bar | {"encoding": ends})
    return {"width": SIDE, "height": SIDE, "encoding": {"color": colour}, "layer": layers}
