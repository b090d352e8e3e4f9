"""Rows and the dense submissions they were made from, by the hashes that manifests state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wildbench.leaderboard.board._model import Loss
from wildbench.leaderboard.board._ranking import Paired
from wildbench.leaderboard.results import Result
from wildbench.scorecard import Figure, Latency, Scorecard

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
