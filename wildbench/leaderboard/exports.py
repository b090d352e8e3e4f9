"""Leaderboards as papers and notebooks use them: CSV, Markdown, LaTeX, and a pandas table."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from wildbench.errors import needs
from wildbench.leaderboard._model import RANKED_BY, Board, Column, Row, Section
from wildbench.scorecard import Figure
from wildbench.text import printable

if TYPE_CHECKING:
    import pandas

_FORMULA = re.compile(r"\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212]")
"""What makes a spreadsheet take a cell for a formula, after blanks and in full width too."""

_NOTE = (
    "Intervals are 95 %; ranks are the places that a row may hold, where paired intervals say which rows are better. "
    "The board's own machine has not measured self-reported rows, which take no rank."
)


def frame(board: Board) -> pandas.DataFrame:
    """Every row as plain numbers: figures in the units of the scorecard, each interval in two columns.

    Raises:
        MissingExtra: pandas is not installed.

    Example:
        >>> frame(Board(measures=[], sections=[])).empty
        True
    """
    with needs("board"):
        import pandas
    return pandas.DataFrame(_lines(board))


def to_csv(board: Board) -> str:
    """One line per row, of all sections; texts that a spreadsheet would run as a formula get an apostrophe."""
    lines, text = _lines(board), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(lines[0])
    writer.writerows([_harmless(cell) for cell in line.values()] for line in lines)
    return text.getvalue()


def to_markdown(board: Board) -> str:
    """One table per section, as GitHub shows them."""
    tables = []
    for section in board.sections:
        head, *rows = printed(board, section, "–", "–")
        marks = ["---", "---", *["---:"] * (len(head) - 2)]
        lines = [head, marks, *([rank, _plain(name), *cells] for rank, name, *cells in rows)]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        tables.append(f"**{_plain(section.title())}**\n\n{body}\n\n{_NOTE}\n")
    return "\n".join(tables)


def to_latex(board: Board) -> str:
    """One table per section, for documents that use the package booktabs."""
    tables = []
    for section in board.sections:
        head, *rows = printed(board, section, "--", "--")
        body = [[rank, _latex(name), *map(_signed, cells)] for rank, name, *cells in rows]
        lines = [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_latex(section.title())}. {_latex(_NOTE)}}}",
            rf"\label{{tab:{section.id}}}",
            rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
            r"\toprule",
            " & ".join(map(_latex, head)) + r" \\",
            r"\midrule",
            *(" & ".join(line) + r" \\" for line in body),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


FORMATS: Mapping[str, Callable[[Board], str]] = {"csv": to_csv, "markdown": to_markdown, "latex": to_latex}


def _lines(board: Board) -> list[dict[str, object]]:
    """Every row in the same columns; an interval or a place where some row has one."""
    rows = [(section, row) for section in board.sections for row in section.rows]
    spread = {key for _, row in rows for key, figure in row.figures.items() if figure.interval}
    placed = {key for _, row in rows for key in row.within}
    return [_line(section, row, board.measures, spread, placed) for section, row in rows]


def _line(section: Section, row: Row, measures: list[Column], spread: set[str], placed: set[str]) -> dict[str, object]:
    cells: dict[str, object] = {
        "dataset": section.dataset.name,
        "split": section.dataset.split,
        "dataset_sha256": section.dataset.sha256,
        "protocol": section.protocol,
        "rank": row.standing.rank if row.standing else None,
        "rank_last": row.standing.last if row.standing else None,
        "name": row.name,
        "measured_by": row.machine or "self-reported",
        "identical_to": " ".join(row.identical_to) or None,
        "sha256": row.sha256,
        "detector": row.detector,
        "method": row.method,
        "parent": row.parent.sha256 if row.parent else None,
        **_interval(f"{RANKED_BY}_less_parent", row.parent.ap if row.parent else None),
    }
    for measure in measures:
        ends = _interval(measure.key, row.figures.get(measure.key))
        cells |= ends if measure.key in spread else {measure.key: ends[measure.key]}
        if measure.key in placed:
            cells[f"{measure.key}_within"] = row.within.get(measure.key)
    return cells


def _interval(name: str, figure: Figure | None) -> dict[str, object]:
    low, high = (figure.interval if figure else None) or (None, None)
    return {name: figure.value if figure else None, f"{name}_low": low, f"{name}_high": high}


def printed(board: Board, section: Section, to: str, missing: str, *, every_interval: bool = True) -> list[list[str]]:
    """The table of a section, headings first; intervals of all figures, or only of the one that ranks go by."""
    ranked, columns = board.ranked, board.headlines
    difference = ranked.model_copy(update={"digits": ranked.digits + 1})

    def cell(column: Column, figure: Figure | None) -> str:
        text = column.text(figure, missing)
        if figure is None or figure.value is None or figure.interval is None:
            return text
        low, high = map(column.number, figure.interval)
        return f"{text} [{low}, {high}]" if every_interval or column.key == ranked.key else text

    lines = [["Rank", "Submission", *(column.heading for column in columns), f"{ranked.title} less parent's"]]
    for row in section.rows:
        places = row.standing.places(to) if row.standing else "self-reported" if row.machine is None else missing
        cells = (cell(column, row.figures.get(column.key)) for column in columns)
        lines.append([places, row.name, *cells, cell(difference, row.parent.ap if row.parent else None)])
    return lines


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if _FORMULA.match(cell) else cell)


def _plain(text: str) -> str:
    r"""A text that Markdown shows as it is: no markup, no HTML, no end of a cell.

    Example:
        >>> _plain("a|b *c* <d>")
        'a\\|b \\*c\\* &lt;d&gt;'
    """
    escaped = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]()#|~!" else mark for mark in escaped)


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
