"""The empty filter against scikit-learn, and against counting image by image."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coco_reference import random_set
from sklearn.metrics import roc_curve

from wildbench.datasets.coco import Dataset, Ints
from wildbench.datasets.predictions import Detections
from wildbench.measures.field import EmptyFilter, empty_filter
from wildbench.measures.field._measure_field import CURVE_POINTS, _thinned
from wildbench.measures.matching import Scored


def random_filter(seed: int) -> EmptyFilter:
    """Scores with ties and images without a detection, some images that do not take part."""
    rng = np.random.default_rng(seed)
    animal = rng.random(60) < 0.5
    score = np.round(np.clip(rng.normal(0.3 + 0.3 * animal, 0.25), 0, 1), int(rng.choice([1, 2, 6])))
    return EmptyFilter(score=score, animal=animal, judged=rng.random(60) < 0.9, hard=np.zeros(60, dtype=bool))


def copies(screen: EmptyFilter, weights: Ints) -> EmptyFilter:
    """Every image as often as it is drawn."""
    columns = {name: np.repeat(getattr(screen, name), weights) for name in ("score", "animal", "judged", "hard")}
    return EmptyFilter(**columns)


def counted(screen: EmptyFilter, threshold: float) -> tuple[float, float]:
    """Recall and false alarms, image by image."""
    kept = {True: 0, False: 0}
    many = {True: 0, False: 0}
    for score, animal, judged in zip(screen.score, screen.animal, screen.judged, strict=True):
        if judged:
            many[bool(animal)] += 1
            kept[bool(animal)] += score >= threshold
    recall, alarms = (kept[side] / many[side] if many[side] else float("nan") for side in (True, False))
    return recall, alarms


def chosen(screen: EmptyFilter, recall: float) -> float:
    """The highest threshold that keeps so many."""
    every = sorted({0.0, *screen.score[screen.judged].tolist()}, reverse=True)
    return next(threshold for threshold in every if counted(screen, threshold)[0] >= recall - 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_curve_is_scikit_learn_s(seed: int) -> None:
    screen = random_filter(seed)
    judged = screen.judged
    alarms, recall, thresholds = roc_curve(screen.animal[judged], screen.score[judged], drop_intermediate=False)
    curve = screen.curve()
    many = len(thresholds) - 1  # scikit-learn's first point keeps nothing; ours ends where all is kept
    assert curve.thresholds[:many].tolist() == thresholds[1:].tolist()
    assert curve.recall[:many] == pytest.approx(recall[1:])
    assert curve.alarms[:many] == pytest.approx(alarms[1:])
    assert (curve.recall[-1], curve.alarms[-1]) == (1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_every_drawn_set_is_counted_as_if_its_images_were_copied(seed: int) -> None:
    screen, rng = random_filter(seed), np.random.default_rng(seed)
    weights = rng.integers(0, 4, (5, 60))
    recalls, thresholds = (0.5, 0.9, 0.95, 1.0), (0.0, 0.2, 0.5, 1.0)
    at_thresholds, at_recalls = screen.at_thresholds(thresholds, weights), screen.at_recalls(recalls, weights)
    for row, often in enumerate(weights):
        drawn = copies(screen, often)
        for place, threshold in enumerate(thresholds):
            assert [share[row, place] for share in at_thresholds] == pytest.approx(counted(drawn, threshold))
        for place, recall in enumerate(recalls):
            expected = chosen(drawn, recall)
            assert [share[row, place] for share in at_recalls] == pytest.approx([expected, *counted(drawn, expected)])


def sets() -> Iterator[Scored]:
    for seed in range(6):
        coco, results = random_set(seed)
        rng = np.random.default_rng(seed)
        names = [entry["name"] for entry in coco["categories"]]
        images = [
            image | ({"annotated_categories": [name for name in names if rng.random() < 0.6]} if seed % 2 else {})
            for image in coco["images"]
        ]
        known = frozenset(entry["id"] for entry in coco["categories"][: 1 + seed])
        yield Scored(Dataset("random", None, coco | {"images": images}, Path()), Detections.from_coco(results), known)


def test_only_what_is_boxed_and_known_counts() -> None:
    for scored in sets():
        screen = empty_filter(scored)
        names = {entry["id"]: entry["name"] for entry in scored.dataset.categories}
        for place, image_id in enumerate(scored.image_ids.tolist()):
            image = next(one for one in scored.dataset.images if one["id"] == image_id)
            listed = image.get("annotated_categories", list(names.values()))
            counts = {one for one in scored.known or () if names[one] in listed}
            boxes = [one["category_id"] for one in scored.dataset.annotations if one["image_id"] == image_id]
            found = scored.detections.of_image(image_id)
            best = [score for score, one in zip(found.scores, found.category_ids, strict=True) if one in counts]
            assert screen.judged[place] == bool(counts)
            assert screen.animal[place] == any(one in counts for one in boxes)
            assert screen.score[place] == max(best, default=0.0)
            assert screen.hard[place] == (bool(boxes) or len(listed) < len(names))


def test_without_animals_or_without_empty_images_nothing_is_a_number() -> None:
    screen = random_filter(0)
    for part in (screen.animal, ~screen.animal):
        alone = replace(screen, judged=part)
        threshold, recall, alarms = (values[0, 0] for values in alone.at_recalls([0.9]))
        assert np.isnan(alarms)
        assert np.isnan(threshold) == np.isnan(recall) == (not alone.with_animals)


def test_a_thinned_curve_has_the_ends_and_the_bends() -> None:
    animal = np.arange(500) % 3 > 0
    score = np.linspace(0, 1, 500)
    screen = EmptyFilter(score=score, animal=animal, judged=np.ones(500, dtype=bool), hard=np.zeros(500, dtype=bool))
    thinned = _thinned(screen.curve())
    assert len(thinned.thresholds) <= CURVE_POINTS
    assert (thinned.thresholds[0], thinned.thresholds[-1]) == (1, 0)
    assert thinned.recall == sorted(thinned.recall)
    perfect = replace(screen, score=animal.astype(float))
    assert _thinned(perfect.curve()).recall == [1, 1]
