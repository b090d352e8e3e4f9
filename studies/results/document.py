"""baselines/RESULTS.md: sentences by a person, tables and charts from the summaries of the sweeps.

A table stands between `<!-- NAME -->` and `<!-- end -->`, where NAME is `bounds` or that of a sweep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from studies.places import Place, places, position_of, spread
from studies.results.bounds import BOUNDS
from wildbench.errors import ScorecardError
from wildbench.sweeps.charts import change
from wildbench.sweeps.record import Change, PointRecord, Summary, read_summary, series_of

HALF = 0.5
"""A category is called lost where less than this share of the dense parent's AP50 remains."""

PLACE = re.compile(r"<!-- ([\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)


def read_summaries(folder: Path) -> list[Summary]:
    """The summaries in a folder, by name.

    Raises:
        ScorecardError: There is none, or one is damaged.
    """
    summaries = [read_summary(path) for path in sorted(folder.glob("*.json"), key=lambda path: path.stem)]
    if not summaries:
        raise ScorecardError(
            f"{folder}: no summary of a sweep", code="no-summary", remedy="run: wildbench baseline sweep"
        )
    return summaries


def fill(document: str, summaries: Sequence[Summary]) -> str:
    """Put the tables of the summaries into the document in place of those that stand there.

    Raises:
        ScorecardError: The document has no place for one of the tables, or a place for a table that is not there.

    Example:
        >>> fill("Nothing was run.", [])
        Traceback (most recent call last):
        ...
        wildbench.errors.ScorecardError: no place for the table "bounds"; add <!-- bounds --> and <!-- end --> to it
    """
    tables = {"bounds": bounds_table(summaries)} | {summary.sweep: sweep_table(summary) for summary in summaries}
    named = [name for name, _ in PLACE.findall(document)]
    for name in tables:
        if name not in named:
            remedy = f"add <!-- {name} --> and <!-- end --> to it"
            raise ScorecardError(f'no place for the table "{name}"', code="no-place-for-table", remedy=remedy)
    for name in named:
        if name not in tables:
            raise ScorecardError(f"no sweep is called {name!r}", code="no-such-sweep", remedy="take its place out")
    return PLACE.sub(lambda found: f"<!-- {found[1]} -->\n{tables[found[1]]}\n<!-- end -->", document)


def bounds_table(summaries: Sequence[Summary]) -> str:
    """One row per bound and data set: what the bound's own recipe reached, parent by parent, and whether it is met."""
    rows = []
    for where, points in _by_dataset(summaries).items():
        for bound in BOUNDS:
            place = bound.judged(points)
            if place is None:
                rows.append([bound.title, bound.claim, where, "-", "-", "not run"])
            else:
                ratio = f"{min(point.ratio for point in place):.2f}"
                against = "; ".join(change(point.overall["ap50"]) for point in place)
                rows.append([bound.title, bound.claim, where, ratio, against, bound.verdict(place)])
    return _table(("bound", "claim", "on"), ("times smaller", "AP50 less dense"), ("met",), rows)


def sweep_table(summary: Summary) -> str:
    """One row per recipe and setting: means over seeds and dense parents, and the animals that are first lost there.

    MACs are left out where no recipe changes them.
    """
    counts = [macs for one in (*summary.dense, *summary.points) if (macs := one.value("macs"))]
    numbers = [name for name in FIGURES if name != "GMAC" or max(counts) > 1.01 * min(counts)]
    rows = []
    series, gone = "", set[str]()
    for place in places(summary.points):
        first = place[0]
        if series_of(first) != series:
            series, gone = series_of(first), set()
        lost = [name for name in lost_categories(place) if name not in gone]
        gone |= set(lost)
        label = " ".join(filter(None, (series, position_of(first).replace("ratio ", ""))))
        rows.append([label, *(FIGURES[name](place) for name in numbers), ", ".join(lost)])
    return _table(("",), numbers, ("lost",), rows)


def lost_categories(place: Place) -> list[str]:
    """Categories of which less than `HALF` of the dense AP50 remains, every interval of the difference below zero.

    The most lost stands first.
    """
    shares = {}
    for name in dict.fromkeys(name for point in place for name in point.per_category):
        changes = [point.per_category[name] for point in place if name in point.per_category]
        dense = spread([one.dense for one in changes])
        difference = spread([one.difference for one in changes])
        if dense and dense.mean and difference and all(map(_is_worse, changes)):
            shares[name] = 1 + difference.mean / dense.mean
    return sorted((name for name, share in shares.items() if share < HALF), key=lambda name: (shares[name], name))


def _is_worse(one: Change) -> bool:
    return one.interval is not None and one.interval[1] < 0


def _mean(values: Sequence[float | None], scale: float, digits: int) -> str:
    mean = spread(values)
    return "-" if mean is None else f"{mean.mean * scale:.{digits}f}"


def _against(place: Place) -> str:
    """Difference in AP50, in points: the interval of one point in brackets, the range of several in parentheses."""
    if len(place) == 1:
        return change(place[0].overall["ap50"])
    one = spread([point.overall["ap50"].difference for point in place])
    return "-" if one is None else f"{100 * one.mean:+.1f} ({100 * one.low:+.1f}, {100 * one.high:+.1f})"


FIGURES: dict[str, Callable[[Place], str]] = {
    "times smaller": lambda place: _mean([point.ratio for point in place], 1, 2),
    "GMAC": lambda place: _mean([point.value("macs") for point in place], 1e-9, 2),
    "AP50": lambda place: _mean([point.value("ap50") for point in place], 100, 1),
    "AP50 less dense": _against,
}
"""Columns of a sweep's table."""


def _table(words: Sequence[str], numbers: Sequence[str], more: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with these headings: columns of words, of numbers (to the right), and of words again."""
    rule = [*["---"] * len(words), *["---:"] * len(numbers), *["---"] * len(more)]
    return "\n".join(
        f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in ([*words, *numbers, *more], rule, *rows)
    )


def _by_dataset(summaries: Iterable[Summary]) -> dict[str, list[PointRecord]]:
    """Points by what they were scored on, as "parksim test, 327 boxes, 5 locations"."""
    points: dict[str, list[PointRecord]] = {}
    for summary in summaries:
        data = summary.dataset
        where = f"{data.name} {data.split or ''}".strip()
        drawn = f"{summary.groups_drawn} {summary.drawn}" if summary.drawn else f"{data.images} images"
        points.setdefault(f"{where}, {data.boxes} boxes, {drawn}", []).extend(summary.points)
    return points
