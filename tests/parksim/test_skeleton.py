"""Bones, posing and gaits."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from wildbench.parksim._skeleton import (
    GALLOP,
    LIFT,
    Body,
    Posture,
    Vector,
    bones,
    figure,
    limb,
    part,
    posed,
    rotation,
    stride,
    turn,
)
from wildbench.parksim.species import KINDS

DRAWING = figure(
    bones("body 0 1 0 > head .5 1.2 0"),
    part("body", "coat", "-.5 1 0 .2 > .5 1 0 .25"),
    part("head", "coat", ".5 1.2 0 .1 > .8 1.3 0 .1"),
    part("head", "horn", ".6 1.4 .1 .02 > .6 1.7 .2 .01", only="male adult"),
    limb("fore~", "body", "coat", ".4 .9 .1 .1 > .4 .5 .1 .06 > .4 .1 .1 .05", 0.03, joints=2),
    limb("hind~", "body", "coat", "-.4 .9 .1 .1 > -.4 .5 .1 .06 > -.4 .1 .1 .05", 0.03, joints=2),
)
POSE = {"body": (4.0, 0.0, 0.0), "head": (-20.0, 35.0, 5.0), "fore~1": (30.0, 0.0, 12.0), "foreR2": (-50.0, 0.0, 0.0)}


Floats = NDArray[np.float64]


def ends(body: Body) -> Floats:
    return np.concatenate([body.capsules[:, :3], body.capsules[:, :3] + body.capsules[:, 3:6]])


def test_rotation_turns_forward_up_and_right() -> None:
    np.testing.assert_allclose(np.array(rotation(90.0, 0.0, 0.0)) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(np.array(rotation(0.0, -90.0, 0.0)) @ (1, 0, 0), (0, 0, 1), atol=1e-12)
    turn = np.array(rotation(12.0, 34.0, -56.0))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-5)


def test_drawing_stands_as_drawn_on_the_ground() -> None:
    body = posed(DRAWING, {}, {}, {"adult", "female"}, level=False)
    assert body.capsules[0, :3].tolist() == pytest.approx([-0.5, 1.0 - 0.05, 0.0])
    assert "horn" not in body.materials


def test_parts_off_the_middle_exist_twice_and_mirror_each_other() -> None:
    body = posed(DRAWING, {}, {}, {"adult", "male"}, level=False)
    assert body.materials.count("horn") == 2
    placed = {tuple(np.round(row, 9)) for row in ends(body)}
    assert placed == {(x, y, -z + 0.0) for x, y, z in placed}


@pytest.mark.parametrize("scale", [{}, {"": (0.5, 0.5, 0.5), "head": (1.3, 1.2, 1.3)}])
def test_every_point_finds_its_way_back_into_the_drawing(scale: dict[str, Vector]) -> None:
    body = posed(DRAWING, POSE, scale, {"adult", "male"}, level=True)
    drawn = posed(DRAWING, {}, {}, {"adult", "male"}, level=False)
    back = np.einsum("nij,nj->ni", body.rest[:, :, :3], body.capsules[:, :3]) + body.rest[:, :, 3]
    expected = np.einsum("nij,nj->ni", drawn.rest[:, :, :3], drawn.capsules[:, :3]) + drawn.rest[:, :, 3]
    np.testing.assert_allclose(back, expected, atol=1e-5)


def test_posing_bends_joints_but_keeps_bones_as_long_as_they_are() -> None:
    still, bent = (posed(DRAWING, pose, {}, {"adult", "male"}, level=False) for pose in ({}, POSE))
    lengths = [np.linalg.norm(body.capsules[:, 3:6], axis=1) for body in (still, bent)]
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-5)
    assert np.abs(still.capsules[:, 3:6] - bent.capsules[:, 3:6]).max() > 0.1


def test_body_rests_on_the_ground_and_level_feet_share_it() -> None:
    body = posed(DRAWING, {"fore~2": (-24.0, 0.0, 0.0)}, {}, {"adult", "female"}, level=True)
    bottoms = body.capsules[:, 1] + body.capsules[:, 4] - body.capsules[:, 7] - body.capsules[:, 8]
    low = {name: bottoms[[bone.startswith(name) for bone in body.bones]].min() for name in ("fore", "hind")}
    assert min(low.values()) == pytest.approx(0.0, abs=1e-9)
    assert max(low.values()) < 0.02


def test_one_name_turns_both_sides_and_a_sided_name_one() -> None:
    body = posed(DRAWING, {"foreR1": (90.0, 0.0, 0.0)}, {}, {"adult"}, level=False)
    fore = [row for row, bone in zip(body.capsules, body.bones, strict=True) if bone == "fore~1"]
    swung = {round(float(row[2]), 3): round(math.degrees(math.atan2(row[4], row[3])), 1) for row in fore}
    assert swung == {0.1: 0.0, -0.1: -90.0}


EVERY = [
    (species, n, name, posture)
    for species, kinds in KINDS.items()
    for n, kind in enumerate(kinds)
    for name, posture in kind.postures.items()
]


@pytest.mark.parametrize(("species", "n", "name", "posture"), EVERY, ids=lambda value: str(value)[:12])
def test_postures_turn_bones_that_the_species_has(species: str, n: int, name: str, posture: Posture) -> None:
    bones = set(KINDS[species][n].figure.bones)
    sides = bones | {bone.replace("~", side) for bone in bones for side in "RL"}
    assert set(posture.turns) <= sides, name
    assert {bone[: bone.index("~")] for bone in posture.gait} <= set(LIFT)
    if posture.swing:
        upper = [bone for bone in stride(posture, 0.3) if bone.endswith("1")]
        assert any(bone in sides for bone in upper)


def test_stride_repeats_and_legs_of_a_walk_are_half_a_stride_apart() -> None:
    walk = Posture(swing=20.0, lift=30.0)
    assert stride(walk, 0.0) == stride(walk, 1.0)
    for phase in (0.0, 0.2, 0.7):
        here, there = stride(walk, phase), stride(walk, phase + 0.5)
        assert here["foreR1"] == pytest.approx(there["foreL1"])
        assert here["hindR3"] == pytest.approx(there["hindL3"])


def test_hind_legs_of_a_gallop_move_nearly_together() -> None:
    gallop = Posture(swing=40.0, lift=0.0, gait=GALLOP)
    assert stride(gallop, 0.0)["hindR1"][0] == pytest.approx(stride(gallop, 0.0)["hindL1"][0], abs=15.0)


def test_who_stands_still_takes_no_stride() -> None:
    assert stride(Posture(), 0.4) == {}


def test_turn_spells_both_sides_with_an_underscore() -> None:
    assert turn(fore_1=10.0, head=(1.0, 2.0, 3.0)) == {"fore~1": (10.0, 0.0, 0.0), "head": (1.0, 2.0, 3.0)}
