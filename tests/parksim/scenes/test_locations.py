"""The twenty cameras."""

import numpy as np
import pytest

from wildbench.parksim.scenes._canvas import WIDTH
from wildbench.parksim.scenes._ground import River
from wildbench.parksim.scenes._locations import LOCATIONS, Scene, paint_location


@pytest.fixture(scope="module", params=[4, 7, 20], ids=["savanna", "river", "forest"])
def scene(request: pytest.FixtureRequest) -> Scene:
    return paint_location(request.param)


def test_locations_are_numbered_and_different() -> None:
    assert [place.number for place in LOCATIONS] == list(range(1, 21))
    assert len({(place.camera, place.soil, place.grass, place.trees, place.river) for place in LOCATIONS}) == 20
    assert all((place.river is not None) == (place.habitat == "river") for place in LOCATIONS)


def test_ground_is_as_far_as_its_row_says(scene: Scene) -> None:
    camera, canvas = scene.location.camera, scene.canvas
    bare = np.isinf(canvas.front) & (canvas.depth < 100.0)
    rows, columns = np.nonzero(bare)
    expected = camera.height * camera.focal / ((rows + 0.5) / 2 - camera.horizon)
    np.testing.assert_allclose(canvas.depth[rows, columns], expected, rtol=1e-4)


def test_everything_in_front_has_a_depth_and_a_colour(scene: Scene) -> None:
    canvas = scene.canvas
    near = np.isfinite(canvas.front)
    np.testing.assert_array_equal(canvas.front[near], canvas.depth[near])
    assert (canvas.albedo[near] >= 0.0).all()
    assert canvas.albedo[near].mean() > 0.02
    assert 0.2 < near.mean() < 1.0


def test_water_only_at_rivers_and_only_where_the_river_is(scene: Scene) -> None:
    water, place = scene.canvas.water, scene.location
    assert water.any() == (place.habitat == "river")
    rows, columns = np.nonzero(water)
    for row, column in list(zip(rows, columns, strict=True))[::4001]:
        z = float(scene.canvas.depth[row, column])
        assert not place.dry((column + 0.5 - WIDTH) * z / (2 * place.camera.focal), z)


def test_river_lies_between_its_banks() -> None:
    river = River(near=8.0, far=20.0, wind=1.0, slant=0.0, seed=5)
    x = np.linspace(-5.0, 5.0, 50)
    near, far = river.banks(x)
    assert (near < far).all()
    assert river.holds(x, 0.5 * (near + far)).all()
    assert not river.holds(x, near - 0.01).any()
    assert not river.holds(x, far + 0.01).any()


def test_painting_again_gives_the_same_bits() -> None:
    one, other = paint_location(15), paint_location.__wrapped__(15)
    np.testing.assert_array_equal(one.canvas.front, other.canvas.front)
    np.testing.assert_array_equal(one.canvas.albedo, other.canvas.albedo)
