"""Leaderboards as papers and notebooks use them: CSV, Markdown, LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

import pandas as pd

from wildbench.leaderboard._model import Board, Row, Section
from wildbench.scorecard import Figure
from wildbench.text import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula."""


def frame(board: Board) -> pd.DataFrame:
    """Every row as plain numbers: figures in the units of the scorecard, each interval in two columns.

    Example:
        >>> from wildbench.leaderboard import Board
        >>> frame(Board(sections=[])).empty
        True
    """
    return pd.DataFrame([_numbers(section, row) for section in board.sections for row in section.rows])


def to_csv(board: Board) -> str:
    """One line a row, of all sections; texts that a spreadsheet would run as a formula get an apostrophe."""
    return str(frame(board).map(_harmless).to_csv(index=False, lineterminator="\n"))


def to_markdown(board: Board) -> str:
    """One table a section, as GitHub shows them."""
    tables = []
    for section in board.sections:
        table = _printed(section, "–")
        table["Submission"] = [_plain(name) for name in table["Submission"]]
        marks = ["---", "---", *["---:"] * (len(table.columns) - 2)]
        lines: list[list[str]] = [list(table.columns), marks, *table.to_numpy().tolist()]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        tables.append(f"**{_plain(section.title())}**\n\n{body}\n\n{_NOTE}\n")
    return "\n".join(tables)


def to_latex(board: Board) -> str:
    """One table a section, for documents that use the package booktabs."""
    tables = []
    for section in board.sections:
        styler = _printed(section, "--").style.hide(axis="index").format(_signed).format(_latex, ["Submission"])
        tables.append(
            styler.to_latex(
                hrules=True,
                column_format="ll" + "r" * (len(styler.columns) - 2),
                position="t",
                position_float="centering",
                caption=f"{_latex(section.title())}. {_latex(_NOTE)}",
                label=f"tab:{section.id}",
            )
        )
    return "\n".join(tables)


FORMATS: Mapping[str, Callable[[Board], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}

_NOTE = (
    "AP in %, with 95 % intervals; ranks are the places that a row may hold, where paired intervals say which rows are "
    "better; latency is p50 over that of the reference network on the same machine."
)


def _numbers(section: Section, row: Row) -> dict[str, object]:
    size, compute, latency, parent = row.size, row.compute, row.latency, row.parent
    figures: dict[str, Figure | None] = {name: getattr(row.accuracy, name) for name in ("ap", "ap50", "ap75")}
    figures |= {
        "file_bytes": size.file_bytes if size else None,
        "parameters": size.parameters if size else None,
        "macs": compute.macs if compute else None,
        "latency_p50": latency.p50 if latency else None,
        "latency_ratio": latency.reference_ratio if latency else None,
        "ap_less_parent": parent.ap if parent else None,
    }
    numbers: dict[str, object] = {
        "dataset": section.dataset.name,
        "split": section.dataset.split,
        "dataset_sha256": section.dataset.sha256,
        "protocol": section.protocol,
        "rank": row.standing.rank if row.standing else None,
        "rank_last": row.standing.last if row.standing else None,
        "name": row.name,
        "sha256": row.sha256,
        "detector": row.detector,
        "method": row.method,
        "parent": parent.sha256 if parent else None,
        "hardware": latency.hardware if latency else None,
    }
    for name, figure in figures.items():
        numbers[name] = figure.value if figure else None
        if name.startswith(("ap", "latency")):
            low, high = figure.interval if figure and figure.interval else (None, None)
            numbers |= {f"{name}_low": low, f"{name}_high": high}
    return numbers


def _printed(section: Section, dash: str) -> pd.DataFrame:
    """The table as a paper has it, every cell a text; the dash stands for "to" and for what is missing."""

    def cell(figure: Figure | None, scale: float, digits: int) -> str:
        if figure is None or figure.value is None:
            return dash
        value = f"{figure.value * scale:,.{digits}f}"
        if figure.interval is None:
            return value
        low, high = (f"{end * scale:,.{digits}f}" for end in figure.interval)
        return f"{value} [{low}, {high}]"

    return pd.DataFrame(
        [
            {
                "Rank": row.standing.places(dash) if row.standing else dash,
                "Submission": row.name,
                "AP": cell(row.accuracy.ap, 100, 1),
                "AP50": cell(row.accuracy.ap50, 100, 1),
                "AP less parent's": cell(row.parent.ap if row.parent else None, 100, 2),
                "MB": cell(row.size.file_bytes if row.size else None, 1e-6, 2),
                "GMAC": cell(row.compute.macs if row.compute else None, 1e-9, 3),
                "Latency": cell(row.latency.reference_ratio if row.latency else None, 1, 2),
            }
            for row in section.rows
        ]
    )


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if cell.startswith(_FORMULA) else cell)


def _plain(text: str) -> str:
    r"""A text that Markdown shows as it is: no markup, no HTML, no end of a cell.

    Example:
        >>> _plain("a|b *c* <d>")
        'a\\|b \\*c\\* &lt;d&gt;'
    """
    told = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]()#|~!" else mark for mark in told)


def _signed(cell: object) -> str:
    """Figures with the minus sign of mathematics."""
    return re.sub(r"(?<![-\d])-(?=\d)", "$-$", str(cell))


def _latex(cell: object) -> str:
    r"""A text that LaTeX prints as it is, in any font encoding: without its commands, ligatures and active characters.

    Example:
        >>> _latex("50%_a--b")
        '50\\%\\_a-{}-b'
    """
    plain = unicodedata.normalize("NFC", printable(str(cell))).translate(_SPECIAL)  # pdfTeX sets no accent by itself
    return re.sub(r"([-,])(?=\1)", r"\1{}", plain)


_SPECIAL = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\u2212": "$-$"}
    | {'"': r"\char34{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}"}
)
