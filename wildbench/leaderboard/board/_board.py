"""Many results become one ranked, deterministic leaderboard."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from wildbench.errors import ScorecardError
from wildbench.leaderboard.board._fronts import fronts
from wildbench.leaderboard.board._lineage import ancestors, ap_difference, hardware, loss_of
from wildbench.leaderboard.board._model import (
    Board,
    CategoryAccuracy,
    Chain,
    Loss,
    Row,
    RowCompute,
    RowErrors,
    RowLatency,
    RowSize,
    Section,
    Standing,
)
from wildbench.leaderboard.board._ranking import Paired
from wildbench.leaderboard.results import Entry, Result, head
from wildbench.scorecard import Compute, Errors, Scorecard, Size, Statistics


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
        entry=result.entry,
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
    score = found.micronet.score if found.micronet else None
    return RowCompute(macs=found.macs, nonzero_macs=found.nonzero_macs, bops=found.bops, micronet_score=score)


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


def build_board(results: Iterable[Result], entries: Sequence[Entry] | None = None) -> Board:
    """Rank results, each among those that it compares with.

    Args:
        results: In any order: the board is the same.
        entries: The chain they stand in, where they were added.

    Raises:
        ScorecardError: There are none, or some of a section were resampled otherwise than the rest.
    """
    sections: dict[Key, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: result.id):
        sections[_key(result.card)].append(result)
    if not sections:
        raise ScorecardError("a leaderboard needs at least one result", remedy="add a scorecard first")
    return Board(
        chain=None if entries is None else Chain(entries=len(entries), head=head(entries)),
        sections=sorted(map(_section, sections.values()), key=_order),
    )


def _key(card: Scorecard) -> Key:
    """What has to be the same for two rows to compare. Names are no part of it: anybody may give a file another."""
    return card.dataset.sha256, card.protocol.version, tuple(sorted(card.accuracy.unknown_categories))


def _order(section: Section) -> tuple[str, str, int, str, list[str]]:
    data = section.dataset
    return data.name, data.split or "", section.protocol, data.sha256, section.left_out


def _section(results: Sequence[Result]) -> Section:
    card = min(results, key=lambda result: (result.entry or 0, result.id)).card  # the first that was added names it
    shapes = {(result.samples.drawn.shape, result.samples.without.shape) for result in results}
    if len(shapes) > 1:
        raise ScorecardError(
            f"{card.dataset.name}: its results were resampled differently", remedy="score them with one wildbench"
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
