"""RESULTS.md: every sentence and number of it follows from the summaries of the sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from studies.results.bounds import BOUNDS, Bound, Verdict, examine, is_rounded, verdict
from studies.results.claims import CLAIMS, answers
from studies.results.losses import Part, categories, sizes, told
from wildbench.errors import ScorecardError
from wildbench.files import write_atomically
from wildbench.sweeps.cells import (
    HEADINGS,
    LEGEND,
    dense_cells,
    joined,
    place_change,
    point_cells,
    points_text,
    spread_text,
    table,
)
from wildbench.sweeps.charts import chart, svg
from wildbench.sweeps.record import Place, PointRecord, Summary, places, position_of, read_summary, series_of, spread

HEAD = """# What compression costs

Written by `wildbench baseline results` from the summaries in [sweeps/](sweeps/); a sentence here follows from the
numbers beside it. How the sweeps are run: [docs/baselines.md](../docs/baselines.md)."""

ROUNDED = (
    "A detector with quantized activations rounds them in floats as a `.pt`, which takes longer than not to round. As "
    "an ONNX graph it runs in integers, in ONNX Runtime: its latency over that of the reference network, which runs in "
    "torch, is that of another runtime, too."
)


def write_results(folder: Path) -> list[Path]:
    """Write `RESULTS.md` and the sweeps' charts into a folder with `sweeps/*.json`.

    Returns:
        What was written, the document first.

    Raises:
        ScorecardError: There is no summary, or one is damaged.
    """
    summaries = read_summaries(folder / "sweeps")
    if not summaries:
        raise ScorecardError(f"{folder / 'sweeps'}: no summary of a sweep", remedy="run: wildbench baseline sweep")
    document = folder / "RESULTS.md"
    write_atomically(document, results(summaries).encode())
    charts = [folder / "sweeps" / f"{summary.sweep}.svg" for summary in summaries]
    for path, summary in zip(charts, summaries, strict=True):
        write_atomically(path, svg(chart(summary)))
    return [document, *charts]


def read_summaries(folder: Path) -> list[Summary]:
    """The summaries that lie in a folder, in the order in which they are told: by name.

    Raises:
        ScorecardError: One is damaged.
    """
    return [read_summary(path) for path in sorted(folder.glob("*.json"), key=lambda path: path.stem)]


def results(summaries: Sequence[Summary]) -> str:
    """The whole document.

    Args:
        summaries: In the order in which they are told.
    """
    parts = [HEAD, "## Bounds", *_bounds(summaries)]
    for claim in CLAIMS:
        parts += [f"## {claim.question}", *answers(claim, _by_dataset(summaries))]
    for summary in summaries:
        parts += [f"## {summary.summary}", *_sweep(summary)]
    return "\n\n".join(parts) + "\n"


def _by_dataset(summaries: Iterable[Summary]) -> dict[str, list[PointRecord]]:
    """Points by what they were scored on, in words."""
    found: dict[str, list[PointRecord]] = {}
    for summary in summaries:
        found.setdefault(_place(summary), []).extend(summary.points)
    return found


def _place(summary: Summary) -> str:
    data = summary.dataset
    return f"{f'{data.name} {data.split or str()}'.strip()} ({data.boxes} boxes in {data.images} images)"


def _bounds(summaries: Sequence[Summary]) -> list[str]:
    rows, untested, others = [], [], []
    for where, found in _by_dataset(summaries).items():
        for bound in BOUNDS:
            finding = examine(bound, found)
            if finding is None or finding.judged is None:
                untested.append(f"{bound.title} on {where}")
            else:
                head = [bound.title, bound.claim, where]
                rows.append([*head, *_attempt(bound, finding.judged)])
            if finding is not None and finding.others:
                others.append(_others(finding, where))
    parts = [
        "A bound is on the difference in AP50 from the dense parent and on real file bytes, and is judged by one "
        'recipe, as it stands. It is met, "yes", where the paired interval of every dense parent and seed ends inside '
        'it; "by the value alone" where every value is inside and an interval reaches beyond it, or there is none; "by '
        'the mean alone" where a value is outside.',
        table(["bound", "claim", "on", "recipe", "times smaller", "AP50 less dense", "met"], rows),
        *_never_found(_by_dataset(summaries)),
        *others,
    ]
    return [*parts, f"Not run: {joined(untested)}."] if untested else parts


def _never_found(by_dataset: Mapping[str, Sequence[PointRecord]]) -> list[str]:
    """On which data sets categories add nothing to any difference, and which."""
    said = []
    for where, points in by_dataset.items():
        dense: dict[str, float] = {}
        for point in points:
            for name, one in point.per_category.items():
                if one.dense is not None:
                    dense[name] = max(dense.get(name, 0.0), one.dense)
        never = [name for name, best in dense.items() if best == 0]
        if never:
            said.append(
                f"On {where}, {len(never)} of {len(dense)} categories have an AP50 of 0 in every dense detector, and "
                f"add nothing to a difference of means: {joined(never)}."
            )
    return said


def _attempt(bound: Bound, place: Place) -> list[str]:
    ratio = spread_text(spread([point.ratio for point in place]), 1, 2)
    return [_label(place), ratio, place_change(place), verdict(bound, place)]


def _others(finding: Verdict, where: str) -> str:
    """Every other attempt at a bound."""
    bound = finding.bound
    lines = [f"Other attempts at {bound.title}, {bound.claim}, on {where}; the best of them would be chosen after the "]
    lines[0] += "fact, on the images that it is scored on:"
    for place in finding.others:
        label, ratio, cost, met = _attempt(bound, place)
        lines.append(f"- {label}: {ratio} times smaller, {cost}: {met}")
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])


def _label(place: Place) -> str:
    return " ".join(filter(None, (series_of(place[0]), position_of(place[0]))))


def _sweep(summary: Summary) -> list[str]:
    """One sweep: its points, its chart, and what it loses."""
    rows = [*map(dense_cells, summary.dense), *map(point_cells, summary.points)]
    drawn = f"; {summary.replicates} paired draws of {summary.groups_drawn} {summary.drawn}" if summary.drawn else ""
    repeated = [len(place) > 1 for place in places(summary.points)]
    every = table(HEADINGS, rows)
    parts = [
        f"On {_place(summary)}{drawn}. {LEGEND}; mean IoU of the matches at IoU 0.5.",
        f"![AP and AP50 against bytes, MACs and latency](sweeps/{summary.sweep}.svg)",
        _folded("Every point", every) if any(repeated) and all(repeated) else every,
    ]
    if any(repeated):
        parts += ["Mean and range over seeds and dense parents:", _groups_table(summary)]
    if any(map(is_rounded, summary.points)):
        parts.append(ROUNDED)
    for curve in _curves(summary.points):
        parts += _losses(curve)
    if summary.failed:
        parts.append("Not made:\n\n" + "\n".join(f"- {failure.name}: {failure.reason}" for failure in summary.failed))
    return parts


def _folded(title: str, content: str) -> str:
    """What GitHub shows on a click: long, and told in short beside it."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _groups_table(summary: Summary) -> str:
    rows = []
    for place in places(summary.points):
        if len(place) > 1:
            over = f"{len({point.dense for point in place})} × {len({point.seed for point in place})}"
            figures = [spread([getattr(point, name).value for point in place]) for name in ("ap50", "ap")]
            lost = [spread([point.overall[name].difference for point in place]) for name in ("ap50", "ap")]
            ratio = spread_text(spread([point.ratio for point in place]), 1, 2)
            cells = [spread_text(one, 100, 1) for one in figures] + [spread_text(one, 100, 1, "+") for one in lost]
            rows.append([_label(place), over, ratio, *cells])
    return table(["", "parents × seeds", "times smaller", "AP50", "AP", "AP50 less dense", "AP less dense"], rows)


def _curves(points: Sequence[PointRecord]) -> list[tuple[str, list[Place]]]:
    """Places by the curve they are on; recipes with one place each are put beside each other."""
    found: dict[str, list[Place]] = {}
    for place in places(points):
        found.setdefault(series_of(place[0]), []).append(place)
    single = [curve[0] for curve in found.values() if len(curve) == 1]
    curves = [(name, curve) for name, curve in found.items() if len(curve) > 1]
    return [*curves, ("", single)] if single else curves


def _losses(curve: tuple[str, list[Place]]) -> list[str]:
    """What a curve loses, per category and size."""
    name, along = curve
    columns = [position_of(place[0]) if name else _label(place) for place in along]
    by_category, by_size = categories(along), sizes(along)
    headings = [f"{name or 'each recipe'}: difference in points", "boxes", "dense", *columns]
    rows = [_part_cells(f"AP50 {part.name}", part) for part in by_category]
    rows += [_part_cells(f"AP {part.name}", part) for part in by_size if part.boxes]
    said = told(by_category, columns) if name else ""
    note = "Bold: the interval of the difference lies below zero, for itself alone."
    return [table(headings, rows), " ".join(filter(None, (note, said)))]


def _part_cells(name: str, part: Part) -> list[str]:
    dense = "-" if part.dense is None else f"{100 * part.dense:.1f}"
    cells = ["-" if value is None else points_text(value) for value in part.differences]
    marked = [f"**{cell}**" if worse else cell for cell, worse in zip(cells, part.worse, strict=True)]
    return [name, str(part.boxes), dense, *marked]
