"""The simulated population: its exact figures against brute force, and its data sets against the real matching."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from scoring import match, measure_accuracy

from studies.coverage.population import (
    BOXES_PER_GROUP,
    GROUPS_PER_IMAGE,
    REPORTED,
    SCORE_WITH_OVERLAP,
    SIZE_SCORE,
    SIZE_SHARE,
    WORST,
    Detector,
    latent_overlap,
    truth,
)
from studies.coverage.simulation import KINDS, SIDES, draw
from wildbench.datasets.label_checks import validate
from wildbench.measures.matching import THRESHOLDS
from wildbench.measures.uncertainty._bootstrap import estimate

PAIR = [Detector.of(3.0, 0.4, 0.5), Detector.of(5.0, 2.6, 0.05)]


@pytest.fixture(scope="module")
def truths() -> list[np.ndarray]:
    return [truth(detector).precision for detector in PAIR]


def test_the_counts_are_parksim_s() -> None:
    boxes = 168 * GROUPS_PER_IMAGE * BOXES_PER_GROUP
    assert boxes.sum() == pytest.approx(327)
    assert sorted(boxes.round().astype(int)) == sorted([20, 35, 39, 30, 24, 15, 39, 15, 16, 29, 22, 24, 19])


def test_recall_is_that_of_the_bivariate_normal_distribution() -> None:
    detector, category = PAIR[0], 4
    found = []
    for threshold in THRESHOLDS:
        least = np.array([REPORTED, latent_overlap(threshold)])
        for share, shift in zip(SIZE_SHARE, SIZE_SCORE, strict=True):
            means = np.array([detector.score[category] + shift, detector.overlap[category] + shift / 2])
            both = multivariate_normal(-means, [[1, SCORE_WITH_OVERLAP], [SCORE_WITH_OVERLAP, 1]])
            found.append(share * both.cdf(-least))
    assert truth(detector).recall[category, 0] == pytest.approx(sum(found) / len(THRESHOLDS), abs=1e-5)


def test_the_worst_and_the_best_overlap_are_the_ends_of_the_latent_one() -> None:
    assert latent_overlap(WORST) == -np.inf
    assert latent_overlap((1 + WORST) / 2) == pytest.approx(0, abs=1e-12)
    assert latent_overlap(1.0) == np.inf


def test_the_integral_has_converged() -> None:
    coarse, fine = (truth(PAIR[0], points) for points in (4001, 8001))
    assert np.abs(coarse.precision - fine.precision).max() < 5e-4
    assert np.abs(coarse.recall - fine.recall).max() < 1e-6


def test_a_detector_without_false_alarms_that_overlaps_well_has_the_precision_of_its_recall() -> None:
    """Where all that is reported is true, AP is the share of recall points that are reached."""
    sure = truth(Detector(np.full(KINDS, 0.5), np.full(KINDS, 20.0), 0.0))
    expected = [np.floor(recall * 100 + 1) / 101 for recall in sure.recall[:, 0]]
    assert sure.precision[:, 0, 0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("locations", "detector"), [(None, 0), (None, 1), (20_000, 0)])
def test_the_figures_are_those_of_a_very_large_sample(
    truths: list[np.ndarray], locations: int | None, detector: int
) -> None:
    sample = draw([PAIR[detector]], 40_000, np.random.default_rng(3), locations=locations)
    measured = estimate([sample.matches(0, sizes=False)])
    apart = measured.precision[0, 0, :, 0] - truths[detector][:, 0]
    assert abs(apart.mean()) < 0.005
    assert abs(apart[:, 0].mean()) < 0.006
    assert np.abs(apart).max() < 0.06


def test_sizes_too(truths: list[np.ndarray]) -> None:
    sample = draw(PAIR[:1], 15_000, np.random.default_rng(4))
    measured = estimate([sample.matches(0)]).precision[0, 0] - truths[0]
    assert np.abs(measured.mean(axis=(0, 2))).max() < 0.02


@pytest.mark.parametrize("detector", [0, 1])
@pytest.mark.parametrize("locations", [None, 12])
def test_what_became_of_each_detection_is_what_matching_finds_in_the_coco_dicts(
    detector: int, locations: int | None
) -> None:
    sample = draw(PAIR, 168, np.random.default_rng(11), locations=locations)
    dataset, results = sample.coco(detector)
    assert [finding for finding in validate(dataset.coco, None) if finding.severity == "error"] == []
    known, found = sample.matches(detector), match(dataset, results)
    for name in ("start", "image", "score", "place", "outcome"):
        assert np.array_equal(getattr(known, name), getattr(found, name)), name
    assert np.array_equal(np.unique(known.boxes, axis=0), np.unique(found.boxes, axis=0))
    assert len(known.boxes) == len(found.boxes)
    figures = measure_accuracy(dataset, results)
    measured = estimate([known])
    assert measured.ap()[0, 0] == pytest.approx(figures.ap.value, abs=1e-12)
    assert measured.ap(area="small")[0, 0] == pytest.approx(figures.ap_small.value, abs=1e-12)
    assert measured.ar(most=1)[0, 0] == pytest.approx(figures.ar_1.value, abs=1e-12)


def test_images_and_locations_are_alike_within() -> None:
    """The boxes of one image, and of one location, do alike: their overlaps are correlated."""
    rng = np.random.default_rng(0)
    sample = draw(PAIR[:1], 20_000, rng, locations=2_000)
    found = sample.found[0]
    true = found.box >= 0
    overlap, place = found.overlap[true], sample.location[found.image[true]]
    means = np.bincount(place, overlap, 2_000) / np.maximum(np.bincount(place, minlength=2_000), 1)
    shuffled = rng.permutation(overlap)
    chance = np.bincount(place, shuffled, 2_000) / np.maximum(np.bincount(place, minlength=2_000), 1)
    assert means.var() > 1.3 * chance.var()


def test_two_detectors_see_the_same_boxes_and_do_alike() -> None:
    sample = draw([PAIR[0], PAIR[0]], 5_000, np.random.default_rng(2))
    overlaps = []
    for found in sample.found:
        of_box = np.zeros(len(sample.image))
        of_box[found.box[found.box >= 0]] = found.overlap[found.box >= 0]
        overlaps.append(of_box)
    both = (overlaps[0] > 0) & (overlaps[1] > 0)
    assert 0.5 < np.corrcoef(overlaps[0][both], overlaps[1][both])[0, 1] < 0.8


def test_a_detection_is_of_the_size_of_its_box_whatever_the_overlap() -> None:
    areas = SIDES**2
    assert areas[0] < 32**2 <= areas[1] * WORST < areas[1] < 96**2 <= areas[2] * WORST


def test_same_seed_same_sample() -> None:
    first, second = (draw(PAIR, 50, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first.found[1].score, second.found[1].score)
    assert np.array_equal(first.image, second.image)
