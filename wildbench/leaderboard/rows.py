"""One scorecard becomes one row."""

from __future__ import annotations

from collections.abc import Mapping

from wildbench.leaderboard.lineage import ancestors, hardware
from wildbench.leaderboard.model import (
    CategoryAccuracy,
    Loss,
    Row,
    RowCompute,
    RowErrors,
    RowLatency,
    RowSize,
    Standing,
)
from wildbench.leaderboard.results import Result
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
