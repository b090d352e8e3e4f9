"""Many results become one ranked, deterministic leaderboard."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from wildbench.errors import ScorecardError
from wildbench.leaderboard._model import (
    Board,
    CategoryAccuracy,
    Loss,
    Row,
    RowCompute,
    RowErrors,
    RowLatency,
    RowSize,
    Section,
    Standing,
)
from wildbench.leaderboard._results import Result
from wildbench.leaderboard._standings import Paired, fronts
from wildbench.scorecard import Compute, Errors, Figure, Latency, Scorecard, Size, Statistics


def make_row(result: Result, standing: Standing | None, loss: Loss | None, by_hash: Mapping[str, Result]) -> Row:
    """The headline of one scorecard; every figure keeps its unit, interval and n.

    Args:
        result: The scorecard.
        standing: Its place in the section.
        loss: Against its parent.
        by_hash: Results of the section by the hash of their submission.
    """
    card, submission, accuracy = result.card, result.card.submission, result.card.accuracy
    return Row(
        id=result.id,
        name=submission.name,
        sha256=submission.sha256,
        card_sha256=result.card_sha256,
        format=submission.format,
        detector=submission.detector,
        authors=submission.authors,
        licence=submission.licence,
        method=submission.method,
        training_data=submission.training_data,
        trusted=card.protocol.trusted,
        standing=standing,
        accuracy=Statistics(**{name: getattr(accuracy, name) for name in Statistics.model_fields}),
        per_category={
            name: CategoryAccuracy(ap=found.ap, ap50=found.ap50) for name, found in accuracy.per_category.items()
        },
        size=_size(card.size),
        compute=_compute(card.compute),
        latency=_latency(card),
        errors=_errors(card.errors),
        parent=loss,
        lineage=ancestors(result, by_hash),
    )


def _size(found: Size | None) -> RowSize | None:
    return None if found is None else RowSize(**{name: getattr(found, name) for name in RowSize.model_fields})


def _compute(found: Compute | None) -> RowCompute | None:
    if found is None:
        return None
    return RowCompute(macs=found.macs, nonzero_macs=found.nonzero_macs, bops=found.bops)


def _latency(card: Scorecard) -> RowLatency | None:
    where, found = hardware(card), card.latency
    if where is None or found is None:
        return None
    own = {name: getattr(found, name) for name in ("reference", "p50", "p90", "p99", "reference_ratio", "peak_memory")}
    return RowLatency(hardware=where, **own)


def _errors(found: Errors | None) -> RowErrors | None:
    if found is None:
        return None
    return RowErrors(tide={name: kind.gain for name, kind in found.tide.items()}, ece=found.calibration.ece)


Key = tuple[str, int, tuple[str, ...]]


def build_board(results: Iterable[Result]) -> Board:
    """Rank results, each among those that it compares with.

    Args:
        results: In any order: the board is the same.

    Raises:
        ScorecardError: There are none, or some of a section were resampled otherwise than the rest.
    """
    sections: dict[Key, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.id):
        sections[_key(result.card)].append(result)
    if not sections:
        raise ScorecardError(
            "a leaderboard needs at least one result", code="no-results", remedy="add a scorecard first"
        )
    return Board(sections=sorted(map(_section, sections.values()), key=_order))


def _key(card: Scorecard) -> Key:
    """What has to be the same for two rows to compare. Names are no part of it: anybody may give a file another."""
    return card.dataset.sha256, card.protocol.version, tuple(sorted(card.accuracy.unknown_categories))


def _order(section: Section) -> tuple[str, str, int, str, list[str]]:
    data = section.dataset
    return data.name, data.split or "", section.protocol, data.sha256, section.left_out


def _section(results: Sequence[Result]) -> Section:
    card = results[0].card  # the first by id names the section
    shapes = {(result.samples.drawn.shape, result.samples.without.shape) for result in results}
    if len(shapes) > 1:
        raise ScorecardError(
            f"{card.dataset.name}: its results were resampled differently",
            code="resampled-differently",
            remedy="score them with one version of wildbench",
        )
    defined = [result for result in results if result.card.accuracy.ap.value is not None]
    kinds = sum(found.ap.value is not None for found in card.accuracy.per_category.values())
    paired = Paired([result.samples for result in defined], boxes=card.accuracy.ap.n, categories=max(kinds, 1))
    standings = _standings(defined, paired)
    by_hash = {result.card.submission.sha256: result for result in results}
    rows = sorted(
        (
            make_row(result, standings.get(result.id), loss_of(result, by_hash, defined, paired), by_hash)
            for result in results
        ),
        key=_place,
    )
    key = json.dumps(_key(card))
    name = re.sub(r"[^a-z0-9]+", "-", f"{card.dataset.name} {card.dataset.split or ''}".casefold()).strip("-")
    return Section(
        id=f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}",
        dataset=card.dataset,
        protocol=card.protocol.version,
        left_out=sorted(card.accuracy.unknown_categories),
        uncertainty=card.accuracy.uncertainty,
        rows=rows,
        fronts=fronts(rows),
    )


def _place(row: Row) -> tuple[float, float, float, str]:
    """Sort key: rank, then falling AP, then rising bytes with a file of unknown size last, then the id."""
    size = row.size.file_bytes.value if row.size else None
    rank = row.standing.rank if row.standing else float("inf")
    return rank, -(row.accuracy.ap.value or 0.0), float("inf") if size is None else size, row.id


def _standings(results: Sequence[Result], paired: Paired) -> dict[str, Standing]:
    if not results:
        return {}
    best = int(paired.ap.argmax())
    return {
        result.id: Standing(
            rank=rank,
            last=last,
            to_best=None if number == best else ap_difference(results, paired, number, best),
        )
        for number, (result, (rank, last)) in enumerate(zip(results, paired.ranks(), strict=True))
    }


NOT_HERE = "its parent has no row in this section"


def ancestors(result: Result, by_hash: Mapping[str, Result]) -> list[str]:
    """Ids of the results that one was made from, nearest first, as far as they are on the board.

    Args:
        result: Where to start.
        by_hash: Results of the section by the hash of their submission.
    """
    found: list[str] = []
    parent = by_hash.get(result.card.submission.parent or "")
    while parent is not None and parent.id not in (result.id, *found):  # a forged manifest may name its own child
        found.append(parent.id)
        parent = by_hash.get(parent.card.submission.parent or "")
    return found


def ap_difference(results: Sequence[Result], paired: Paired, row: int, other: int) -> Figure:
    """AP of one result less another's, with the paired interval."""
    mine, theirs = results[row].card.accuracy.ap, results[other].card.accuracy.ap
    if mine.value is None or theirs.value is None:
        return Figure.undefined("AP", "AP is undefined for one of them")
    interval = paired.interval(row, other)
    told = mine.caution if interval else "all boxes are in one group: no interval"
    return Figure(value=mine.value - theirs.value, unit="AP", n=mine.n, interval=interval, caution=told)


def loss_of(result: Result, by_hash: Mapping[str, Result], defined: Sequence[Result], paired: Paired) -> Loss | None:
    """A result against its parent; None where it names none.

    Args:
        result: The compressed one.
        by_hash: Results of the section by the hash of their submission.
        defined: Results of the section that have an AP.
        paired: Of those.
    """
    card, sha256 = result.card, result.card.submission.parent
    if sha256 is None:
        return None
    parent = by_hash.get(sha256)
    if parent is None or parent is result:
        none, ap = Figure.undefined("1", NOT_HERE), Figure.undefined("AP", NOT_HERE)
        return Loss(sha256=sha256, id=None, name=None, ap=ap, file_bytes=none, macs=none, latency=none)
    dense, number = parent.card, {one.id: place for place, one in enumerate(defined)}
    if result.id in number and parent.id in number:
        ap = ap_difference(defined, paired, number[result.id], number[parent.id])
    else:
        ap = Figure.undefined("AP", "AP is undefined for one of them")
    return Loss(
        sha256=sha256,
        id=parent.id,
        name=dense.submission.name,
        ap=ap,
        file_bytes=ratio(_bytes(card), _bytes(dense)),
        macs=ratio(_macs(card), _macs(dense)),
        latency=latency_ratio(card.latency, dense.latency, hardware(card) == hardware(dense)),
    )


def _bytes(card: Scorecard) -> Figure | None:
    return card.size.file_bytes if card.size else None


def _macs(card: Scorecard) -> Figure | None:
    return card.compute.macs if card.compute else None


def ratio(mine: Figure | None, theirs: Figure | None) -> Figure:
    """One cost over another.

    Example:
        >>> ratio(Figure(value=1.0, unit="B"), Figure(value=4.0, unit="B")).value
        0.25
    """
    if mine is None or theirs is None or mine.value is None or not theirs.value:
        return Figure.undefined("1", "one of the two was not measured")
    return Figure(value=mine.value / theirs.value, unit="1")


def latency_ratio(mine: Latency | None, theirs: Latency | None, same_hardware: bool) -> Figure:
    """Time over time on one hardware; otherwise ratio to the reference network over ratio, where that is the same."""
    if mine is None or theirs is None:
        return Figure.undefined("1", "one of the two was not measured")
    if same_hardware:
        return ratio(mine.p50, theirs.p50)
    if mine.reference != theirs.reference:
        return Figure.undefined("1", "measured on other hardware, against another reference network")
    return ratio(mine.reference_ratio, theirs.reference_ratio)


def hardware(card: Scorecard) -> str | None:
    """Where a card's latency was measured: times compare within one only. None where there is no latency."""
    if card.latency is None:
        return None
    if card.latency.device != "cpu":
        return card.latency.device
    threads = card.latency.threads
    return f"{card.environment.cpu}, {threads or 'unknown number of'} thread{'' if threads == 1 else 's'}"
