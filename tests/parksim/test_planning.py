"""Counts, groups and sizes of a plan."""

from collections import Counter

import pytest

from wildbench.categories import CATEGORIES, PAPER_COUNTS, SPLITS
from wildbench.parksim._planning import ImagePlan, largest_remainder, plan, split_counts
from wildbench.parksim.scenes._canvas import Camera
from wildbench.parksim.scenes._locations import LOCATIONS


@pytest.fixture(scope="module")
def images() -> list[ImagePlan]:
    return plan()


def test_published_proportions_give_1309_by_largest_remainder() -> None:
    # By hand: floor(n * 1309 / 1409), then one more each for the nine largest remainders.
    expected = [94, 141, 122, 154, 157, 74, 100, 59, 57, 90, 65, 114, 82]
    assert list(largest_remainder(PAPER_COUNTS, 1309).values()) == expected
    assert sum(expected) == 1309


@pytest.mark.parametrize(("split", "share"), [("train", 0.6), ("val", 0.15), ("test", 0.25)])
def test_each_split_has_its_share_of_every_category(split: str, share: float) -> None:
    whole = largest_remainder(PAPER_COUNTS, 1309)
    counts = split_counts()[split]
    assert abs(sum(counts.values()) - share * 1309) < 1
    assert all(abs(counts[name] - share * whole[name]) < 2 for name in CATEGORIES)


def test_splits_add_up_to_the_whole() -> None:
    parts = split_counts()
    whole = {name: sum(parts[split][name] for split in SPLITS) for name in CATEGORIES}
    assert whole == largest_remainder(PAPER_COUNTS, 1309)


def test_plan_keeps_the_counts(images: list[ImagePlan]) -> None:
    planned = Counter((one.split, guest.individual.species) for one in images for guest in one.guests)
    assert planned == {(split, name): n for split, counts in split_counts().items() for name, n in counts.items()}


def test_locations_are_twenty_and_belong_to_one_split_each(images: list[ImagePlan]) -> None:
    assert {one.location for one in images} == set(range(1, 21))
    assert all(LOCATIONS[one.location - 1].split == one.split for one in images)
    assert {place.habitat for place in LOCATIONS} == {"savanna", "river", "forest"}


def test_about_eight_percent_of_the_frames_are_empty(images: list[ImagePlan]) -> None:
    empty = sum(not one.guests for one in images) / len(images)
    assert 0.07 < empty < 0.09


def test_every_light_and_weather_occurs_in_every_split(images: list[ImagePlan]) -> None:
    for split in SPLITS:
        own = [one for one in images if one.split == split]
        assert {one.time_of_day for one in own} == {"day", "dusk", "night"}
        assert {one.weather for one in own} == {"clear", "haze", "dust", "rain"}


def test_same_seed_same_plan_and_another_seed_another() -> None:
    assert plan(3) == plan(3)
    assert plan(3) != plan(4)


def test_an_animal_of_h_metres_at_d_metres_is_focal_h_by_d_pixels_tall() -> None:
    camera = Camera(height=1.5, focal=400.0, horizon=150.0)
    assert camera.row(8.0) == 150.0 + 400.0 * 1.5 / 8.0
    assert camera.row(1e9) == pytest.approx(camera.horizon)
