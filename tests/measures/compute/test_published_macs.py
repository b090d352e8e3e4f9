"""Whole detectors against the GMAC figure that torchvision publishes with its weights, `meta["_ops"]`.

torchvision measured each on one 3 x 512 x 512 image of noise with its published weights (its
`test/common_extended_utils.py`). MACs depend on shapes alone, so weights are random here, and by default convolutions
are not even computed but answer zeros of their shape. A region-based detector's figure depends on how many proposals
and detections its weights gave.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import detection, get_model_weights

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._torch_counter import count_macs

SIDE = 512

ONE_STAGE = [
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]

BOX_HEAD = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * (91 + 4 * 91)
"""MACs a proposal: two fully connected layers, then scores and boxes of 91 classes."""
BOX_HEAD_V2 = 49 * 256 * 9 * (256 + 3 * 256) + 256 * 49 * 1024 + 1024 * (91 + 4 * 91)
MASK_HEAD = 14 * 14 * 256 * 9 * 4 * 256 + 14 * 14 * 256 * 256 * 4 + 28 * 28 * 256 * 91
"""MACs a detection: four convolutions, a transposed one of stride 2, and a mask for each class."""

TWO_STAGE = [
    ("fasterrcnn_resnet50_fpn", BOX_HEAD, 1000, 0),
    ("fasterrcnn_resnet50_fpn_v2", BOX_HEAD_V2, 1000, 0),
    ("fasterrcnn_mobilenet_v3_large_fpn", BOX_HEAD, 0, 0),
    ("fasterrcnn_mobilenet_v3_large_320_fpn", BOX_HEAD, 0, 0),
    ("maskrcnn_resnet50_fpn", BOX_HEAD, 1000, 0),
    ("maskrcnn_resnet50_fpn_v2", BOX_HEAD_V2, 1000, 100),
]
"""Name, MACs a proposal, and the proposals and mask detections that reproduce the published figure."""


class ZerosForConvolutions(TorchDispatchMode):
    """Answers convolutions with zeros of the right shape, which is all that a count looks at."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.convolution.default:
            return func(*args, **(kwargs or {}))
        return torch.zeros_like(func(*(a.to("meta") if isinstance(a, torch.Tensor) else a for a in args)), device="cpu")


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = getattr(detection, name)(weights=None, weights_backbone=None)
    return network.eval()


def count(name: str, arithmetic: Callable[[], Any]) -> Count:
    network = build(name)
    image = torch.randn(3, SIDE, SIDE)
    with arithmetic():
        return count_macs(lambda: network([image]), network)


def published(name: str) -> float:
    return float(get_model_weights(name).DEFAULT.meta["_ops"])


@pytest.mark.parametrize("name", ONE_STAGE)
def test_one_stage_detectors_agree_with_torchvision(name: str) -> None:
    found = count(name, ZerosForConvolutions)
    assert found.macs / 1e9 == pytest.approx(published(name), rel=1e-3)
    assert found.stages == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_STAGE)
def test_one_stage_detectors_agree_with_torchvision_with_all_arithmetic_done(name: str) -> None:
    assert count(name, nullcontext).macs / 1e9 == pytest.approx(published(name), rel=1e-3)


@pytest.mark.parametrize(("name", "per_proposal", "proposals", "masks"), TWO_STAGE)
def test_region_based_detectors_agree_with_torchvision_for_a_number_of_proposals(
    name: str, per_proposal: int, proposals: int, masks: int
) -> None:
    found = count(name, ZerosForConvolutions)
    first = found.stages[0]
    assert first.macs == per_proposal * first.regions > 0
    fixed = found.macs - sum(stage.macs for stage in found.stages)
    total = fixed + per_proposal * proposals + MASK_HEAD * masks
    assert total / 1e9 == pytest.approx(published(name), rel=1e-3)


@pytest.mark.slow
def test_a_mask_head_spends_its_macs_on_detections() -> None:
    found = count("maskrcnn_resnet50_fpn_v2", nullcontext)
    proposals, detections = found.stages
    assert (proposals.regions, detections.regions) == (1000, 100)
    assert detections.macs == MASK_HEAD * 100
    assert found.macs / 1e9 == pytest.approx(published("maskrcnn_resnet50_fpn_v2"), rel=1e-3)


@pytest.mark.parametrize("proposals", [1, 20, 50])
def test_macs_are_a_fixed_part_and_a_part_for_each_proposal(proposals: int) -> None:
    torch.manual_seed(0)
    network = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, min_size=64, max_size=64, rpn_post_nms_top_n_test=proposals,
        rpn_nms_thresh=1.0,
    )  # fmt: skip
    network.eval()
    found = count_macs(lambda: network([torch.randn(3, 64, 64)]), network)
    heads = sum(macs for path, macs in found.by_module.items() if path.startswith("roi_heads"))
    assert [(stage.regions, stage.macs) for stage in found.stages] == [(proposals, heads)]
    assert heads == BOX_HEAD * proposals
