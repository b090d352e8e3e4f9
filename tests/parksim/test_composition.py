"""What is seen of each animal in an image."""

import numpy as np
import pytest

from wildbench.parksim._animal import Individual
from wildbench.parksim._composition import MIN_PIXELS, Placed, Seen, paint, settle
from wildbench.parksim._planning import FRAME_BOTTOM, Guest, ImagePlan
from wildbench.parksim.scenes._canvas import HEIGHT, WIDTH
from wildbench.parksim.scenes._daylight import Daylight, daylight
from wildbench.parksim.scenes._locations import Scene, paint_location

Settled = tuple[list[Placed], list[Seen], Scene, Daylight]
NEAR = Guest(Individual("zebra", "adult", "male", "standing", 16), 0.2, 70.0, 250.0)
FAR = Guest(Individual("elephant", "adult", "male", "standing", 32), 0.2, 30.0, 260.0)
GIRAFFE = Guest(Individual("giraffe", "adult", "female", "standing", 48), 0.0, 90.0, 256.0)


def planned(*guests: Guest, location: int = 4, time: str = "day") -> ImagePlan:
    return ImagePlan(1, "train", location, time, "clear", 77, guests)


def settled(plan: ImagePlan) -> Settled:
    scene = paint_location(plan.location)
    light = daylight(plan.time_of_day, plan.weather, seed=plan.seed, forest=False)
    return *settle(plan, scene, light), scene, light


@pytest.fixture(scope="module")
def pair() -> Settled:
    return settled(planned(NEAR, FAR))


def test_far_animals_come_first_and_depth_order_counts_from_the_camera(pair: Settled) -> None:
    placed, seen, *_ = pair
    assert [one.guest.individual.species for one in placed] == ["elephant", "zebra"]
    assert [sight.depth_order for sight in seen] == [1, 0]


def test_visible_pixels_belong_to_the_silhouette_and_to_one_animal(pair: Settled) -> None:
    placed, seen, *_ = pair
    assert not (seen[0].mask & seen[1].mask).any()
    for one, sight in zip(placed, seen, strict=True):
        rows, columns = np.nonzero(sight.mask)
        assert one.sprite.mask[rows - one.place.top, columns - one.place.left].all()
        assert sight.mask.sum() >= MIN_PIXELS
        assert rows.max() < FRAME_BOTTOM


def test_occlusion_and_truncation_are_counted_from_the_masks(pair: Settled) -> None:
    placed, seen, *_ = pair
    for one, sight in zip(placed, seen, strict=True):
        rows, columns = np.nonzero(one.sprite.mask)
        y, x = rows + one.place.top, columns + one.place.left
        inside = ((y >= 0) & (y < FRAME_BOTTOM) & (x >= 0) & (x < WIDTH)).sum()
        assert sight.truncation == round(1 - inside / one.sprite.mask.sum(), 4)
        assert sight.occlusion == round(1 - sight.mask.sum() / inside, 4)


def test_what_stands_nearer_hides_and_what_stands_farther_does_not(pair: Settled) -> None:
    placed, seen, scene, _ = pair
    front = scene.canvas.front.reshape(HEIGHT, 2, WIDTH, 2)
    for one, sight in zip(placed, seen, strict=True):
        nearer = (front < np.float32(one.place.distance)).sum(axis=(1, 3))
        assert nearer[sight.mask].max() <= 2


def test_feet_stand_where_the_ground_is_that_far(pair: Settled) -> None:
    placed, _, scene, _ = pair
    for one in placed:
        assert abs(one.place.top + one.sprite.anchor[1] - scene.location.camera.row(one.place.distance)) <= 0.51


def test_a_giraffe_too_large_for_the_frame_is_truncated() -> None:
    _, (sight,), *_ = settled(planned(GIRAFFE, location=3))
    assert sight.truncation > 0.1
    assert sight.mask[0].any()


def test_light_decides_no_mask() -> None:
    by_day, by_night = (settled(planned(NEAR, FAR, time=time))[1] for time in ("day", "night"))
    for one, other in zip(by_day, by_night, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_animals_change_the_pictures_where_they_are(pair: Settled) -> None:
    placed, seen, scene, light = pair
    with_animals = paint(planned(NEAR, FAR), scene, light, placed).astype(int)
    without = paint(planned(), scene, light, []).astype(int)
    change = np.abs(with_animals - without).mean(axis=2)
    shown = seen[0].mask | seen[1].mask
    assert np.median(change[shown]) > 20
    assert np.median(change[:FRAME_BOTTOM][~shown[:FRAME_BOTTOM]]) < 8
