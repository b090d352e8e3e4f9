"""Individuals and their sprites: postures, sizes, outlines, colour, shadow."""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from wildbench.categories import CATEGORIES
from wildbench.parksim._animal import (
    Individual,
    Light,
    Sprite,
    View,
    body_of,
    extend,
    height_m,
    length_m,
    postures,
    reduce,
    render_animal,
    sampled,
)
from wildbench.parksim._sdf import bounds, camera, seen, trace
from wildbench.parksim._skeleton import posed
from wildbench.parksim.species import KINDS, kind_of

Mask = NDArray[np.bool_]
Point = tuple[float, float, float]

DAY = Light((-0.5183, 0.5615, 0.6447), (2.6, 2.4, 2.0), (0.5, 0.6, 0.7), (0.3, 0.25, 0.15))
NIGHT = Light((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.05, 0.05, 0.05), (0.05, 0.05, 0.05), infrared=True)
ZEBRA = Individual("zebra", "adult", "female", "standing", 6)


def sprite(
    individual: Individual = ZEBRA, azimuth: float = 0.4, elevation: float = 0.1, tall: float = 60.0, light: Light = DAY
) -> Sprite:
    return render_animal(individual, View(azimuth, elevation, tall / height_m(individual)), light)


def box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union of two masks laid over each other by the middle of their boxes."""
    canvas = np.zeros((2, 400, 400), bool)
    for one, mask in zip(canvas, (a, b), strict=True):
        left, top, right, bottom = box(mask)
        y, x = 200 - (bottom - top) // 2, 200 - (right - left) // 2
        one[y : y + bottom - top, x : x + right - left] = mask[top:bottom, left:right]
    return float((canvas[0] & canvas[1]).sum() / (canvas[0] | canvas[1]).sum())


@pytest.mark.parametrize("species", CATEGORIES)
def test_every_posture_stands_on_the_ground(species: str) -> None:
    for n, posture in enumerate(postures(species)):
        for age in ("adult", "juvenile"):
            individual = Individual(species, age, ("female", "male")[n % 2], posture, 16 * n + n % 4)
            seen_from_the_side = sprite(individual, azimuth=0.3, elevation=0.0, tall=30.0)
            assert seen_from_the_side.mask.sum() > 40
            bottom = box(seen_from_the_side.mask)[3]
            # A tail may lie below the line of the feet, and blending sinks a belly a little.
            assert abs(bottom - seen_from_the_side.anchor[1]) <= 0.1 * length_m(individual) * 30.0 / height_m(
                individual
            )


@pytest.mark.parametrize("tall", [24.0, 70.0, 150.0])
def test_mask_alpha_depth_and_colour_agree(tall: float) -> None:
    s = sprite(tall=tall)
    np.testing.assert_array_equal(s.mask, s.alpha >= 0.5)
    np.testing.assert_array_equal(np.isnan(s.depth), s.alpha == 0.0)
    assert np.isfinite(s.rgb[s.alpha > 0]).all()
    assert s.rgb.min() >= 0.0
    assert s.rgb[s.mask].mean() > 0.05
    assert {array.dtype for array in (s.rgb, s.alpha, s.depth, s.shadow)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("species", CATEGORIES)
def test_box_is_the_projection_of_the_body(species: str) -> None:
    individual = Individual(species, "adult", "female", postures(species)[1], 3)
    view = View(0.7, 0.2, 90.0 / height_m(individual))
    s = render_animal(individual, view, DAY)
    capsules = seen(body_of(individual).capsules, camera(view.azimuth, view.elevation))
    left, right, bottom, top = (edge * view.pixels_per_metre for edge in bounds(capsules))
    expected = (s.anchor[0] + left, s.anchor[1] - top, s.anchor[0] + right, s.anchor[1] - bottom)
    # Parts bulge where they blend, thin tips cover less than half of their pixel.
    assert np.abs(np.subtract(box(s.mask), expected)).max() <= 5.0


def test_twice_the_scale_is_twice_the_box() -> None:
    small, large = (box(sprite(tall=tall).mask) for tall in (70.0, 140.0))
    assert large[2] - large[0] == pytest.approx(2 * (small[2] - small[0]), abs=4)
    assert large[3] - large[1] == pytest.approx(2 * (small[3] - small[1]), abs=4)


def test_outline_from_behind_is_the_mirror_of_the_outline_in_front() -> None:
    crocodile = Individual("crocodile", "adult", "male", "crawling", 4)
    front, behind = (sprite(crocodile, azimuth=a, elevation=0.0, tall=30.0).mask for a in (0.5, 0.5 + math.pi))
    assert overlap(front, behind[:, ::-1]) > 0.95
    assert overlap(front, behind) < 0.9


def test_outline_depends_on_the_side() -> None:
    side, ahead = sprite(azimuth=0.0).mask, sprite(azimuth=math.pi / 2).mask
    assert overlap(side, ahead) < 0.6


def test_head_is_at_the_right_seen_from_its_right_and_nearer_when_it_comes() -> None:
    giraffe = Individual("giraffe", "adult", "male", "standing", 4)
    s = sprite(giraffe, azimuth=0.0, tall=100.0)
    assert np.flatnonzero(s.mask[: len(s.mask) // 5].any(0)).mean() > s.anchor[0]
    coming = sprite(giraffe, azimuth=math.pi / 2, elevation=0.0, tall=100.0)
    assert np.nanmean(coming.depth[: len(coming.mask) // 5]) > 0.3


def test_night_is_grey_and_eyes_shine_back() -> None:
    lion = Individual("lion", "adult", "female", "standing", 14)
    s = sprite(lion, azimuth=math.pi / 2, tall=100.0, light=NIGHT)
    np.testing.assert_array_equal(s.rgb[..., 0], s.rgb[..., 2])
    assert s.rgb[..., 0].max() > 4 * np.median(s.rgb[s.mask][:, 0])
    person = Individual("person", "adult", "female", "standing", 14)
    s = sprite(person, azimuth=math.pi / 2, tall=100.0, light=NIGHT)
    assert s.rgb[..., 0].max() < 1.2


def test_light_does_not_touch_the_mask() -> None:
    np.testing.assert_array_equal(sprite(light=DAY).alpha, sprite(light=NIGHT).alpha)


def test_sunny_side_is_brighter() -> None:
    elephant = Individual("elephant", "adult", "male", "standing", 2)
    lit = {}
    for side, x in (("left", -0.9), ("right", 0.9)):
        s = sprite(elephant, azimuth=math.pi / 2, light=Light((x, 0.3, 0.3), DAY.sun, DAY.sky, DAY.ground))
        half = s.mask.copy()
        half[:, round(s.anchor[0]) :] = False
        lit[side] = s.rgb[half].mean()
    assert lit["left"] > 1.5 * lit["right"]


def shadow_reach(direction: Point) -> tuple[float, float]:
    """How far right of the anchor the shadow's middle lies, and how wide it is, in pixels."""
    x, y, z = (float(part / np.linalg.norm(direction)) for part in direction)
    s = sprite(elevation=0.3, light=Light((x, y, z), DAY.sun, (0.01, 0.01, 0.01), DAY.ground))
    columns = np.nonzero(s.shadow > 0.5)[1]
    return float(columns.mean() + s.shadow_offset[0] - s.anchor[0]), float(np.ptp(columns))


def test_shadow_falls_away_from_the_sun_and_is_longer_when_it_is_low() -> None:
    assert shadow_reach((-0.7, 0.7, 0.1))[0] > 5.0
    assert shadow_reach((0.7, 0.7, 0.1))[0] < -5.0
    assert shadow_reach((-0.9, 0.4, 0.1))[1] > shadow_reach((-0.4, 0.9, 0.1))[1]


def test_shadow_lies_on_the_ground_plane() -> None:
    s = sprite(elevation=0.3)
    assert 0.0 <= s.shadow.min() <= s.shadow.max() <= 1.0
    # With the sun overhead the shadow is the animal's own plan, flattened by the camera's low view.
    overhead = Light((0.0, math.cos(0.3), math.sin(0.3)), DAY.sun, DAY.sky, DAY.ground)
    s = sprite(azimuth=0.0, elevation=0.3, light=overhead)
    rows, columns = np.nonzero(s.shadow > 0.4)
    left, _, right, _ = box(s.mask)
    assert abs(columns.min() + s.shadow_offset[0] - left) <= 6
    assert abs(columns.max() + s.shadow_offset[0] - right) <= 6
    assert np.ptp(rows) < 0.35 * (right - left)
    assert abs(rows.mean() + s.shadow_offset[1] - s.anchor[1]) <= 3


DIGEST = """
import hashlib, sys
from wildbench.parksim._animal import Individual, Light, View, render_animal
light = Light((0.0, 0.6, 0.8), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
digest = hashlib.sha256()
cast = [("zebra", "walking"), ("lion", "sitting"), ("bird", "pecking"), ("gorilla", "walking")]
for n, (species, posture) in enumerate(cast):
    sprite = render_animal(Individual(species, "adult", "male", posture, 16 + n), View(0.8 * n, 0.15, 40.0), light)
    digest.update(repr(sprite.alpha.shape).encode() + sprite.alpha.tobytes() + repr(sprite.anchor).encode())
sys.stdout.write(digest.hexdigest())
"""
MASKS = "1674290108ad99cd32826dad6ffd70bb4448a051d5642f683bac5c87d53dd034"


def test_masks_are_the_same_in_every_process_and_on_every_machine() -> None:
    result = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    assert result.stdout == MASKS


def test_pixels_repeat() -> None:
    one, two = (sprite(Individual("leopard", "adult", "male", "stalking", 9), light=DAY) for _ in range(2))
    assert hashlib.sha256(one.rgb.tobytes()).digest() == hashlib.sha256(two.rgb.tobytes()).digest()


def test_every_category_is_drawn() -> None:
    assert set(KINDS) == set(CATEGORIES)


# Shoulder or standing heights and lengths of grown animals, with room for individuals (Kingdon, Field Guide to African
# Mammals; Sinclair, Birds of Southern Africa): height then length in metres.
SIZES = {
    "giraffe": ((3.8, 5.5), (2.0, 4.5)), "person": ((1.5, 2.05), (0.3, 0.9)), "zebra": ((1.5, 2.0), (2.0, 2.8)),
    "elephant": ((2.4, 3.6), (3.2, 5.5)), "impala": ((1.1, 1.9), (1.2, 1.7)), "monkey": ((0.4, 0.75), (0.8, 1.4)),
    "lion": ((0.95, 1.5), (2.0, 2.8)), "leopard": ((0.6, 0.95), (1.7, 2.5)), "crocodile": ((0.3, 0.6), (3.0, 4.6)),
    "buffalo": ((1.3, 1.9), (2.2, 3.2)), "hyena": ((0.8, 1.3), (1.3, 1.9)), "bird": ((0.45, 2.6), (0.4, 1.9)),
    "gorilla": ((1.0, 1.6), (1.0, 1.7)),
}  # fmt: skip


@pytest.mark.parametrize("species", CATEGORIES)
@pytest.mark.parametrize("sex", ["female", "male"])
def test_grown_animals_have_the_size_of_their_kind_and_the_young_are_smaller(species: str, sex: str) -> None:
    for seed in range(8):
        adult, young = (Individual(species, age, sex, postures(species)[0], seed) for age in ("adult", "juvenile"))
        (low, high), (short, long) = SIZES[species]
        assert low < height_m(adult) < high
        assert short < length_m(adult) < long
        assert height_m(young) < 0.85 * height_m(adult)
        assert length_m(young) < 0.95 * length_m(adult)


@pytest.mark.parametrize(("species", "part"), [("lion", "mane"), ("impala", "horn"), ("gorilla", "silver")])
def test_marks_of_grown_males(species: str, part: str) -> None:
    def wears(age: str, sex: str) -> bool:
        return part in body_of(Individual(species, age, sex, "standing", 1)).materials

    assert wears("adult", "male")
    assert not wears("adult", "female")


@pytest.mark.parametrize("species", CATEGORIES)
def test_drawings_are_alike_on_both_sides(species: str) -> None:
    for kind in KINDS[species]:
        body = posed(kind.figure, {}, {}, {"adult", "male"}, level=False)
        front = body.capsules[:, [2, 1, 0, 5, 4, 3, 6, 7, 8, 11, 10, 9, 12, 13, 14, 15]].copy()
        front[:, 14] = 0.0
        pixel = round(float(np.ptp(front[:, 1])) / 80.0, 6)
        depth = trace(front, -60 * pixel, 110 * pixel, pixel, 120, 120)
        assert np.isfinite(depth).sum() > 300
        assert (np.isfinite(depth) ^ np.isfinite(depth[:, ::-1])).sum() <= 0.01 * np.isfinite(depth).sum()


def test_seed_decides_everything_about_an_individual() -> None:
    one, same, other = (body_of(Individual("hyena", "adult", "male", "walking", seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.capsules, same.capsules)
    assert not np.array_equal(one.capsules, other.capsules)


def test_birds_of_a_feather_share_a_remainder() -> None:
    kinds = [kind_of("bird", seed) for seed in range(4)]
    assert len({id(kind) for kind in kinds}) == 4
    assert [kind_of("bird", seed + 32) for seed in range(4)] == kinds


NAN = np.nan


def test_every_covered_pixel_keeps_a_ray_to_be_coloured() -> None:
    depth = np.where(np.random.default_rng(0).random((30, 36)) < 0.3, 1.0, NAN)
    for finer in (2, 3):
        kept = ~np.isnan(sampled(depth, finer))
        blocks = (30 // finer, finer, 36 // finer, finer)
        covered = ~np.isnan(depth).reshape(blocks).all((1, 3))
        np.testing.assert_array_equal(kept.reshape(blocks).any((1, 3)), covered)
        assert kept.sum() < (~np.isnan(depth)).sum()


def test_reduce_averages_colour_counts_coverage_and_keeps_the_nearest() -> None:
    depth = np.array([[1.0, NAN], [3.0, 2.0]])
    coloured = np.array([[1.0, NAN], [NAN, 2.0]])
    rgb = np.array([[[0.2] * 3, [9.0] * 3], [[9.0] * 3, [0.4] * 3]])
    colour, alpha, nearest = reduce(rgb, coloured, depth, 2)
    np.testing.assert_allclose(colour, [[[0.3] * 3]])
    assert (alpha.item(), nearest.item()) == (0.75, 3.0)


def test_extend_gives_the_fringe_the_mean_of_its_neighbours() -> None:
    depth = np.full((3, 4), NAN)
    depth[1, 1], depth[2, 1] = 5.0, 7.0
    rgb = np.zeros((3, 4, 3))
    rgb[1, 1], rgb[2, 1] = 0.2, 0.6
    colour, deep = extend(rgb, depth)
    np.testing.assert_allclose(colour[1, 2], 0.4)
    np.testing.assert_allclose(colour[1, 1], 0.2)
    assert (deep[1, 2], deep[0, 0], deep[1, 3]) == (7.0, 5.0, -np.inf)
