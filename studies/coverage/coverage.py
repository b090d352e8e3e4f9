"""Whether 95 % intervals hold the truth in 95 % of cases: counted on simulated data sets whose truth is known."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from studies.coverage.population import Detector, truth
from studies.coverage.simulation import BETWEEN_DETECTORS, KINDS, Sample, draw
from studies.coverage.usual import bca_interval, percentile_interval
from wildbench.measures.uncertainty import (
    LEVEL,
    Interval,
    Replicates,
    difference_interval,
    estimate,
    interval,
    jackknife,
    resample,
)
from wildbench.progress import Progress, silent

Floats = npt.NDArray[np.float64]

SETS, REPLICATES = 1000, 300
"""Simulated data sets of a scenario, and resampled sets of each: the intervals take no far quantiles of those."""

CHOSEN, PERCENTILE, BCA = "wildbench", "percentile", "BCa"
"""Kinds of intervals: the scorecard's, and two that are usual."""

BY_BOXES = {4: "1-4 boxes", 9: "5-9 boxes", 19: "10-19 boxes", 39: "20-39 boxes"}
MANY_BOXES = "40 boxes or more"
"""How the figures of single categories are told apart: by the most boxes, and above the last."""

DIFFERENCE = "difference of "
"""What the name of a difference starts with."""

_WHOLE = ("AP", "AP50", "AR", "AP small", "AP medium", "AP large")


@dataclass(frozen=True)
class Scenario:
    """Data sets of one kind, and the detectors on them.

    Attributes:
        name: As it is printed.
        detectors: Two; the figures are those of the first, the differences those between them.
        images: In each data set.
        locations: How many the images are spread over; None where each stands alone.
        correlation: How alike the two detectors are, as `draw` takes it.
        thorough: Whether the first's figures by size and the usual intervals are looked at too, which takes longer.
    """

    name: str
    detectors: tuple[Detector, Detector]
    images: int = 168
    locations: int | None = None
    correlation: float = BETWEEN_DETECTORS
    thorough: bool = False


_PAIR = (Detector.of(3.0, 0.4, 0.5), Detector.of(2.8, 0.3, 0.5))
_NEAR_1 = (Detector.of(5.0, 2.6, 0.05), Detector.of(4.8, 2.5, 0.05))
SCENARIOS = (
    Scenario("168 images", _PAIR, thorough=True),
    Scenario("50 images", _PAIR, images=50),
    Scenario("400 images", _PAIR, images=400),
    Scenario("AP near 1", _NEAR_1),
    *(Scenario(f"{locations} locations", _PAIR, locations=locations) for locations in (5, 12, 20, 40)),
)
"""The first is like parksim's test split and its reference detector; each other one changes one thing of it."""


@dataclass(frozen=True)
class Coverage:
    """How one kind of interval did for one figure.

    Attributes:
        scenario: Its name.
        figure: Name of the figure.
        method: Kind of interval.
        truth: Mean of the true figures.
        bias: Mean of the measured figures less the truth.
        intervals: How many intervals were made.
        without: How many figures got none.
        below: Share of the intervals that lie below the truth.
        above: Share that lie above it.
        width: Mean width.
    """

    scenario: str
    figure: str
    method: str
    truth: float
    bias: float
    intervals: int
    without: int
    below: float
    above: float
    width: float

    @property
    def held(self) -> float:
        """Share of the intervals that hold the truth."""
        return 1 - self.below - self.above


@dataclass(frozen=True)
class _Try:
    """One figure of one data set: what is true, what was measured, and the intervals, by kind, if there are any."""

    figure: str
    truth: float
    measured: float
    intervals: dict[str, Interval] | None


def audit_coverage(
    scenario: Scenario,
    *,
    sets: int = SETS,
    replicates: int = REPLICATES,
    seed: int = 0,
    level: float = LEVEL,
    progress: Progress = silent,
) -> list[Coverage]:
    """Draw data sets, make intervals, and count those that hold the truth.

    Args:
        scenario: What to draw.
        sets: How many data sets.
        replicates: Resampled sets of each.
        seed: Data set k is drawn from the seeds (seed, k).
        level: What the intervals are made for.
        progress: Called as `progress(task, done, total)`.

    Returns:
        A row for each figure and kind of interval.
    """
    known = _columns(_population(scenario))
    tries = defaultdict(list)
    for number in range(sets):
        progress(scenario.name, number, sets)
        rng = np.random.default_rng([seed, number])
        sample = draw(
            scenario.detectors,
            scenario.images,
            rng,
            locations=scenario.locations,
            correlation=scenario.correlation,
        )
        for one in _tries(scenario, sample, known, replicates, level):
            tries[one.figure].append(one)
    progress(scenario.name, sets, sets)
    return [
        _count(scenario.name, method, tries[figure])
        for figure in sorted(tries, key=_order)
        for method in ((CHOSEN, PERCENTILE, BCA) if scenario.thorough else (CHOSEN,))
    ]


def as_json(rows: Sequence[Coverage]) -> str:
    """The rows as JSON, a row a line, shares and figures to five decimals."""

    def rounded(row: Coverage) -> str:
        entries = {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(row).items()}
        return json.dumps(entries)

    return "[\n" + ",\n".join(map(rounded, rows)) + "\n]\n"


def _population(scenario: Scenario) -> Replicates:
    """The true figures, as if they were measured once."""
    known = [truth(detector) for detector in scenario.detectors]
    recall = np.stack([one.recall for one in known])[:, None, :, :, None].repeat(3, axis=4)
    names = tuple(f"category {number}" for number in range(KINDS))
    return Replicates(names, np.stack([one.precision for one in known])[:, None], recall)


def _columns(measured: Replicates) -> Floats:
    """[replicate, figure, detector]: the figures over all categories, then AP and AP50 of each category."""
    whole = [measured.ap(), measured.ap(iou=0.5), measured.ar()]
    whole += [measured.ap(area=size) for size in ("small", "medium", "large")]
    each = measured.precision[:, :, :, 0].transpose(1, 2, 3, 0)
    return np.concatenate([np.stack(whole, axis=1), each.mean(axis=2), each[:, :, 0]], axis=1)


def _tries(scenario: Scenario, sample: Sample, known: Floats, replicates: int, level: float) -> Iterator[_Try]:
    """All figures of one data set, and the differences of the two detectors."""
    matches = [sample.matches(0, sizes=scenario.thorough), sample.matches(1, sizes=False)]
    groups = sample.location
    drawn = resample(matches, groups, replicates=replicates)
    measured = [_columns(side) for side in (estimate(matches), drawn, jackknife(matches, groups))]
    table = np.concatenate([known, *measured])

    boxes = np.bincount(sample.category, minlength=KINDS)
    sizes = [sample.category[sample.size == size] for size in range(3)]
    over = [*[sample.category] * 3, *sizes, *(np.full(number, 0) for number in [*boxes, *boxes])]
    names = [*_WHOLE, *(f"{kind}, {_bin(number)}" for kind in ("AP", "AP50") for number in boxes)]
    for index, name in enumerate(names):
        mine, theirs = table[:, index].T
        boxes_held, kinds = len(over[index]), len(set(over[index]))
        if not np.isnan(mine[1]):
            yield _try(
                name, mine, partial(interval, boxes=boxes_held, categories=kinds), replicates, level, scenario.thorough
            )
        if not np.isnan(theirs[1]):
            apart = partial(difference_interval, boxes=boxes_held, categories=kinds)
            yield _try(DIFFERENCE + name, mine - theirs, apart, replicates, level, scenario.thorough)


def _try(
    name: str, column: Floats, make: Callable[..., Interval | None], replicates: int, level: float, usual: bool
) -> _Try:
    """Intervals of a figure from its truth, its value, its replicates and its jackknife, which stand in this order."""
    true, value = float(column[0]), float(column[1])
    drawn, without = np.split(column[2:], [replicates])
    chosen = make(value, drawn, without, level=level)
    if chosen is None:
        return _Try(name, true, value, None)
    intervals = {CHOSEN: chosen}
    if usual:
        intervals[PERCENTILE] = percentile_interval(drawn, level=level)
        intervals[BCA] = bca_interval(value, drawn, without, level=level)
    return _Try(name, true, value, intervals)


def _count(scenario: str, method: str, tries: list[_Try]) -> Coverage:
    ends = [(one.truth, *one.intervals[method]) for one in tries if one.intervals is not None]
    known, low, high = np.array(ends).reshape(-1, 3).T
    many = max(len(ends), 1)
    return Coverage(
        scenario=scenario,
        figure=tries[0].figure,
        method=method,
        truth=float(np.mean([one.truth for one in tries])),
        bias=float(np.mean([one.measured - one.truth for one in tries])),
        intervals=len(ends),
        without=len(tries) - len(ends),
        below=float((high < known).sum() / many),
        above=float((low > known).sum() / many),
        width=float((high - low).sum() / many),
    )


def _bin(boxes: int) -> str:
    return next((name for most, name in BY_BOXES.items() if boxes <= most), MANY_BOXES)


def _order(figure: str) -> tuple[bool, bool, list[int]]:
    """Figures first, differences after them; all categories first, by number of boxes after them."""
    difference = figure.startswith(DIFFERENCE)
    kind, _, bin_ = figure.removeprefix(DIFFERENCE).partition(", ")
    places = [_WHOLE.index(kind), [*BY_BOXES.values(), MANY_BOXES].index(bin_) if bin_ else 0]
    return difference, bool(bin_), places
