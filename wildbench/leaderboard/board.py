"""Many results become one ranked, deterministic leaderboard."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from wildbench.errors import ScorecardError
from wildbench.leaderboard.chain import Entry, head
from wildbench.leaderboard.fronts import fronts
from wildbench.leaderboard.lineage import ap_difference, loss_of
from wildbench.leaderboard.model import Board, Chain, Row, Section, Standing
from wildbench.leaderboard.ranking import Paired
from wildbench.leaderboard.results import Result
from wildbench.leaderboard.rows import make_row
from wildbench.scorecard import Scorecard

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
