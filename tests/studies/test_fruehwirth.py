"""Frühwirth's ratio: what each reading of his pruning really takes."""

import pytest
from made_up_points import point, summary

from studies.papers.fruehwirth import PERCENT, RATIO, READINGS, Cost, measure, ratio, sections


def made_up(last: float) -> list[Cost]:
    """Files that shrink evenly to the ratio `last`."""
    sizes = [1e8 / (1 + (last - 1) * share / PERCENT[-1]) for share in PERCENT]
    return [Cost(parameters=10**6, macs=10**9, file_bytes=round(size)) for size in sizes]


def test_the_nearest_reading_is_named_with_its_ratio() -> None:
    measured = {reading.title: made_up(1.1 + number / 10) for number, reading in enumerate(READINGS)}
    found, notes = sections(measured, [])
    assert notes[0] == f"Nearest to {RATIO} at 40 %: {READINGS[1].title}, 1.200."
    assert [line[-1] for section in found[1:] for line in section if line[0].startswith("old size")] == [
        "1.10",
        "1.20",
        "1.30",
        "1.40",
        "1.50",
    ]


def test_without_measuring_there_are_his_figures_alone() -> None:
    found, notes = sections(None, [])
    assert [line[-1] for section in found for line in section] == ["1.25", "0.72"]
    assert "not measured" in notes[-1]


def test_our_overlaps_are_said_to_be_of_our_detector_and_data() -> None:
    step = {"method": READINGS[0].step["method"], "settings": {**READINGS[0].step, "ratio": 0.4}}
    found, notes = sections(None, [summary(point("filters", steps=[step]))])
    overlap, ap50 = [line for section in found for line in section if line[0].endswith(", parksim test")]
    assert overlap == ["mean IoU@0.5, parksim test", "0.80", "-", "-", "-", "0.80"]
    assert ap50 == ["AP50 in %, parksim test", "70.0", "-", "-", "-", "69.0"]
    assert notes[-2].startswith("On parksim test: fcos, without recovery")
    assert "Another network and other images" in notes[-1]


def test_the_mean_is_over_every_dense_detector_or_is_not_told() -> None:
    step = {"method": READINGS[0].step["method"], "settings": READINGS[0].step}
    points = [
        point("filters", cost, steps=[step], dense=dense, settings={"ratio": share})
        for share, cost, dense in ((0.2, -0.1, "a"), (0.2, -0.3, "b"), (0.4, -0.4, "a"))
    ]
    found, notes = sections(None, [summary(*points)])
    _, ap50 = [line for section in found for line in section if line[0].endswith(", parksim test")]
    assert ap50[1:] == ["70.0", "-", "50.0", "-", "-"]
    assert "fcos, mean of 2 dense detectors" in notes[-2]


@pytest.mark.slow
def test_removed_filters_and_zeroed_kernels_take_what_they_should() -> None:
    measured = measure(readings=(READINGS[0], READINGS[3]), percent=(0, 40))
    filters, kernels = (measured[READINGS[index].title] for index in (0, 3))
    assert filters[0].parameters <= 43_986_979
    for one in filters:  # beside the parameters there are the norms' buffers, under 0.3 %
        assert one.file_bytes == pytest.approx(4 * one.parameters, rel=0.005)
    assert filters[1].macs < filters[0].macs
    assert ratio(filters, 1) == pytest.approx(RATIO, abs=0.02)
    assert kernels[1].macs == kernels[0].macs
    assert kernels[1].file_bytes < 4 * kernels[0].parameters - 4 * (kernels[0].parameters - kernels[1].parameters) * 0.8
    assert ratio(kernels, 1) < ratio(filters, 1)
