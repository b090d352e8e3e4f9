import pytest

from wildbench.parksim._skeleton import GALLOP, LIFT, Posture, stride, turn
from wildbench.parksim.species import KINDS

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
