"""How the study of formats compares detections, and what it calls the result."""

from typing import Any

import pytest

from studies.formats.families import FAMILIES, WORKSHOP
from studies.formats.matrix import LOWEST, Try, compare, totals

ZEBRA: list[Any] = [10.0, 10.0, 50.0, 40.0, 0.9, "zebra"]
LION: list[Any] = [20.0, 10.0, 60.0, 40.0, 0.5, "lion"]


def moved(row: list[Any], by: float = 0.0, score: float = 0.0, name: str = "") -> list[Any]:
    return [row[0] + by, *row[1:4], row[4] + score, name or row[5]]


def tried(ours: list[list[Any]], theirs: list[list[Any]], **artifact: Any) -> Try:
    record = {"same_resize": True, "detections": {"a.png": theirs}} | artifact
    return compare(record, {"a.png": ours}, alone=True)


def test_the_order_is_free_and_differences_are_the_greatest() -> None:
    one = tried([moved(LION, 0.002, 0.01), ZEBRA], [ZEBRA, LION])
    assert (one.count, one.verdict) == ((2, 2), "exact")
    assert (one.corner, one.score) == (pytest.approx(0.002), pytest.approx(0.01))


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([ZEBRA], "DIFFERS"),
        ([ZEBRA, LION, moved(LION, 0.5)], "DIFFERS"),
        ([ZEBRA, moved(LION, name="zebra")], "DIFFERS"),
        ([ZEBRA, moved(LION, 1.0)], "DIFFERS"),
        ([ZEBRA, LION, moved(LION, score=LOWEST - 1e-3 - 0.5)], "exact"),
        ([ZEBRA, LION, moved(LION, score=LOWEST - 0.5)], "exact"),
        ([ZEBRA, LION, [5.0, 5.0, 5.0, 9.0, 0.8, "lion"]], "exact"),
    ],
)
def test_other_detections_are_noticed_and_ties_are_not(ours: list[list[Any]], verdict: str) -> None:
    assert tried(ours, [ZEBRA, LION]).verdict == verdict


def test_another_resize_may_move_a_box_a_little() -> None:
    assert tried([moved(ZEBRA, 1.5)], [ZEBRA], same_resize=False).verdict == "near"
    assert tried([moved(ZEBRA, 3.0)], [ZEBRA], same_resize=False).verdict == "DIFFERS"


def test_what_nobody_takes_must_be_named() -> None:
    core_ml = {"refused": "Core ML"}
    assert Try(core_ml, False, message="a.mlmodel: a core ml model; convert it").verdict == "named"
    assert Try(core_ml, False, message="damaged").verdict == "NOT NAMED"
    assert Try(core_ml, True).verdict == "NOT NAMED"
    assert Try({}, False, message="no manifest").verdict == "REFUSED"


def test_totals_count_both_ways() -> None:
    tries = [tried([ZEBRA], [ZEBRA]), Try({"refused": "Core ML"}, False, message="Core ML")]
    assert totals(tries) == (
        "2 artifacts: 1 of 2 (50 %) go in, 1 of 2 (50 %) without a manifest; of those that go in 1 of 1 (100 %) need "
        "none, and 1 of 1 (100 %) have the tool's own detections; 1 others are refused by their name"
    )


def test_every_family_has_its_workshop_and_pins() -> None:
    for family in FAMILIES.values():
        assert (WORKSHOP / family.script).exists()
        assert all("==" in package for package in family.packages)
