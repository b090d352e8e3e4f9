"""Pictures of what a ranger sees, in Vega-Lite: several detectors side by side, as the page of a board draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.measures.field._ratios import SHARES
from wildbench.scorecard import FieldFigures, Figure

Spec = dict[str, Any]
Seen = Mapping[str, FieldFigures]
"""By the detector's name."""

WIDTH, HEIGHT = 420, 260
"""In pixels."""

_STEPS = [0, 10, 50, 100, 200, 400, 700, 1000]
_SHAPES = {"circle": "keep 90, 95, 96, 99 %", "diamond": "operating point"}


def filter_chart(seen: Seen) -> Spec:
    """Images with an animal that are kept, against empty images that are kept too, at every score."""
    curves = {name: one.empty_filter.curve for name, one in seen.items()}
    lines = [
        {"detector": name, "place": place, "kept": kept, "alarms": 1000 * alarms}
        for name, curve in curves.items()
        if curve
        for place, (kept, alarms) in enumerate(zip(curve.recall, curve.false_alarms, strict=True))
    ]
    points = [point for name, one in seen.items() for point in _points(name, one)]
    least = min([0.8, *(point["kept"] for point in points)]) - 0.05
    x = {"field": "alarms", "type": "quantitative", "scale": {"type": "sqrt", "domain": [0, 1000]}}
    x["axis"] = {"title": "False alarms per 1,000 empty images", "values": _STEPS}
    y = {"field": "kept", "type": "quantitative", "scale": {"domain": [least, 1], "nice": False}}
    y["axis"] = {"format": "~%", "title": "Images with animals kept"}
    dash = {"field": "detector", "type": "nominal", "scale": {"range": [[1, 0], [6, 3], [2, 2]]}, "legend": None}
    layers = [
        {
            "data": {"values": lines},
            "mark": {"type": "line", "clip": True, "strokeWidth": 2},
            "encoding": {"order": {"field": "place"}, "strokeDash": dash},
        },
        {
            "data": {"values": points},
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": 90},
            "encoding": {"shape": {"field": "kind", "scale": {"domain": [*_SHAPES.values()], "range": [*_SHAPES]}}},
        },
    ]
    return _framed(
        "As an empty filter", {"layer": layers, "height": HEIGHT, "encoding": {"x": x, "y": y} | _color(seen)}
    )


def _points(name: str, one: FieldFigures) -> list[dict[str, Any]]:
    screen = one.empty_filter
    named = [("circle", point) for point in screen.at_recall.values()]
    named += [("diamond", screen.at_operating_point)] if screen.at_operating_point else []
    return [
        {
            "detector": name,
            "kind": _SHAPES[shape],
            "kept": point.recall.value,
            "alarms": point.false_alarms.value,
        }
        for shape, point in named
        if point.recall.value is not None and point.false_alarms.value is not None
    ]


def sizes_chart(seen: Seen) -> Spec:
    """Boxes that are found, by their share of the picture."""
    bars = [
        _span(name, f"{share} % of picture", one.recall_by_share[share])
        for name, one in seen.items()
        for share in SHARES
    ]
    return _framed(
        "Small and far animals", _spans(seen, bars, {"type": "bar", "opacity": 0.55}, "Found at IoU 0.50, %")
    )


def slices_chart(seen: Seen, field: str) -> Spec:
    """AP50 by one field of the images, the lowest first."""
    first = next(iter(seen.values())).slices[field].slices
    order = sorted(first, key=lambda name: first[name].ap50.value or 2.0)
    dots = [_span(name, part, one.slices[field].slices[part].ap50) for part in order for name, one in seen.items()]
    mark = {"type": "point", "filled": True, "opacity": 1, "size": 70}
    return _framed(f"By {field.replace('_', ' ')}", _spans(seen, dots, mark, "AP50, %"))


def _span(name: str, part: str, figure: Figure) -> dict[str, Any]:
    low, high = figure.interval or (None, None)
    values = {
        key: None if value is None else 100 * value for key, value in zip("vlh", (figure.value, low, high), strict=True)
    }
    return {"detector": name, "part": part, **values}


def _spans(seen: Seen, values: list[dict[str, Any]], mark: Spec, title: str) -> Spec:
    """Figures in percent with their intervals, a row for each part and detector."""
    shown = [one for one in values if one["v"] is not None]
    x = {"field": "v", "type": "quantitative", "title": title, "scale": {"domain": [0, 100]}}
    y = {"field": "part", "type": "nominal", "sort": None, "title": None, "axis": {"ticks": False, "domain": False}}
    rule = {"x": {"field": "l", "type": "quantitative"}, "x2": {"field": "h"}}
    return {
        "data": {"values": shown},
        "height": {"step": 18},
        "encoding": {"y": y, "yOffset": {"field": "detector", "type": "nominal", "sort": None}},
        "layer": [
            {"mark": mark, "encoding": {"x": x} | _color(seen)},
            {
                "transform": [{"filter": "isValid(datum.l)"}],
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": rule,
            },
        ],
    }


def _color(seen: Seen) -> Spec:
    return {"color": {"field": "detector", "type": "nominal", "scale": {"domain": [*seen], "scheme": "category10"}}}


def _framed(title: str, chart: Spec) -> Spec:
    config = {"legend": {"orient": "top", "title": None, "labelLimit": 300}, "view": {"stroke": None}}
    frame = {"title": {"text": title, "anchor": "start"}, "background": "white", "width": WIDTH, "config": config}
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", **frame, **chart}
