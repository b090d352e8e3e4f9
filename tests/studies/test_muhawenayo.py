"""The paper's table: all of its megabytes follow from the network by the rule, and real files are larger."""

import pytest
import torch
from made_up_points import point, summary
from torch import nn

from studies.papers import muhawenayo
from studies.papers.muhawenayo import PERCENT, TABLE, measure, megabytes, parameters, sections
from wildbench.detectors.zoo import _zoo


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.device("meta"):
        return _zoo.build(muhawenayo.DETECTOR, 13)


def test_the_network_has_detectron2s_parameters(network: nn.Module) -> None:
    assert parameters(network) == {"backbone": 26_799_296, "rpn": 593_935, "head": 13_963_330}
    assert sum(p.numel() for p in network.parameters()) - sum(parameters(network).values()) == 4_100


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.part)
def test_all_printed_megabytes_follow_from_the_network(network: nn.Module, row: muhawenayo.Row) -> None:
    assert len(row.megabytes) == len(row.ap50) == len(PERCENT) == 9
    assert tuple(megabytes(parameters(network), row, percent) for percent in PERCENT) == row.megabytes


def test_no_other_counts_give_them(network: nn.Module) -> None:
    """Neither 91 categories, nor torchvision's own ROI head where it counts, nor exact counts."""
    with torch.device("meta"):
        coco = parameters(_zoo.build(muhawenayo.DETECTOR, 91))
    assert megabytes(coco, TABLE[0], 0) != "165.6"
    own = parameters(network)
    exact = {part: 4 * count / 1e6 for part, count in own.items()}  # rounded after the sum and not before
    unrounded = [f"{sum(exact.values()) - percent / 100 * exact['backbone']:.2f}" for percent in PERCENT]
    assert [float(found) for found in unrounded] != [float(printed) for printed in TABLE[0].megabytes]
    assert f"{sum(exact.values()):.1f}" != TABLE[0].megabytes[0] == megabytes(own, TABLE[0], 0)


def test_the_rule_names_the_counts_that_it_rounds(network: nn.Module) -> None:
    rounded = [f"{count / 1e6:.1f}" for count in parameters(network).values()]
    assert "{}, {} and {}".format(*rounded) in muhawenayo.RULE


def test_the_third_row_is_cut_and_not_rounded(network: nn.Module) -> None:
    counts = parameters(network)
    both = TABLE[2]
    assert pytest.approx(149.28) == 4 * (41.4 - 0.1 * 40.8)
    assert megabytes(counts, both, 10) == "149.2"
    assert pytest.approx(51.36) == 4 * (41.4 - 0.7 * 40.8)
    assert megabytes(counts, both, 70) == "51.3"


def test_what_was_not_measured_is_left_out_and_said(network: nn.Module) -> None:
    found, notes = sections(parameters(network), [], None)
    assert [len(section) for section in found] == [3, 3, 3]
    assert notes[-1] == muhawenayo.UNMEASURED
    assert muhawenayo.ROI_AP50 in notes


def test_the_mean_is_over_every_dense_detector_or_is_not_told(network: nn.Module) -> None:
    points = [
        point(cost=cost, dense=dense, settings={"ratio": share})
        for share, cost, dense in ((0.1, -0.1, "a"), (0.1, -0.2, "b"), (0.9, -0.7, "b"))
    ]
    found, notes = sections(parameters(network), [summary(*points)], None)
    assert found[0][1][1:] == ["70.00", "55.00", *["-"] * 7]
    assert notes[-3].startswith("On parksim test: fcos, mean of 2 dense detectors")


@pytest.mark.slow
def test_files_take_what_a_bitmask_takes(network: nn.Module) -> None:
    """Four bytes a weight that is not zero, a bit for every weight: 0.9 of the weights gone, not 0.9 of the bytes."""
    measured = measure(percent=(90,))
    weights = {scope: _weights(network, scope) for scope in ("backbone", "head", "both")}
    assert measured.raw == pytest.approx(4 * sum(p.numel() for p in network.parameters()), rel=0.002)
    for row in TABLE:
        files = measured.files[row.scope, 90]
        many = weights[row.scope]
        saved = 4 * 0.9 * many - many / 8
        # A little less, because equal masks of layers that are all zero are stored once.
        assert 0.98 * (measured.raw - saved) < files.bitmask < 1.001 * (measured.raw - saved)
        assert 0.6 * files.bitmask < files.coded < files.bitmask
        assert files.bitmask > 1e6 * float(row.megabytes[-1])


def _weights(network: nn.Module, scope: str) -> int:
    parts = {"backbone": ["backbone"], "head": ["roi_heads"], "both": ["backbone", "roi_heads"]}[scope]
    modules = [module for part in parts for module in network.get_submodule(part).modules()]
    return sum(module.weight.numel() for module in modules if isinstance(module, (nn.Conv2d, nn.Linear)))
