"""Replicates: drawn as said, paired, the same bits whatever the threads, and equal to scoring the drawn set."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from coco_reference import Coco, Results, random_set
from scoring import match, measure_accuracy
from test_reweighting import duplicated, tied

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.measures.matching import Matches
from wildbench.measures.uncertainty import _bootstrap
from wildbench.measures.uncertainty._bootstrap import estimate, groups_of, jackknife, resample
from wildbench.scorecard import Accuracy, Figure


def data(coco: Coco) -> Dataset:
    return Dataset("random", None, coco, Path())


def measure(coco: Coco, results: Results) -> Accuracy:
    return measure_accuracy(data(coco), results)


@pytest.fixture(scope="module")
def pair() -> tuple[Coco, Results, list[Matches]]:
    """Two detectors on one set; the second lacks every other detection."""
    coco, results = tied(1)
    return coco, results, [match(data(coco), found) for found in (results, results[::2])]


def assert_figure(figure: Figure, value: float) -> None:
    assert (figure.value is None) == np.isnan(value)
    assert figure.value is None or value == pytest.approx(figure.value, abs=1e-12)


def assert_equals(found: _bootstrap.Replicates, row: int, detector: int, accuracy: Accuracy) -> None:
    """Every figure of a scorecard is that of a replicate."""
    for name in ("ap", "ap50", "ap75"):
        iou = {"ap": None, "ap50": 0.5, "ap75": 0.75}[name]
        assert_figure(getattr(accuracy, name), found.ap(iou=iou)[row, detector])
        for category, figures in accuracy.per_category.items():
            assert_figure(getattr(figures, name), found.ap(iou=iou, category=category)[row, detector])
    for area in ("small", "medium", "large"):
        assert_figure(getattr(accuracy, f"ap_{area}"), found.ap(area=area)[row, detector])
        assert_figure(getattr(accuracy, f"ar_{area}"), found.ar(area=area)[row, detector])
    for most in (1, 10, 100):
        assert_figure(getattr(accuracy, f"ar_{most}"), found.ar(most=most)[row, detector])
    for category, figures in accuracy.per_category.items():
        assert_figure(figures.ar_100, found.ar(category=category)[row, detector])


@pytest.mark.parametrize("seed", range(20))
def test_the_estimate_is_the_scorecard_s(seed: int) -> None:
    coco, results = random_set(seed)
    assert_equals(estimate([match(data(coco), results)]), 0, 0, measure(coco, results))


def test_a_replicate_is_the_drawn_set_scored(pair: tuple[Coco, Results, list[Matches]]) -> None:
    coco, results, matches = pair
    found = resample(matches, np.arange(6), replicates=20, seed=5)
    drawn = np.random.default_rng([5, 0]).integers(6, size=(20, 6))
    for row in range(20):
        weight = np.bincount(drawn[row], minlength=6)
        for detector, own in enumerate((results, results[::2])):
            assert_equals(found, row, detector, measure(*duplicated(coco, own, weight)))


def test_a_location_is_drawn_whole(pair: tuple[Coco, Results, list[Matches]]) -> None:
    coco, results, matches = pair
    places = [image | {"location": f"well {image['id'] % 2}"} for image in coco["images"]]
    kind, groups = groups_of(data(coco | {"images": places}))
    assert kind == "locations"
    every = {tuple(np.round(row, 9)) for row in resample(matches, groups, replicates=200).ap()}
    sets = [np.array(weight)[groups] for weight in ([2, 0], [1, 1], [0, 2])]
    by_hand = {
        tuple(
            np.round(estimate([match(data(again), found)]).ap()[0, 0], 9)
            for again, found in (duplicated(coco, own, weight) for own in (results, results[::2]))
        )
        for weight in sets
    }
    assert every == by_hand


def test_images_are_drawn_where_one_has_no_location() -> None:
    images = [{"id": 3, "location": "a"}, {"id": 1, "location": "a"}, {"id": 2}]
    kind, groups = groups_of(data({"images": images}))
    assert (kind, groups.tolist()) == ("images", [0, 1, 2])


def test_the_jackknife_leaves_one_group_out(pair: tuple[Coco, Results, list[Matches]]) -> None:
    coco, results, matches = pair
    groups = np.array([0, 0, 1, 2, 2, 2])
    found = jackknife(matches, groups)
    assert found.ap().shape == (3, 2)
    for group in range(3):
        assert_equals(found, group, 0, measure(*duplicated(coco, results, (groups != group).astype(int))))


def many_lions(images: int, rare: dict[int, int]) -> list[Matches]:
    """One box an image, of the category that `rare` names or the first; four in five are found."""
    categories = [rare.get(place, 0) for place in range(images)]
    truth = [
        {"id": place + 1, "image_id": place + 1, "category_id": category + 1, "area": 1600.0, "iscrowd": 0}
        | {"bbox": [5.0, 5.0, 40.0, 40.0]}
        for place, category in enumerate(categories)
    ]
    found = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5}
        for entry in truth
        if entry["id"] % 5
    ]
    names = [{"id": key + 1, "name": f"animal {key}"} for key in range(max(categories) + 1)]
    entries = [{"id": place + 1} for place in range(images)]
    return [match(data({"images": entries, "categories": names, "annotations": truth}), found)]


def test_many_groups_are_left_out_in_blocks_of_about_the_same_spread() -> None:
    matches, groups = many_lions(100, {}), np.arange(100)
    spreads = []
    for most in (100, 40, 20):
        without = jackknife(matches, groups, most=most).ar()[:, 0]
        assert len(without) == most
        spreads.append(float(np.sqrt((most - 1) / most * ((without - without.mean()) ** 2).sum())))
    assert spreads[0] == pytest.approx(0.04, rel=0.02)  # sqrt(0.8 x 0.2 / 100)
    assert spreads[1:] == pytest.approx([spreads[0]] * 2, rel=0.3)


@pytest.mark.parametrize("most", [10, 20, 50])
def test_no_block_holds_all_of_a_category_that_several_groups_hold(most: int) -> None:
    rare = {place + step * most: category for category, place in enumerate(range(7), start=1) for step in (0, 1, 3)}
    found = jackknife(many_lions(200, rare), np.arange(200), most=most)
    assert not np.isnan(found.precision[:, :, :, 0]).any()
    alone = jackknife(many_lions(200, {60: 1}), np.arange(200), most=most)
    assert np.isnan(alone.ap(category="animal 1")).sum() == 1


def test_no_thread_waits_for_a_processor_or_memory_that_is_not_there(
    pair: tuple[Coco, Results, list[Matches]],
) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert _bootstrap._threads(pair[2]) == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert _bootstrap._threads(pair[2]) == len(allowed)
    wide = dataclasses.replace(pair[2][0], start=np.array([0, 9 * 10**6]))  # 1.1 GB of running sums a thread
    assert _bootstrap._threads([wide]) == 1


def test_the_same_bits_whatever_the_threads(
    pair: tuple[Coco, Results, list[Matches]], monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = pair[2]
    first = resample(matches, np.arange(6), replicates=150)
    monkeypatch.setattr(_bootstrap, "ThreadPoolExecutor", lambda _: ThreadPoolExecutor(1))
    again = resample(matches, np.arange(6), replicates=150)
    assert first.precision.tobytes() == again.precision.tobytes()
    assert first.recall.tobytes() == again.recall.tobytes()
    other = resample(matches, np.arange(6), replicates=150, seed=1)
    assert first.precision.tobytes() != other.precision.tobytes()


def test_the_first_replicates_do_not_depend_on_how_many_there_are(pair: tuple[Coco, Results, list[Matches]]) -> None:
    many, few = (resample(pair[2], np.arange(6), replicates=count) for count in (90, 41))
    np.testing.assert_array_equal(many.precision[:, :41], few.precision)


def test_a_detector_is_not_touched_by_the_one_beside_it(pair: tuple[Coco, Results, list[Matches]]) -> None:
    both, alone = (resample(matches, np.arange(6), replicates=40) for matches in (pair[2], pair[2][1:]))
    np.testing.assert_array_equal(both.ap()[:, 1], alone.ap()[:, 0])


def test_more_draws_vary_less_as_the_root_of_their_number(pair: tuple[Coco, Results, list[Matches]]) -> None:
    usual, many = (resample(pair[2], np.arange(6), replicates=800, draws=draws) for draws in (24, 24 * 16))
    ratio = usual.ar()[:, 0].std() / many.ar()[:, 0].std()
    assert ratio == pytest.approx(4, rel=0.15)


def test_an_empty_set_has_no_figures() -> None:
    coco: Coco = {"images": [{"id": 1}], "categories": [{"id": 1, "name": "lion"}], "annotations": []}
    found = resample([match(data(coco), [])], np.zeros(1, dtype=np.int64), replicates=3)
    assert np.isnan(found.ap()).all()
    assert np.isnan(found.ar()).all()


def test_recall_is_spread_as_scipy_s_bootstrap_says() -> None:
    """Recall of one category is a ratio of sums over images, which scipy resamples by itself."""
    scipy_stats = pytest.importorskip("scipy.stats")
    coco = load_dataset("parksim", split="val", with_images=False).coco
    zebra = next(entry["id"] for entry in coco["categories"] if entry["name"] == "zebra")
    results = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5}
        for entry in coco["annotations"]
        if entry["id"] % 3
    ]
    images = sorted(image["id"] for image in coco["images"])
    boxes = [entry for entry in coco["annotations"] if entry["category_id"] == zebra]
    counts = np.array([sum(entry["image_id"] == image for entry in boxes) for image in images])
    found = np.array([sum(entry["image_id"] == image and entry["id"] % 3 > 0 for entry in boxes) for image in images])
    own = resample([match(data(coco), results)], np.arange(len(images)), replicates=4000).ar(category="zebra")[:, 0]
    theirs = scipy_stats.bootstrap(
        (found, counts), lambda hit, all_, axis: hit.sum(axis) / all_.sum(axis), paired=True, vectorized=True,
        n_resamples=4000, method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    assert np.nanstd(own) == pytest.approx(theirs.standard_error, rel=0.06)
    low, high = theirs.confidence_interval
    assert np.nanpercentile(own, [2.5, 97.5]) == pytest.approx([low, high], abs=0.03)
