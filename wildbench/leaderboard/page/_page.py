"""The leaderboard as one HTML file: everything in it, nothing fetched; same board, same bytes.

Names and methods come from strangers. They travel as JSON in which no `<` is left, become text nodes only, and a
Content-Security-Policy lets no script run but the two whose hashes it states, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from wildbench.leaderboard.board import Board
from wildbench.leaderboard.page._row_details import RowDetail
from wildbench.leaderboard.page._vega import vega_script, versions

_ASSETS = Path(__file__).with_name("assets")
_SCRIPTS = ("dom", "format", "columns", "table", "heatmap", "charts", "scatter", "row_charts", "row", "main")
"""In the order in which they are read: one scope, so that no bundler is needed."""

_DIGITS = 6
"""That matter, of a figure on the page; leaderboard.json has them all."""


def render(board: Board, details: Mapping[str, RowDetail]) -> bytes:
    """Write the page.

    Args:
        board: What is ranked.
        details: What each row's own page shows, by row id.

    Returns:
        UTF-8 HTML: 1 MB for the library, some 9 kB a row, and 1 MB of pictures at most.

    Raises:
        KeyError: A row has no details.
    """
    style = (_ASSETS / "style.css").read_text(encoding="utf-8")
    parts = "\n".join((_ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    application, library = f'(() => {{\n"use strict";\n{parts}}})();', vega_script()
    allowed = " ".join(_source(script) for script in (library, application))
    filled = {
        "policy": f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        "style": style,
        "footer": _footer(board),
        "data": _json(_data(board, details)),
        "library": library,
        "application": application,
    }
    template = (_ASSETS / "index.html").read_text(encoding="utf-8")
    return re.sub(r"\{(\w+)\}", lambda place: filled[place[1]], template).encode()


def _source(script: str) -> str:
    """How a Content-Security-Policy names an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _footer(board: Board) -> str:
    """Where the page comes from; nothing in it is from a card."""
    chain = f"{board.chain.entries} entries in the chain, the last {board.chain.head}. " if board.chain else ""
    return f"{chain}Every figure is also in leaderboard.json; charts by {versions()} (BSD-3-Clause)."


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
    return {"sections": sections, "details": shown, "texts": texts.entries, "images": images.entries}


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
        if "caution" in value and isinstance(value.get("unit"), str):  # keys alone do not tell: parts have any name
            return _figure(value, texts)
        return {key: _short(one, texts) for key, one in value.items() if not (key == "score" and one is None)}
    if isinstance(value, float):
        return _rounded(value)
    return [_short(one, texts) for one in value] if isinstance(value, list) else value


def _figure(figure: Mapping[str, Any], texts: _Shared) -> dict[str, Any]:
    """A figure as `format.js` describes it; its unit is in the page's headings."""
    found: dict[str, Any] = {}
    if figure["value"] is not None:
        found["v"] = _rounded(figure["value"])
    if figure["interval"] is not None:
        found["i"] = [_rounded(end) for end in figure["interval"]]
    if figure["n"] is not None:
        found["n"] = figure["n"]
    for short, key in (("r", "reason"), ("c", "caution")):
        if figure[key] is not None:
            found[short] = texts.place(figure[key])
    return found


def _rounded(value: float) -> float | int:
    """To `_DIGITS` digits that matter; whole numbers stay whole, and large ones exact."""
    if value.is_integer():
        return int(value)
    return float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else round(value)
