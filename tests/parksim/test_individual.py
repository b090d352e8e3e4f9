import numpy as np
import pytest

from wildbench.categories import CATEGORIES
from wildbench.parksim._animal import Individual, body_of, height_m, length_m, postures
from wildbench.parksim._sdf import trace
from wildbench.parksim._skeleton import posed
from wildbench.parksim.species import KINDS, kind_of


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
