"""From the points of a sweep to its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from wildbench.comparison import SIZES, Change
from wildbench.errors import ScorecardError
from wildbench.scorecard import Scorecard
from wildbench.sweeps.grid import Sweep
from wildbench.sweeps.points import Point
from wildbench.sweeps.record import Failure, Group, Measures, Place, PointRecord, Summary, places, spread


def gather(sweep: Sweep, dense: Mapping[str, Scorecard], points: Sequence[Point], failed: Sequence[Failure]) -> Summary:
    """Make the record of a sweep.

    Args:
        sweep: What was asked.
        dense: Records of the dense parents by their name, at least one.
        points: Those that were run.
        failed: Those that could not be.
    """
    parents = {name: _measures(name, card) for name, card in dense.items()}
    records = [_point(point, parents[point.plan.dense.stem]) for point in points]
    card, paired = next(iter(dense.values())), points[0].comparison if points else None
    return Summary(
        wildbench=version("wildbench"),
        sweep=sweep.name,
        summary=sweep.summary,
        dataset=card.dataset,
        drawn=paired.drawn if paired else None,
        groups_drawn=paired.groups if paired else None,
        replicates=paired.replicates if paired else None,
        environment=card.environment,
        dense=list(parents.values()),
        points=records,
        groups=[_group(place) for place in places(records) if len(place) > 1],
        failed=list(failed),
    )


def _measures(name: str, card: Scorecard) -> Measures:
    size, compute, latency = card.size, card.compute, card.latency
    if size is None or size.file_bytes.value is None or compute is None or latency is None:
        raise ScorecardError(f"{name}: a scorecard without a model", remedy="evaluate the submission's file")
    return Measures(
        name=name,
        sha256=card.submission.sha256,
        detector=card.submission.detector,
        method=card.submission.method,
        file_bytes=int(size.file_bytes.value),
        parameters=size.parameters,
        nonzero=size.nonzero,
        macs=compute.macs,
        latency_ratio=latency.reference_ratio,
        ap=card.accuracy.ap,
        ap50=card.accuracy.ap50,
        mean_iou50=card.accuracy.mean_iou50,
    )


def _point(point: Point, dense: Measures) -> PointRecord:
    plan, (row,) = point.plan, point.comparison.rows
    own = _measures(plan.name, point.card)
    return PointRecord.model_validate(
        {
            **own.model_dump(),
            "recipe": plan.recipe.name,
            "steps": [
                {"method": step.method, "settings": step.settings.model_dump(mode="json")} for step in plan.recipe.steps
            ],
            "settings": plan.settings,
            "format": plan.format,
            "seed": plan.seed,
            "dense": plan.dense.stem,
            "parent": point.comparison.baseline_sha256,
            "ratio": dense.file_bytes / own.file_bytes,
            "overall": {name: _change(row.overall[name]) for name in ("ap", "ap50")},
            "sizes": {name: _change(row.sizes[name]) for name in SIZES},
            "per_category": {name: _change(changes["ap50"]) for name, changes in row.per_category.items()},
        }
    )


def _change(full: Change) -> dict[str, Any]:
    """What the record keeps of a change; a difference without an interval is one too."""
    difference = None if full.value is None or full.baseline is None else full.value - full.baseline
    return {
        "n": full.n,
        "dense": full.baseline,
        "value": full.value,
        "difference": difference,
        "interval": full.interval,
        "smallest": full.smallest,
        "caution": full.caution,
        "verdict": full.verdict,
    }


def _group(place: Place) -> Group:
    return Group(
        recipe=place[0].recipe,
        settings=place[0].settings,
        seeds=sorted({point.seed for point in place}),
        dense=sorted({point.dense for point in place}),
        ratio=spread([point.ratio for point in place]),
        ap=spread([point.ap.value for point in place]),
        ap50=spread([point.ap50.value for point in place]),
        ap_difference=spread([point.overall["ap"].difference for point in place]),
        ap50_difference=spread([point.overall["ap50"].difference for point in place]),
    )
