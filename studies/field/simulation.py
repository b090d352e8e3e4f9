"""Images of a known population as a detector's scores and counts see them.

The latent score of an image with an animal is normal around one mean, that of an empty one around another; parts of the
variance are those of the location and of the burst. Shares of the population are then integrals of the normal
distribution; what is no such integral is counted on `LARGE` images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

from wildbench.measures.field import EmptyFilter, Ratios
from wildbench.measures.field._drawing import PER_THOUSAND, Column, Drawing
from wildbench.measures.field._measure_field import fixed_recall
from wildbench.measures.field._ratios import COUNTS, counted, counted_by_sequence
from wildbench.measures.uncertainty import difference_interval
from wildbench.scorecard import Figure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ANIMAL, EMPTY = 1.3, -1.2
"""Mean latent score of an image with an animal, and of one without, in standard deviations."""

OTHER = (1.1, -0.9)
"""The same of a second detector, for differences."""

ALIKE = 0.7
"""Correlation of the two detectors' latent scores."""

LOCATION, BURST = 0.15, 0.15
"""Shares of the variance that the images of a location, and of a burst, have in common."""

BURST_IMAGES = 3

SIZES = (-0.6, 0.2, 0.9, 1.5)
"""Mean latent score of boxes by their share of the picture, far to near."""

SIZE_SHARE = (0.1, 0.2, 0.4, 0.3)

MORE, FALSE = 0.6, 0.15
"""Mean of the animals beyond the first in an image with one, and of false detections in any image."""

STATED = float(expit(0.0))
"""The threshold that somebody states: a latent score of 0."""

RECALLS = (0.90, 0.95, 0.96, 0.99)

LARGE = 300_000


@dataclass(frozen=True)
class Scenario:
    """Data sets of one kind: images, of which a share has an animal, over locations; None where each stands alone."""

    name: str
    images: int = 300
    with_animals: float = 0.5
    locations: int | None = None


SCENARIOS = (
    Scenario("300 images"),
    Scenario("90 images", images=90),
    Scenario("900 images", images=900),
    Scenario("1 in 20 empty", with_animals=0.95),
    *(Scenario(f"{number} locations", locations=number) for number in (5, 12, 20, 40)),
)


@dataclass(frozen=True)
class Sample:
    """One drawn data set; arrays [image] but for the boxes.

    Attributes:
        group: What is drawn again.
        sequence: Number of the burst.
        screens: Both detectors as empty filters.
        there: Animals, and `seen` those that are detected from `STATED` on.
        seen: See `there`.
        box_image: [box]: its image; `box_size` its size and `box_score` the score of what finds it.
        box_size: See `box_image`.
        box_score: See `box_image`.
    """

    group: Ints
    sequence: Ints
    screens: tuple[EmptyFilter, EmptyFilter]
    there: Floats
    seen: Floats
    box_image: Ints
    box_size: Ints
    box_score: Floats


def draw(scenario: Scenario, rng: np.random.Generator) -> Sample:
    """Draw a data set; without locations, each image stands alone also within its burst."""
    images = scenario.images
    sequence = np.arange(images) // BURST_IMAGES
    alone = np.arange(images)
    burst = sequence if scenario.locations else alone
    place = rng.integers(scenario.locations, size=images)[sequence] if scenario.locations else alone
    animal = (rng.random(images) < scenario.with_animals)[burst]
    whole = rng.normal(size=(2, images))
    whole = np.stack([whole[0], ALIKE * whole[0] + np.sqrt(1 - ALIKE**2) * whole[1]])
    shared = np.sqrt(LOCATION) * rng.normal(size=images)[place] + np.sqrt(BURST) * rng.normal(size=images)[burst]
    latent = shared + np.sqrt(1 - LOCATION - BURST) * whole
    screens = [
        EmptyFilter(
            score=expit(latent[side] + np.where(animal, *means)),
            animal=animal,
            judged=np.ones(images, dtype=np.bool_),
            hard=np.zeros(images, dtype=np.bool_),
        )
        for side, means in enumerate(((ANIMAL, EMPTY), OTHER))
    ]
    there = animal * (1 + rng.poisson(MORE, images))
    box_image = np.repeat(np.arange(images), there)
    size = rng.choice(len(SIZES), size=len(box_image), p=SIZE_SHARE)
    score = np.sqrt(1 - LOCATION - BURST) * rng.normal(size=len(size)) + shared[box_image] + np.array(SIZES)[size]
    seen = np.bincount(box_image[score >= 0], minlength=images) + rng.poisson(FALSE, images)
    return Sample(
        np.unique(place, return_inverse=True)[1],
        sequence,
        (screens[0], screens[1]),
        there.astype(float),
        seen.astype(float),
        box_image,
        size,
        expit(score),
    )


def truths(scenario: Scenario) -> dict[str, float]:
    """Figures of the population, by name."""
    latent = {f"{recall:.2f}": ANIMAL - ndtri(recall) for recall in RECALLS}
    known = {f"threshold at {name}": float(expit(one)) for name, one in latent.items()}
    known |= {f"false alarms at {name}": float(ndtr(EMPTY - one)) for name, one in latent.items()}
    known |= {"recall": float(ndtr(ANIMAL)), "false alarms": float(ndtr(EMPTY))}
    known |= {
        "difference of recall": float(ndtr(OTHER[0]) - ndtr(ANIMAL)),
        "difference of false alarms": float(ndtr(OTHER[1]) - ndtr(EMPTY)),
    }
    known |= {f"found, size {size}": float(ndtr(mean)) for size, mean in enumerate(SIZES)}
    locations = LARGE // 30 if scenario.locations else None
    large = draw(Scenario("", LARGE, scenario.with_animals, locations), np.random.default_rng(1))
    for prefix, table in _tables(large).items():
        if prefix != "found, size ":
            values = table(None)[0]
            known |= {prefix + name: float(value) for name, value in zip(table.names, values, strict=True)}
    return known


def _tables(sample: Sample) -> dict[str, Ratios]:
    """Every table of sums, by what its figures' names start with."""
    many, screen = len(sample.there), sample.screens[0]
    whole, parts = np.zeros((2, many, len(SIZES)))
    np.add.at(whole, (sample.box_image, sample.box_size), 1)
    np.add.at(parts, (sample.box_image, sample.box_size), sample.box_score >= STATED)
    every = np.ones(many, dtype=np.bool_)
    numbers = sample.there, sample.seen, every
    return {
        "found, size ": Ratios(tuple(map(str, range(len(SIZES)))), parts, whole),
        "count ": counted(sample.seen - sample.there, every),
        "burst ": counted_by_sequence(*numbers, screen, STATED, sample.sequence),
    }


def figures(sample: Sample, replicates: int) -> Iterator[tuple[str, float, tuple[float, float] | None]]:
    """Name, value and interval of every figure of one data set, as a record has them, false alarms as shares."""
    drawing = Drawing("locations", sample.group, sample.group, replicates)
    first, second = sample.screens
    tables = _tables(sample)
    chosen = first.at_recalls(RECALLS)[0][0].tolist()

    def filtered(weights: Ints) -> Floats:
        fixed = first.at_thresholds(chosen, weights)
        stated = [share for screen in (first, second) for share in screen.at_thresholds([STATED], weights)]
        return np.concatenate([*fixed, *stated], axis=1)

    columns, *drawn = (list(part) for part in drawing.columns([filtered, *tables.values()]))
    animal, empty = np.flatnonzero(first.animal), np.flatnonzero(~first.animal)
    many = len(RECALLS)
    for recall, kept, alarms in zip(RECALLS, columns[:many], columns[many : 2 * many], strict=True):
        point = fixed_recall(first, drawing, recall, kept, alarms)
        yield _told(f"threshold at {recall:.2f}", point.threshold)
        yield _told(f"false alarms at {recall:.2f}", point.false_alarms, PER_THOUSAND)
    for name, column, images in (("recall", columns[-4], animal), ("false alarms", columns[-3], empty)):
        yield _told(name, drawing.share(column, images, "images"))
    for name, images, mine, other in zip(
        ("recall", "false alarms"), (animal, empty), columns[-4:-2], columns[-2:], strict=True
    ):
        apart = other.less(mine)
        ends = difference_interval(apart.value, apart.drawn, apart.without, boxes=max(len(images), 1))
        yield f"difference of {name}", apart.value, ends
    for (prefix, table), part in zip(tables.items(), drawn, strict=True):
        for name, column, whole in zip(table.names, part, table.whole.T, strict=True):
            images = np.repeat(np.arange(len(whole)), whole.astype(np.int64))
            yield _told(prefix + name, _figure(drawing, name, column, images))


def _figure(drawing: Drawing, name: str, column: Column, images: Ints) -> Figure:
    if name in COUNTS[:2]:
        return drawing.mean(column, images, "images", "animals", least=0.0 if name == "error" else -np.inf)
    return drawing.share(column, images, "images")


def _told(name: str, figure: Figure, scale: float = 1.0) -> tuple[str, float, tuple[float, float] | None]:
    value = np.nan if figure.value is None else figure.value / scale
    return name, value, figure.interval and (figure.interval[0] / scale, figure.interval[1] / scale)
