"""A leaderboard on the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row, scaled
from wildbench.leaderboard import Board, Front, Section
from wildbench.scorecard import Figure

MOST = 50
"""Rows that are printed; leaderboard.json and the page have all."""

_AXES = {"file_bytes": "bytes", "macs": "MACs", "latency_ratio": "latency", "latency_p50": "milliseconds"}


def board_tables(board: Board) -> list[Table]:
    """One table a section: its first rows, with its fronts and what they are worth below."""
    return [_section_table(section) for section in board.sections]


def _section_table(section: Section) -> Table:
    table = Table(title=Text(section.title()), title_justify="left", caption_justify="left")
    table.add_column("rank", no_wrap=True)
    table.add_column("submission")
    for name in ("AP", "AP50", "less parent", "MB", "GMAC", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in section.rows[:MOST]:
        add_row(
            table,
            row.standing.places() if row.standing else "-",
            row.name,
            _with_ends(row.accuracy.ap, 1),
            _with_ends(row.accuracy.ap50, 1),
            _with_ends(row.parent.ap if row.parent else None, 2),
            scaled(row.size.file_bytes if row.size else None, 1e-6, 2),
            scaled(row.compute.macs if row.compute else None, 1e-9, 3),
            scaled(row.latency.reference_ratio if row.latency else None, 1, 2),
        )
    lines = ["AP in %, below it its 95 % interval; latency: p50 over that of the reference network"]
    if more := section.rows[MOST:]:
        lines.insert(0, f"and {len(more)} below them, in leaderboard.json and on the page")
    table.caption = Text("\n".join(lines + [_front(section, front) for front in section.fronts]))
    return table


def _front(section: Section, front: Front) -> str:
    names = {row.id: row.name for row in section.rows}
    on = f" on {front.within}" if front.axis == "latency_p50" else ""
    members = ", ".join(names[row] for row in front.rows)
    return f"best by AP and {_AXES[front.axis]}{on}: {members} (hypervolume {scaled(front.hypervolume, 1, 4)})"


def _with_ends(figure: Figure | None, digits: int) -> str:
    cell = scaled(figure, 100, digits)
    if figure is None or figure.interval is None:
        return cell
    low, high = (f"{100 * end:.{digits}f}" for end in figure.interval)
    return f"{cell}\n[{low}, {high}]"
