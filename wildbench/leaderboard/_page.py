"""The leaderboard as one HTML file: everything in it, nothing fetched; same board, same bytes.

Names and methods come from strangers. They travel as JSON in which no `<` is left, become text nodes only, and a
Content-Security-Policy lets no script run but the two whose hashes it states, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from pydantic_core import to_json

from wildbench.files import write_atomically
from wildbench.leaderboard._details import RowDetail
from wildbench.leaderboard._model import RANKED_BY, Board
from wildbench.pictures import VEGA_LITE
from wildbench.resources import cache_dir

_ASSETS = Path(__file__).with_name("assets")
_SCRIPTS = (
    "dom",
    "format",
    "columns",
    "table",
    "heatmap",
    "charts",
    "scatter",
    "row_charts",
    "field_charts",
    "row",
    "main",
)
"""In the order in which they are read: one scope, so that no bundler is needed."""

_DIGITS = 6
"""Significant digits of a figure on the page; leaderboard.json has them all."""


def render(board: Board, details: Mapping[str, RowDetail]) -> bytes:
    """Write the page: 1 MB for the library, some 11 kB per row, and 1 MB of pictures at most.

    Args:
        board: What is ranked.
        details: What each row's own page shows, by row id.
    """
    parts = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    application, library = f'(() => {{\n"use strict";\n{parts}}})();', vega_script()
    template = jinja2.Template(_asset("page.html"), autoescape=True, keep_trailing_newline=True)
    # autoescaped but for what was made here; whatever comes from a card is in the data alone
    page: str = template.render(
        allowed=Markup(" ".join(_source(script) for script in (library, application))),
        style=Markup(_asset("style.css")),
        versions=_versions(),
        data=Markup(_json(_data(board, details))),
        library=Markup(library),
        application=Markup(application),
    )
    return page.encode()


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _source(script: str) -> str:
    """How a Content-Security-Policy names an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which sets `window.vegaEmbed`.

    It comes from the wheel of vl-convert, so charts need no network; bundling takes seconds, so the script is cached.
    """
    import vl_convert

    cached = cache_dir() / f"vega-{VEGA_LITE}-{version('vl-convert-python')}.js"
    if not cached.is_file():
        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
        write_atomically(cached, script.encode())
    return cached.read_text(encoding="utf-8")


def _versions() -> str:
    """What the script holds, for the foot of a page."""
    import vl_convert

    vega, embed = vl_convert.get_vega_version(), vl_convert.get_vega_embed_version()
    return f"Vega-Lite {VEGA_LITE}, Vega {vega}, Vega-Embed {embed}"


def _json(data: Any) -> str:  # noqa: ANN401 - any JSON
    r"""JSON that can stand in a script element: `</script>`, `<!--` and U+2028 are escaped.

    Example:
        >>> _json({"a": "</script>\u2028"})
        '{"a":"\\u003c/script\\u003e\\u2028"}'
    """
    text = to_json(data).decode()  # four times as fast as json
    for special in "<>&\u2028\u2029":
        text = text.replace(special, f"\\u{ord(special):04x}")
    return text


def _data(board: Board, details: Mapping[str, RowDetail]) -> dict[str, Any]:
    """What the scripts read: the board and the details with short keys, sentences and images once each."""
    texts, images = _Shared(), _Shared()
    sections = [_short(section.model_dump(mode="json"), texts) for section in board.sections]
    shown: dict[str, Any] = {}
    for name in board.rows():
        detail = details[name].model_dump(mode="json")
        for picture in detail["pictures"]:
            picture["jpeg"] = images.place(picture["jpeg"])
        curves = detail.pop("curves")
        if curves:
            per_category = curves["per_category"]
            curves["per_category"] = {category: _runs(curve) for category, curve in per_category.items()}
        shown[name] = _short(detail, texts) | {"curves": curves}  # whole numbers, too many to look at one by one
        shown[name].setdefault("pictures", [])
    return {
        "measures": [column.model_dump(mode="json") for column in board.measures],
        "ranked_by": RANKED_BY,
        "sections": sections,
        "details": shown,
        "texts": texts.entries,
        "images": images.entries,
    }


def _runs(values: list[int]) -> list[int]:
    """Value and count of each run: a category of few boxes has few steps.

    Example:
        >>> _runs([1000, 1000, 1000, 750])
        [1000, 3, 750, 1]
    """
    return [number for value, run in itertools.groupby(values) for number in (value, len(list(run)))]


class _Shared:
    """Long strings that many places have in common; each is kept once."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.entries)
            self.entries.append(text)
        return self._places[text]


def _short(value: Any, texts: _Shared) -> Any:  # noqa: ANN401 - any JSON
    """JSON without nulls in its figures, and with no more digits than anybody reads."""
    if isinstance(value, dict):
        if "caution" in value and isinstance(value.get("unit"), str):  # a part may have any name
            return _figure(value, texts)
        return {key: _short(one, texts) for key, one in value.items() if not (key == "score" and one is None)}
    if isinstance(value, float):
        return _rounded(value)
    return [_short(one, texts) for one in value] if isinstance(value, list) else value


def _figure(figure: Mapping[str, Any], texts: _Shared) -> dict[str, Any]:
    """A figure as `format.js` describes it; its unit is in the page's headings."""
    short: dict[str, Any] = {}
    if figure["value"] is not None:
        short["v"] = _rounded(figure["value"])
    if figure["interval"] is not None:
        short["i"] = [_rounded(end) for end in figure["interval"]]
    if figure["n"] is not None:
        short["n"] = figure["n"]
    for letter, key in (("r", "reason"), ("c", "caution")):
        if figure[key] is not None:
            short[letter] = texts.place(figure[key])
    return short


def _rounded(value: float) -> float | int:
    """To `_DIGITS` digits that matter; whole numbers stay whole, and large ones exact."""
    if value.is_integer():
        return int(value)
    return float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else round(value)
