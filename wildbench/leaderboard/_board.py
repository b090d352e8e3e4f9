"""Many results become one ranked, deterministic leaderboard."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wildbench.errors import ScorecardError
from wildbench.leaderboard._model import Board, CategoryAccuracy, Column, Loss, Row, RowErrors, Section, Standing
from wildbench.leaderboard._results import Result
from wildbench.leaderboard._standings import Paired, fronts
from wildbench.measures import Measure, all_measures
from wildbench.measures.figures import Stored
from wildbench.scorecard import Figure, Scorecard

NOT_HERE = "its parent has no row in this section"

_OF_THE_SUBMISSION = ("name", "sha256", "format", "detector", "authors", "licence", "method", "training_data")


def make_row(
    result: Result,
    measures: Sequence[Measure],
    standing: Standing | None,
    loss: Loss | None,
    lineage: list[str],
    identical_to: list[str],
) -> Row:
    """Make the row of one scorecard; every figure keeps its unit, interval and n."""
    card, submission, errors = result.card, result.card.submission, result.card.errors
    figures = {measure.key: measure.read(card) for measure in measures}
    places = {measure.key: measure.within(card) for measure in measures}
    paths = {measure.key: measure.path for measure in measures if isinstance(measure, Stored)}
    return Row(
        id=result.id,
        **{name: getattr(submission, name) for name in _OF_THE_SUBMISSION},
        card_sha256=result.card_sha256,
        isolation=_isolation(card),
        machine=result.reproduction.machine if result.reproduction else None,
        identical_to=identical_to,
        standing=standing,
        figures={key: figure for key, figure in figures.items() if figure is not None},
        told=[key for key in figures if _told(paths.get(key, ""), card.told)],
        within={key: place for key, place in places.items() if place is not None},
        per_category={
            name: CategoryAccuracy(ap=accuracy.ap, ap50=accuracy.ap50)
            for name, accuracy in card.accuracy.per_category.items()
        },
        errors=RowErrors(tide={name: kind.gain for name, kind in errors.tide.items()}, ece=errors.calibration.ece),
        parent=loss,
        lineage=lineage,
    )


def _told(path: str, told: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one}.") for one in told)


def _isolation(card: Scorecard) -> str | None:
    """The level of what kept the detector in; `part` where something was not stopped."""
    isolation = card.environment.isolation
    if isolation is None:
        return None
    return "part" if isolation.not_enforced and isolation.level != "process" else isolation.level


def build_board(results: Iterable[Result]) -> Board:
    """Rank results, each among those that it compares with; their order makes no difference.

    Raises:
        ScorecardError: There are none, or some of a section were resampled otherwise than the rest.
    """
    sections: dict[object, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.id):
        sections[_key(result.card)].append(result)
    if not sections:
        what = "a leaderboard needs at least one result"
        raise ScorecardError(what, code="no-results", remedy="add a scorecard first")
    measures = all_measures()
    ranked = sorted((_section(results, measures) for results in sections.values()), key=_order)
    measured = {key for section in ranked for row in section.rows for key in row.figures}
    columns = [
        Column(
            **{name: getattr(one, name) for name in Column.model_fields} | {"shown_unit": one.shown_unit or one.unit}
        )
        for one in measures
        if one.key in measured
    ]
    return Board(measures=columns, sections=ranked)


def _key(card: Scorecard) -> tuple[str, int, tuple[str, ...]]:
    """What has to be the same for two rows to compare; not names, which anybody may change."""
    return card.dataset.sha256, card.protocol.version, tuple(sorted(card.accuracy.unknown_categories))


def _order(section: Section) -> tuple[str, str, int, str, list[str]]:
    data = section.dataset
    return data.name, data.split or "", section.protocol, data.sha256, section.left_out


def _section(results: Sequence[Result], measures: Sequence[Measure]) -> Section:
    card = results[0].card  # the first by id names the section
    shapes = {(result.samples.drawn.shape, result.samples.without.shape) for result in results}
    if len(shapes) > 1:
        what, remedy = f"{card.dataset.name}: its results were resampled differently", "score them with one wildbench"
        raise ScorecardError(what, code="resampled-differently", remedy=remedy)
    defined = [result for result in results if result.card.accuracy.ap.value is not None]
    kinds = sum(one.ap.value is not None for one in card.accuracy.per_category.values())
    over: dict[str, Any] = {"boxes": card.accuracy.ap.n, "categories": max(kinds, 1)}
    paired = Paired([result.samples for result in defined], **over)
    measured = [result for result in defined if result.reproduction]
    alone = paired if len(measured) == len(defined) else Paired([result.samples for result in measured], **over)
    standings, twins = _standings(measured, alone), identical(results)
    by_hash = {result.card.submission.sha256: result for result in results}
    costs = [measure for measure in measures if measure.limits and measure.better == "lower"]
    rows = []
    for result in results:
        loss, lineage = loss_of(result, by_hash, defined, paired, costs), ancestors(result, by_hash)
        rows.append(make_row(result, measures, standings.get(result.id), loss, lineage, twins[result.id]))
    rows.sort(key=lambda row: _place(row, costs))
    key = json.dumps(_key(card))
    name = re.sub(r"[^a-z0-9]+", "-", f"{card.dataset.name} {card.dataset.split or ''}".casefold()).strip("-")
    return Section(
        id=f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}",
        dataset=card.dataset,
        protocol=card.protocol.version,
        left_out=sorted(card.accuracy.unknown_categories),
        uncertainty=card.accuracy.uncertainty,
        rows=rows,
        fronts=fronts([row for row in rows if row.machine is not None], costs),
    )


def _place(row: Row, costs: Sequence[Measure]) -> tuple[float, ...]:
    """Sort key: rank, then falling AP, then rising costs, of which unknown ones go last."""
    figures = [row.figures.get(cost.key) for cost in costs]
    rank = row.standing.rank if row.standing else math.inf
    known = [math.inf if figure is None or figure.value is None else figure.value for figure in figures]
    return rank, -(row.ranked_by.value or 0.0), *known


def identical(results: Sequence[Result]) -> dict[str, list[str]]:
    """By id, the other results whose detections score the same however they are drawn, or whose weights are the same.

    Nothing is said of two that detect nothing, nor of weights whose symbols cannot be counted.
    """
    alike: dict[object, list[str]] = defaultdict(list)
    for result in results:
        size, samples = result.card.size, result.samples
        if (samples.whole > 0).all():
            alike[samples.to_bytes()].append(result.id)
        if size and size.entropy_bytes.value:
            alike[size.entropy_bytes.value, size.parameters.value, size.nonzero.value].append(result.id)
    twins: dict[str, set[str]] = defaultdict(set)
    for ids in alike.values():
        for one in ids:
            twins[one] |= {*ids} - {one}
    return {result.id: sorted(twins[result.id]) for result in results}


def _standings(results: Sequence[Result], paired: Paired) -> dict[str, Standing]:
    if not results:
        return {}
    best = int(paired.ap.argmax())
    standings = {}
    for number, (result, (rank, last)) in enumerate(zip(results, paired.ranks(), strict=True)):
        to_best = None if number == best else ap_difference(results, paired, number, best)
        standings[result.id] = Standing(rank=rank, last=last, to_best=to_best)
    return standings


def ancestors(result: Result, by_hash: Mapping[str, Result]) -> list[str]:
    """Ids of the results on the board that one was made from, nearest first."""
    ids: list[str] = []
    parent = by_hash.get(result.card.submission.parent or "")
    while parent is not None and parent.id not in (result.id, *ids):  # a forged manifest may name its own child
        ids.append(parent.id)
        parent = by_hash.get(parent.card.submission.parent or "")
    return ids


def ap_difference(results: Sequence[Result], paired: Paired, row: int, other: int) -> Figure:
    """AP of one result less another's, with the paired interval."""
    mine = results[row].card.accuracy.ap
    interval = paired.interval(row, other)
    caution = mine.caution if interval else "all boxes are in one group: no interval"
    difference = float(paired.ap[row] - paired.ap[other])
    return Figure(value=difference, unit="AP", n=mine.n, interval=interval, caution=caution)


def loss_of(
    result: Result, by_hash: Mapping[str, Result], defined: Sequence[Result], paired: Paired, costs: Sequence[Measure]
) -> Loss | None:
    """A result against its parent; None where it names none."""
    sha256 = result.card.submission.parent
    if sha256 is None:
        return None
    parent = by_hash.get(sha256)
    if parent is None or parent is result:
        return Loss(sha256=sha256, id=None, name=None, ap=Figure.undefined("AP", NOT_HERE), costs={})
    numbers = {one.id: number for number, one in enumerate(defined)}
    if result.id in numbers and parent.id in numbers:
        ap = ap_difference(defined, paired, numbers[result.id], numbers[parent.id])
    else:
        ap = Figure.undefined("AP", "AP is undefined for one of them")
    return Loss(
        sha256=sha256,
        id=parent.id,
        name=parent.card.submission.name,
        ap=ap,
        costs={cost.key: cost_ratio(cost, result.card, parent.card) for cost in costs},
    )


def cost_ratio(cost: Measure, card: Scorecard, other: Scorecard) -> Figure:
    """One cost over another's, where both were measured and compare."""
    mine, theirs = cost.read(card), cost.read(other)
    if mine is None or theirs is None or mine.value is None or not theirs.value:
        return Figure.undefined("1", "one of the two was not measured")
    if cost.within(card) != cost.within(other):
        return Figure.undefined("1", "the two were measured in ways that do not compare")
    return Figure(value=mine.value / theirs.value, unit="1")
